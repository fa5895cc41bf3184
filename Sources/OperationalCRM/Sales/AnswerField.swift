import CRMCore

/// JSON Schemas of the fields in answers to questions about sales.
enum AnswerField {
  static let id: JSON = .object(ColumnType.uuid.schema)
  static let text: JSON = .object(ColumnType.text.schema)
  static let day: JSON = .object(ColumnType.date.schema)
  static let count: JSON = ["type": "integer", "minimum": 0]
  /// An exact decimal, as text.
  static let decimal: JSON = .object(ColumnType.numeric(precision: nil, scale: nil).schema)

  /// The same field where it may be unknown.
  static func optional(_ field: JSON) -> JSON {
    guard var schema = field.object, let type = schema["type"] else { return field }
    schema["type"] = [type, "null"]
    return .object(schema)
  }
}
