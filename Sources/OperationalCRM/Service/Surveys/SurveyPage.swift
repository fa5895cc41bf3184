import CRMCore
import Foundation

/// The questions as a form that works with a keyboard and a screen reader alone: one fieldset a question, a label a choice.
struct SurveyPage {
  let survey: OpenSurvey
  let questions: [SurveyQuestion]
  let link: SurveyLink
  let language: Language
  /// What was ticked or written before, by the codes of the questions.
  var given: [String: JSON] = [:]
  var errors: [Problem.FieldError] = []

  var response: Response {
    var content: HTML = ""
    if !errors.isEmpty { content += mistakes }
    let intro = survey.intro.text(in: language)
    if !intro.isEmpty { content += "<p>\(intro)</p>\n" }
    var fields: HTML = ""
    for question in questions { fields += field(question) }
    let send = Phrase("Send my answer", tr: "Yanıtımı gönder").text(in: language)
    content += "<form method=\"post\" action=\"\(link.path)\">\n\(fields)<p><button type=\"submit\">\(send)</button></p>\n</form>\n"
    return PublicPage(status: errors.isEmpty ? 200 : 422, title: survey.title.text(in: language), content: content, language: language).response
  }

  private var mistakes: HTML {
    let items = errors.map { error -> HTML in
      let code = error.pointer.split(separator: "/").last.map(String.init) ?? ""
      let text = questions.first { $0.code == code }?.text.text(in: language) ?? code
      return "<li><a href=\"#\(code)\">\(text)</a>: \(error.message.text(in: language))</li>"
    }
    let title = Phrase("Your answer was not recorded", tr: "Yanıtınız kaydedilmedi").text(in: language)
    return "<div role=\"alert\"><h2>\(title)</h2><ul>\(items)</ul></div>\n"
  }

  private func field(_ question: SurveyQuestion) -> HTML {
    let legend = question.text.text(in: language)
    switch question.kind {
    case .score, .rating:
      let range = question.range(in: survey.kind) ?? 1...5
      let low = question.low.text(in: language)
      let high = question.high.text(in: language)
      var ends: HTML = ""
      if !low.isEmpty || !high.isEmpty {
        ends = "<p id=\"\(question.code)-ends\">\(String(range.lowerBound)): \(low) · \(String(range.upperBound)): \(high)</p>\n"
      }
      let choices = range.map { choice(question, value: String($0), label: String($0), type: "radio") }
      return group(question, legend, "\(ends)<div class=\"scale\">\(choices)</div>\n")
    case .choice: return group(question, legend, listed(question, "radio"))
    case .choices: return group(question, legend, listed(question, "checkbox"))
    case .yesNo:
      let yes = choice(question, value: "yes", label: Phrase("Yes", tr: "Evet").text(in: language), type: "radio")
      let no = choice(question, value: "no", label: Phrase("No", tr: "Hayır").text(in: language), type: "radio")
      return group(question, legend, "\(yes)\n\(no)\n")
    case .text:
      let text = given[question.code]?.string ?? ""
      let required: HTML = question.required ? " required" : ""
      return """
        <p><label for="\(question.code)">\(legend)</label><br>
        <textarea id="\(question.code)" name="\(question.code)" rows="4" maxlength="\(String(SurveyAnswers.textLimit))"\(required)>\(text)</textarea></p>

        """
    }
  }

  private func group(_ question: SurveyQuestion, _ legend: String, _ content: HTML) -> HTML {
    "<fieldset id=\"\(question.code)\">\n<legend>\(legend)</legend>\n\(content)</fieldset>\n"
  }

  private func listed(_ question: SurveyQuestion, _ type: String) -> HTML {
    var list: HTML = ""
    for option in question.options { list += "<p>\(choice(question, value: option.code, label: option.label.text(in: language), type: type))</p>\n" }
    return list
  }

  private func choice(_ question: SurveyQuestion, value: String, label: String, type: String) -> HTML {
    let chosen = given[question.code].map { $0.string.map { [$0] } ?? $0.array?.compactMap(\.string) ?? [] } ?? []
    let checked: HTML = chosen.contains(value) ? " checked" : ""
    let required: HTML = question.required && type == "radio" ? " required" : ""
    return "<label><input type=\"\(type)\" name=\"\(question.code)\" value=\"\(value)\"\(checked)\(required)> \(label)</label>"
  }
}
