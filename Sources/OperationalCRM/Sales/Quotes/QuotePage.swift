import CRMCore
import Foundation

/// The page that a customer sees: plain HTML that needs no style, no script and nothing from elsewhere.
struct QuotePage {
  let status: Int
  let language: Language
  private let title: String
  private let content: HTML

  /// What a form was sent with, and what was wrong with it.
  struct Attempt {
    var name = ""
    var reason = ""
    let errors: [Problem.FieldError]
  }

  /// A page that shows no quote, only why not.
  init(_ status: Int, _ title: Phrase, _ text: Phrase, _ language: Language) {
    self.status = status
    self.language = language
    self.title = title.text(in: language)
    content = "<p>\(text.text(in: language))</p>\n"
  }

  init(_ problem: Problem, _ language: Language) { self.init(problem.status, problem.title, problem.detail ?? problem.title, language) }

  /// The quote, with the forms to answer it as long as it waits for an answer.
  init(_ quote: QuoteDocument, link: QuoteLink, _ language: Language, status: Int = 200, attempt: Attempt? = nil) {
    self.language = language
    title = "\(QuoteWords.quote.text(in: language)) \(quote.name)"
    var content: HTML = ""
    switch quote.status {
    case .sent where !quote.isPast:
      self.status = status
      if let attempt { content += Self.mistakes(attempt, language) }
      content += Self.offer(quote, link, language)
      content += Self.forms(link, attempt, language)
    case .accepted, .declined:
      self.status = status
      content += Self.answered(quote, language)
      content += Self.offer(quote, link, language)
    case .superseded:
      self.status = 410
      content = Self.notice(
        Phrase("This quote was replaced by a newer version. Ask us for its link.", tr: "Bu teklifin yerine yeni bir sürüm geçti. Bağlantısını bizden isteyin."),
        language)
    case .sent, .expired, .draft, .awaitingApproval, .approved:
      self.status = 410
      let day = language.date(quote.validUntil)
      content = Self.notice(
        Phrase("This quote expired on \(day). Ask us for a new one.", tr: "Bu teklifin süresi \(day) tarihinde doldu. Yenisini bizden isteyin."), language)
    }
    self.content = content
  }

  private static func notice(_ text: Phrase, _ language: Language) -> HTML { "<p role=\"status\"><strong>\(text.text(in: language))</strong></p>\n" }

  private static func answered(_ quote: QuoteDocument, _ language: Language) -> HTML {
    let name = quote.answer?.name ?? quote.customer
    let day = (quote.answer?.day).map(language.date) ?? ""
    return quote.status == .accepted
      ? notice(Phrase("Accepted by \(name) on \(day). Thank you.", tr: "\(name) tarafından \(day) tarihinde kabul edildi. Teşekkür ederiz."), language)
      : notice(Phrase("Declined by \(name) on \(day).", tr: "\(name) tarafından \(day) tarihinde reddedildi."), language)
  }

  private static func offer(_ quote: QuoteDocument, _ link: QuoteLink, _ language: Language) -> HTML {
    var facts: HTML = ""
    for fact in quote.facts(language) { facts += "<dt>\(fact.name)</dt><dd>\(fact.value)</dd>\n" }
    let columns = [
      QuoteWords.number, QuoteWords.item, QuoteWords.quantity, QuoteWords.unitPrice, QuoteWords.discount, QuoteWords.vatRate, QuoteWords.amount,
    ]
    let heads = columns.map { "<th scope=\"col\">\($0.text(in: language))</th>" as HTML }
    let rows = quote.lines.map { line -> HTML in
      let cells = quote.cells(line, language)
      return "<tr><td>\(cells[0])</td><th scope=\"row\">\(cells[1])</th>\(cells[2...].map { "<td>\($0)</td>" as HTML })</tr>\n"
    }
    let totals = quote.totals(language).map { "<tr><th scope=\"row\" colspan=\"6\">\($0.name)</th><td>\($0.value)</td></tr>\n" as HTML }
    var terms: HTML = ""
    if let text = quote.terms, !text.isEmpty {
      let paragraphs = text.split(whereSeparator: \.isNewline).map { "<p>\($0)</p>\n" as HTML }
      terms = "<section aria-labelledby=\"terms\"><h2 id=\"terms\">\(QuoteWords.terms.text(in: language))</h2>\n\(paragraphs)</section>\n"
    }
    return """
      <dl>
      \(facts)</dl>
      <table>
      <caption>\(QuoteWords.lines.text(in: language))</caption>
      <thead><tr>\(heads)</tr></thead>
      <tbody>
      \(rows)</tbody>
      <tfoot>
      \(totals)</tfoot>
      </table>
      \(terms)<p><a href="\(link.path).pdf" type="application/pdf">\(Phrase("This quote as PDF", tr: "Teklifin PDF hâli").text(in: language))</a></p>

      """
  }

  private static func forms(_ link: QuoteLink, _ attempt: Attempt?, _ language: Language) -> HTML {
    let name = Phrase("Your name", tr: "Adınız ve soyadınız").text(in: language)
    let reason = Phrase("Reason (optional)", tr: "Gerekçe (isteğe bağlı)").text(in: language)
    let accept = Phrase("Accept this quote", tr: "Teklifi kabul et").text(in: language)
    let decline = Phrase("Decline this quote", tr: "Teklifi reddet").text(in: language)
    let recorded = Phrase(
      "Your name, the time, your network address and your browser's name are recorded with your answer.",
      tr: "Yanıtınızla birlikte adınız, zaman, ağ adresiniz ve tarayıcı bilginiz kaydedilir."
    ).text(in: language)
    let given = attempt?.name ?? ""
    let text = attempt?.reason ?? ""
    return """
      <section aria-labelledby="accept"><h2 id="accept">\(accept)</h2>
      <form method="post" action="\(link.path)/accept">
      <p><label for="accept-name">\(name)</label><br><input id="accept-name" name="name" value="\(given)" required maxlength="200" autocomplete="name"></p>
      <p><button type="submit">\(accept)</button></p>
      </form></section>
      <section aria-labelledby="decline"><h2 id="decline">\(decline)</h2>
      <form method="post" action="\(link.path)/decline">
      <p><label for="decline-name">\(name)</label><br><input id="decline-name" name="name" value="\(given)" required maxlength="200" autocomplete="name"></p>
      <p><label for="decline-reason">\(reason)</label><br><textarea id="decline-reason" name="reason" rows="3" maxlength="2000">\(text)</textarea></p>
      <p><button type="submit">\(decline)</button></p>
      </form></section>
      <p>\(recorded)</p>

      """
  }

  private static func mistakes(_ attempt: Attempt, _ language: Language) -> HTML {
    let items = attempt.errors.map { error -> HTML in
      // The fields' names are the API's; people read their labels.
      let message =
        error.pointer == "/name" && error.code == "required" ? Phrase("Write your name.", tr: "Adınızı ve soyadınızı yazın.") : error.message
      return "<li>\(message.text(in: language))</li>"
    }
    let title = Phrase("Your answer was not recorded", tr: "Yanıtınız kaydedilmedi").text(in: language)
    return "<div role=\"alert\"><h2>\(title)</h2><ul>\(items)</ul></div>\n"
  }

  var response: Response { PublicPage(status: status, title: title, content: content, language: language).response }
}
