/// A text with places to fill in, written `{{customer.name}}`.
struct CannedText {
  /// What can be filled in; the database refuses others (`crm.placeholders`).
  static let placeholders = ["customer.name", "contact.name", "ticket.number", "ticket.subject", "order.number", "agent.name", "team.name", "today"]

  let text: String

  init(_ text: String) { self.text = text }

  /// The text with its values; places without one stay, and are named once each in their order. A value is never looked through for places.
  func filled(with values: [String: String]) -> (text: String, missing: [String]) {
    var result = ""
    var missing: [String] = []
    var rest = text[...]
    while let start = rest.firstRange(of: "{{"), let end = rest[start.upperBound...].firstRange(of: "}}") {
      result += rest[..<start.lowerBound]
      let name = rest[start.upperBound..<end.lowerBound].split(whereSeparator: \.isWhitespace).joined(separator: " ")
      if let value = values[name], !value.isEmpty {
        result += value
      } else {
        result += rest[start.lowerBound..<end.upperBound]
        if !missing.contains(name) { missing.append(name) }
      }
      rest = rest[end.upperBound...]
    }
    return (result + rest, missing)
  }
}
