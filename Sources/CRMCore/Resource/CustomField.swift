/// A field that people added to a resource; its values live in the jsonb column `custom`.
package struct CustomField: Sendable, Hashable {
  package enum Kind: String, Sendable, CaseIterable {
    case text, number, boolean, date, choice, choices
  }

  package let name: String
  package let kind: Kind
  package let label: Phrase
  package let isRequired: Bool
  /// The values of a choice; empty for the other kinds.
  package let options: [String]

  package init(name: String, kind: Kind, label: Phrase, isRequired: Bool, options: [String]) {
    self.name = name
    self.kind = kind
    self.label = label
    self.isRequired = isRequired
    self.options = options
  }

  /// The column type its values are compared as.
  var type: ColumnType {
    switch kind {
    case .text, .choice: .text
    case .number: .numeric(precision: nil, scale: nil)
    case .boolean: .boolean
    case .date: .date
    case .choices: .array(.text)
    }
  }
}

extension CustomField {
  /// JSON Schema of its values; null takes a value away.
  var schema: JSON {
    var schema: [String: JSON] = ["title": .string(label.english), "description": .string("\(label.english) | \(label.turkish)")]
    switch kind {
    case .text: schema["type"] = ["string", "null"]
    case .number: schema["type"] = ["number", "null"]
    case .boolean: schema["type"] = ["boolean", "null"]
    case .date:
      schema["type"] = ["string", "null"]
      schema["format"] = "date"
    case .choice: schema["enum"] = .array(options.map(JSON.string) + [.null])
    case .choices:
      schema["type"] = ["array", "null"]
      schema["items"] = ["enum": .array(options.map(JSON.string))]
    }
    return .object(schema)
  }
}

/// The custom fields of every resource, as they stood when a request came in.
package struct CustomFields: Sendable, Hashable {
  private let fields: [String: [CustomField]]
  package init(_ fields: [String: [CustomField]] = [:]) { self.fields = fields }
  package subscript(resource: String) -> [CustomField] { fields[resource] ?? [] }
}
