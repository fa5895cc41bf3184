import CRMCore
import PostgresClient

/// The answer to a question about purchases: one row whose columns are its members, and the currency.
enum PurchaseAnswer {
  /// JSON Schema of an answer with these members beside what all have.
  static func schema(_ members: [String: JSON]) -> (mediaType: String, schema: JSON?) {
    let all: [String: JSON] = heading.merging(["time_zone": AnswerField.text, "currency": AnswerField.text]) { $1 }.merging(members) { $1 }
    return ("application/json", ["type": "object", "required": .array(all.keys.sorted().map(JSON.string)), "properties": .object(all)])
  }

  /// What every answer of an analysis has.
  static let heading: [String: JSON] = [
    "as_of": AnswerField.instant, "method": AnswerField.text, "model": AnswerField.text, "version": AnswerField.count, "n": AnswerField.count,
  ]

  /// JSON Schema of a list of objects.
  static func list(_ row: [String: JSON]) -> JSON {
    ["type": "array", "items": ["type": "object", "required": .array(row.keys.sorted().map(JSON.string)), "properties": .object(row)]]
  }

  /// - Parameter results: of `PurchaseScope.currencies`, and of the statement that gives the one row.
  static func respond(_ results: [PostgresResult]) throws -> Response {
    let currency = try PurchaseScope.currency(checking: results[0])
    var writer = JSONWriter(capacity: 4096)
    writer.beginObject()
    writer.writeMembers(results[1], 0)
    writer.key("currency")
    writer.string(currency)
    writer.endObject()
    return .json(writer.take())
  }
}
