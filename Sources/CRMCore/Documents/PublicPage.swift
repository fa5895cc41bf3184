import Crypto
import Foundation

/// A page that people see without a sign-in: plain HTML that needs no script and nothing from elsewhere.
package struct PublicPage: Sendable {
  package let status: Int
  package let title: String
  package let content: HTML
  package let language: Language
  /// Whether search engines may show it.
  package let isIndexed: Bool

  package init(status: Int = 200, title: String, content: HTML, language: Language, isIndexed: Bool = false) {
    self.status = status
    self.title = title
    self.content = content
    self.language = language
    self.isIndexed = isIndexed
  }

  /// A page that only says what is wrong.
  package init(_ problem: Problem, _ language: Language) {
    self.init(
      status: problem.status, title: problem.title.text(in: language), content: "<p>\((problem.detail ?? problem.title).text(in: language))</p>\n",
      language: language)
  }

  package var response: Response {
    let robots: HTML = isIndexed ? "" : "<meta name=\"robots\" content=\"noindex\">\n"
    let page: HTML = """
      <!doctype html>
      <html lang="\(language.rawValue)">
      <head>
      <meta charset="utf-8">
      <meta name="viewport" content="width=device-width, initial-scale=1">
      \(robots)<title>\(title)</title>
      <style>\(Self.style)</style>
      </head>
      <body>
      <main>
      <h1>\(title)</h1>
      \(content)</main>
      </body>
      </html>

      """
    return Response(
      status: status,
      headers: [
        ("content-type", "text/html; charset=utf-8"), ("content-language", language.rawValue), ("content-security-policy", Self.policy),
      ] + (isIndexed ? [] : [("x-robots-tag", "noindex")]), body: .bytes(Array(page.markup.utf8)))
  }

  /// Only this very style sheet is let in, and forms lead nowhere but here.
  private static let policy: String = {
    let digest = Data(SHA256.hash(data: Array(style.markup.utf8))).base64EncodedString()
    return "default-src 'none'; style-src 'sha256-\(digest)'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
  }()

  private static let style: HTML = """
    :root{color-scheme:light dark}
    body{font:1rem/1.5 system-ui,sans-serif;margin:0 auto;max-width:60rem;padding:1rem}
    dl{display:grid;grid-template-columns:max-content 1fr;gap:.25rem 1rem}
    dt{font-weight:600}dd{margin:0}
    table{border-collapse:collapse;width:100%}
    caption{text-align:left;font-weight:600;font-size:1.25rem}
    th,td{border-bottom:1px solid #8888;padding:.35rem .5rem;text-align:right;vertical-align:top}
    thead th:nth-child(2),tbody th{text-align:left}
    tfoot tr:last-child{font-weight:700}
    tfoot th{font-weight:inherit}
    input,textarea,button{font:inherit;padding:.4rem;max-width:100%}
    input,textarea{width:28rem}
    input[type=radio],input[type=checkbox]{width:auto}
    fieldset{border:1px solid #8888;margin:1rem 0;padding:.5rem 1rem}
    legend{font-weight:600}
    .scale label{display:inline-block;min-width:2.75rem;padding:.35rem;text-align:center}
    .scale input{display:block;margin:0 auto .25rem}
    """
}
