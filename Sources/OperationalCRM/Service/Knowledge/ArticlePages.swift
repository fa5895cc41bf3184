import CRMCore
import PostgresClient

/// The pages of the knowledge base, which search engines may show.
struct ArticlePages {
  struct Entry {
    let slug: String
    let category: String
    let title: String
    let summary: String
  }

  let language: Language

  func list(_ entries: [Entry], words: String) -> Response {
    let title = Phrase("Help", tr: "Yardım").text(in: language)
    let label = Phrase("Find an answer", tr: "Yanıt arayın").text(in: language)
    let find = Phrase("Find", tr: "Ara").text(in: language)
    var content: HTML = """
      <form method="get" action="/kb" role="search">
      <p><label for="q">\(label)</label><br><input id="q" name="q" type="search" value="\(words)" maxlength="500">
      <input type="hidden" name="lang" value="\(language.rawValue)"> <button type="submit">\(find)</button></p>
      </form>

      """
    if entries.isEmpty {
      content +=
        "<p role=\"status\">\(Phrase("Nothing was found. Try fewer or other words.", tr: "Bir şey bulunamadı. Daha az ya da başka sözcükler deneyin.").text(in: language))</p>\n"
    }
    // What was searched for comes best first; the whole list by category.
    var category: String?
    var items: HTML = ""
    func close() { if !items.markup.isEmpty { content += "<ul>\n\(items)</ul>\n" } }
    for entry in entries {
      if words.isEmpty, entry.category != category {
        close()
        items = ""
        category = entry.category
        if !entry.category.isEmpty { content += "<h2>\(entry.category)</h2>\n" }
      }
      let summary: HTML = entry.summary.isEmpty ? "" : "<br>\(entry.summary)"
      items += "<li><a href=\"/kb/\(entry.slug)?lang=\(language.rawValue)\">\(entry.title)</a>\(summary)</li>\n"
    }
    close()
    return PublicPage(title: title, content: content, language: language, isIndexed: words.isEmpty).response
  }

  func article(slug: String, title: String, summary: String, body: String, publishedOn: CalendarDate, isIncomplete: Bool = false) -> Response {
    var content: HTML = ""
    if isIncomplete {
      let message = Phrase("Say whether it helped, in at most 2,000 characters.", tr: "Yardımcı olup olmadığını en fazla 2.000 karakterle belirtin.")
      content += "<p role=\"alert\">\(message.text(in: language))</p>\n"
    }
    if !summary.isEmpty { content += "<p><strong>\(summary)</strong></p>\n" }
    content += Self.rendered(body)
    let legend = Phrase("Did this help?", tr: "Bu yardımcı oldu mu?").text(in: language)
    content += """
      <p>\(Phrase("As of", tr: "Güncelleme:").text(in: language)) \(language.date(publishedOn))</p>
      <form method="post" action="/kb/\(slug)/feedback?lang=\(language.rawValue)">
      <fieldset><legend>\(legend)</legend>
      <label><input type="radio" name="helpful" value="yes" required> \(Phrase("Yes", tr: "Evet").text(in: language))</label>
      <label><input type="radio" name="helpful" value="no" required> \(Phrase("No", tr: "Hayır").text(in: language))</label>
      <p><label for="comment">\(Phrase("What could be better? (optional)", tr: "Ne daha iyi olabilir? (isteğe bağlı)").text(in: language))</label><br>
      <textarea id="comment" name="comment" rows="3" maxlength="2000"></textarea></p>
      <p><button type="submit">\(Phrase("Send", tr: "Gönder").text(in: language))</button></p>
      </fieldset></form>
      <p><a href="/kb?lang=\(language.rawValue)">\(Phrase("All articles", tr: "Bütün makaleler").text(in: language))</a></p>

      """
    return PublicPage(status: isIncomplete ? 422 : 200, title: title, content: content, language: language, isIndexed: !isIncomplete).response
  }

  func thanks(slug: String, title: String) -> Response {
    let content: HTML = """
      <p role="status">\(Phrase("Thank you for telling us.", tr: "Bildirdiğiniz için teşekkür ederiz.").text(in: language))</p>
      <p><a href="/kb/\(slug)?lang=\(language.rawValue)">\(title)</a></p>

      """
    return PublicPage(title: title, content: content, language: language).response
  }

  /// A text with paragraphs, headings ("# ") and lists ("- ") as markup; everything in it is escaped.
  static func rendered(_ text: String) -> HTML {
    var content: HTML = ""
    var paragraph: [Substring] = []
    var items: [Substring] = []
    func close() {
      if !paragraph.isEmpty { content += "<p>\(paragraph.joined(separator: " "))</p>\n" }
      if !items.isEmpty { content += "<ul>\n\(items.map { "<li>\($0)</li>\n" as HTML })</ul>\n" }
      paragraph = []
      items = []
    }
    for line in text.split(separator: "\n", omittingEmptySubsequences: false).map({ $0.trimmingPrefix(while: \.isWhitespace) }) {
      if line.isEmpty || line.allSatisfy(\.isWhitespace) {
        close()
      } else if line.hasPrefix("# ") {
        close()
        content += "<h2>\(line.dropFirst(2))</h2>\n"
      } else if line.hasPrefix("- ") {
        if !paragraph.isEmpty { close() }
        items.append(line.dropFirst(2))
      } else {
        if !items.isEmpty { close() }
        paragraph.append(line)
      }
    }
    close()
    return content
  }
}
