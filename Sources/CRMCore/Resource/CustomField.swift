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

/// The custom fields of every resource, as they stood when a request came in.
package struct CustomFields: Sendable {
  private let fields: [String: [CustomField]]
  package init(_ fields: [String: [CustomField]] = [:]) { self.fields = fields }
  package subscript(resource: String) -> [CustomField] { fields[resource] ?? [] }
}
