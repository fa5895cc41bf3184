import CRMCore

/// A JSON Schema as an HTML table of its members, or as a line when it has none.
struct SchemaTable {
  let html: String

  init(_ schema: JSON, _ words: Words) {
    guard let properties = schema["properties"]?.object, !properties.isEmpty else {
      html = "<p>\(Self.type(schema))\(Self.description(schema))</p>\n"
      return
    }
    let required = Set((schema["required"]?.array ?? []).compactMap(\.string))
    var text = schema["description"]?.string.map { "<p>\(MarkupText.escaped($0))</p>\n" } ?? ""
    text += "<table>\(words.columns([words.name, words.type, words.meaning]))<tbody>\n"
    for (name, property) in properties.sorted(by: { $0.key < $1.key }) {
      let mark = required.contains(name) ? " <em lang=\"\(words.language)\">\(words.required)</em>" : ""
      let meaning = MarkupText.escaped(property["description"]?.string ?? "")
      text += "<tr><th scope=\"row\"><code>\(MarkupText.escaped(name))</code>\(mark)</th>"
      text += "<td>\(Self.type(property))</td><td>\(meaning)</td></tr>\n"
    }
    html = text + "</tbody></table>\n"
  }

  private static func description(_ schema: JSON) -> String {
    schema["description"]?.string.map { " – \(MarkupText.escaped($0))" } ?? ""
  }

  /// The type in a few words, with a link where it has a name.
  static func type(_ schema: JSON) -> String {
    if let reference = schema["$ref"]?.string, let name = reference.split(separator: "/").last {
      return "<a href=\"#schema-\(MarkupText.escaped(String(name)))\">\(MarkupText.escaped(String(name)))</a>"
    }
    for (key, separator) in [("oneOf", " | "), ("anyOf", " | "), ("allOf", " &amp; ")] {
      if let parts = schema[key]?.array { return parts.map(type).joined(separator: separator) }
    }
    if let values = schema["enum"]?.array {
      return values.map { "<code>\(MarkupText.escaped($0.string ?? "null"))</code>" }.joined(separator: " ")
    }
    let names = schema["type"]?.string.map { [$0] } ?? (schema["type"]?.array ?? []).compactMap(\.string)
    let listed = names.map { name in
      name == "array" ? "array of \(type(schema["items"] ?? [:]))" : MarkupText.escaped(name)
    }
    let format = schema["format"]?.string.map { " (\(MarkupText.escaped($0)))" } ?? ""
    return (listed.isEmpty ? "any" : listed.joined(separator: " | ")) + format
  }
}
