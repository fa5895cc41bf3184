/// JSON Schemas of the fields in answers to questions.
package enum AnswerField {
  package static let id: JSON = .object(ColumnType.uuid.schema)
  package static let text: JSON = .object(ColumnType.text.schema)
  package static let day: JSON = .object(ColumnType.date.schema)
  package static let instant: JSON = .object(ColumnType.timestamp.schema)
  package static let flag: JSON = ["type": "boolean"]
  package static let count: JSON = ["type": "integer", "minimum": 0]
  package static let integer: JSON = ["type": "integer"]
  /// An exact decimal, as text: money, quantities.
  package static let decimal: JSON = .object(ColumnType.numeric(precision: nil, scale: nil).schema)
  /// A number of floating point: scores, shares, probabilities.
  package static let number: JSON = ["type": "number"]

  /// The same field where it may be unknown.
  package static func optional(_ field: JSON) -> JSON {
    guard var schema = field.object, let type = schema["type"] else { return field }
    schema["type"] = [type, "null"]
    return .object(schema)
  }
}
