import CRMCore
import Foundation

/// An OpenAPI document as one HTML page: readable without scripts, styles or fonts from elsewhere, and by screen readers.
struct DocumentationPage {
  let html: String

  private struct Operation {
    let method: String
    let path: String
    let members: JSON
    var id: String { members["operationId"]?.string ?? "\(method) \(path)" }
  }

  init(_ document: JSON, language: Language) {
    var operations: [String: [Operation]] = [:]
    for (path, item) in document["paths"]?.object ?? [:] {
      for (method, members) in item.object ?? [:] {
        operations[members["tags"]?.array?.first?.string ?? "", default: []].append(
          Operation(method: method.uppercased(), path: path, members: members))
      }
    }
    let tags = (document["tags"]?.array ?? []).compactMap { $0["name"]?.string }
    let order = ["GET": 0, "POST": 1, "PUT": 2, "PATCH": 3, "DELETE": 4]
    let words = Words(language)
    var page = """
      <!doctype html>
      <html lang="\(language.rawValue)">
      <head>
      <meta charset="utf-8">
      <meta name="viewport" content="width=device-width, initial-scale=1">
      <title>Muhatap – \(words.title)</title>
      <style>\(Self.style)</style>
      </head>
      <body>
      <a class="skip" href="#content">\(words.skip)</a>
      <header><h1>Muhatap</h1><p>\(words.introduction) <a href="/openapi.json">openapi.json</a></p></header>
      <nav aria-label="\(words.contents)"><h2>\(words.contents)</h2><ul>

      """
    for tag in tags { page += "<li><a href=\"#\(MarkupText.escaped(tag))\">\(MarkupText.escaped(tag))</a></li>\n" }
    page += "<li><a href=\"#schemas\">\(words.schemas)</a></li>\n</ul></nav>\n<main id=\"content\" lang=\"en\">\n"
    for tag in tags {
      page += "<section aria-labelledby=\"\(MarkupText.escaped(tag))\"><h2 id=\"\(MarkupText.escaped(tag))\">\(MarkupText.escaped(tag))</h2>\n"
      for operation in (operations[tag] ?? []).sorted(by: { ($0.path, order[$0.method] ?? 9) < ($1.path, order[$1.method] ?? 9) }) {
        page += Self.render(operation, words)
      }
      page += "</section>\n"
    }
    page += "<section aria-labelledby=\"schemas\"><h2 id=\"schemas\">\(words.schemas)</h2>\n"
    for (name, schema) in (document["components"]?["schemas"]?.object ?? [:]).sorted(by: { $0.key < $1.key }) {
      page += "<article><h3 id=\"schema-\(MarkupText.escaped(name))\">\(MarkupText.escaped(name))</h3>\n\(SchemaTable(schema, words).html)</article>\n"
    }
    html = page + "</section>\n</main>\n</body>\n</html>\n"
  }

  private static func render(_ operation: Operation, _ words: Words) -> String {
    let members = operation.members
    let isOpen = members["security"]?.array?.isEmpty ?? true
    var text = """
      <article>
      <h3 id="\(MarkupText.escaped(operation.id))"><span class="method \(operation.method.lowercased())">\(operation.method)</span> <code>\(MarkupText.escaped(operation.path))</code></h3>
      <p><strong>\(MarkupText.escaped(members["summary"]?.string ?? ""))</strong>\(isOpen ? " <span class=\"open\" lang=\"\(words.language)\">\(words.open)</span>" : "")</p>

      """
    if let description = members["description"]?.string { text += "<p>\(MarkupText.escaped(description))</p>\n" }
    if let parameters = members["parameters"]?.array, !parameters.isEmpty {
      text += "<table><caption lang=\"\(words.language)\">\(words.parameters)</caption>"
      text += "\(words.columns([words.name, words.place, words.type, words.meaning]))<tbody>\n"
      for parameter in parameters {
        let required = parameter["required"] == true ? " <em lang=\"\(words.language)\">\(words.required)</em>" : ""
        text += "<tr><th scope=\"row\"><code>\(MarkupText.escaped(parameter["name"]?.string ?? ""))</code>\(required)</th>"
        text += "<td>\(MarkupText.escaped(parameter["in"]?.string ?? ""))</td><td>\(SchemaTable.type(parameter["schema"] ?? [:]))</td>"
        text += "<td>\(MarkupText.escaped(parameter["description"]?.string ?? ""))</td></tr>\n"
      }
      text += "</tbody></table>\n"
    }
    for (mediaType, content) in members["requestBody"]?["content"]?.object ?? [:] {
      text +=
        "<h4 lang=\"\(words.language)\">\(words.body) <code>\(MarkupText.escaped(mediaType))</code></h4>\n\(SchemaTable(content["schema"] ?? [:], words).html)"
    }
    text += "<h4 lang=\"\(words.language)\">\(words.answers)</h4>\n<dl>\n"
    for (status, answer) in (members["responses"]?.object ?? [:]).sorted(by: { $0.key < $1.key }) where answer["$ref"] == nil {
      text += "<dt><code>\(MarkupText.escaped(status))</code> \(MarkupText.escaped(answer["description"]?.string ?? ""))</dt>\n"
      for (_, content) in answer["content"]?.object ?? [:] {
        if let schema = content["schema"] { text += "<dd>\(SchemaTable(schema, words).html)</dd>\n" }
      }
    }
    let problems = (members["responses"]?.object ?? [:]).filter { $0.value["$ref"] != nil }.keys.sorted()
    if !problems.isEmpty {
      text += "<dt lang=\"\(words.language)\">\(words.problems)</dt><dd><code>\(problems.joined(separator: "</code>, <code>"))</code>"
      text += " – <a href=\"#schema-problem\">problem</a></dd>\n"
    }
    return text + "</dl>\n</article>\n"
  }

  private static let style = """
    :root{color-scheme:light dark;--line:#8884;--faint:#8882}
    body{font:1rem/1.5 system-ui,sans-serif;margin:0 auto;max-width:70rem;padding:1rem}
    code{font-family:ui-monospace,monospace;font-size:.92em}
    nav ul{columns:14rem;padding-left:1.2rem}
    article{border-top:1px solid var(--line);padding:.5rem 0 1rem}
    table{border-collapse:collapse;width:100%;margin:.5rem 0}
    caption{text-align:left;font-weight:600}
    th,td{border-bottom:1px solid var(--line);padding:.25rem .5rem;text-align:left;vertical-align:top;overflow-wrap:anywhere}
    th{font-weight:600}
    dd{margin-left:1.5rem}
    .method{display:inline-block;min-width:4.5em;padding:0 .4em;border-radius:.25em;background:var(--faint);font-family:ui-monospace,monospace}
    .open{font-size:.85em;border:1px solid var(--line);border-radius:.25em;padding:0 .4em}
    .skip{position:absolute;left:-99rem}.skip:focus{position:static}
    :target{outline:2px solid Highlight;outline-offset:4px}
    """
}
