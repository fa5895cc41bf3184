package import CRMCore
import Foundation
package import PostgresClient

/// A record that may mean the same as another, with what speaks for it.
package struct DuplicateCandidate: Sendable {
  /// From this score on a new record is held back until somebody says that it is another one.
  static let suspicion: Decimal = 0.6

  let resource: String
  let id: UUID
  let customerID: UUID?
  let name: String
  /// How sure it is, from 0 to 1.
  let score: Decimal
  let rules: [String]
  /// How alike the names are, from 0 to 1.
  let similarity: Decimal?

  /// What the score rests on, in words.
  var explanation: Phrase {
    let parts = rules.map { rule in
      switch rule {
      case "identifier": Phrase("the same tax or identity number", tr: "aynı vergi ya da kimlik numarası")
      case "email": Phrase("the same e-mail address", tr: "aynı e-posta adresi")
      case "phone": Phrase("the same telephone number", tr: "aynı telefon numarası")
      case "other_identifier": Phrase("but another tax or identity number", tr: "ama farklı bir vergi ya da kimlik numarası")
      default: nameExplanation
      }
    }
    return Phrase(Self.sentence(parts.map(\.english)), tr: Self.sentence(parts.map(\.turkish)))
  }

  private var nameExplanation: Phrase {
    let percent = NSDecimalNumber(decimal: (similarity ?? 0) * 100).intValue
    return percent >= 100 ? Phrase("the same name", tr: "aynı ad") : Phrase("a similar name (\(percent) %)", tr: "benzer bir ad (%\(percent))")
  }

  private static func sentence(_ parts: [String]) -> String {
    let joined = parts.joined(separator: ", ")
    return joined.prefix(1).uppercased() + joined.dropFirst() + "."
  }

  package func json(in language: Language) -> JSON {
    [
      "resource": .string(resource), "id": .string(id.lowercase), "customer_id": customerID.map { .string($0.lowercase) } ?? .null, "name": .string(name),
      "score": .number(score), "similarity": similarity.map(JSON.number) ?? .null, "rules": .array(rules.map(JSON.string)),
      "explanation": .string(explanation.text(in: language)),
    ]
  }

  static let schema: JSON = [
    "type": "object", "required": ["resource", "id", "customer_id", "name", "score", "similarity", "rules", "explanation"],
    "properties": [
      "resource": ["enum": ["customers", "contacts", "leads"]], "id": ["type": "string", "format": "uuid"],
      "customer_id": ["type": ["string", "null"], "format": "uuid", "description": "The customer it is, belongs to or became."],
      "name": ["type": "string"], "score": ["type": "number", "minimum": 0, "maximum": 1, "description": "How sure it is."],
      "similarity": ["type": ["number", "null"], "description": "How alike the names are."],
      "rules": ["type": "array", "items": ["enum": ["identifier", "email", "phone", "name", "other_identifier"]]],
      "explanation": ["type": "string", "description": "What the score rests on, in words."],
    ],
  ]
}

extension DuplicateCandidate: RowDecodable {
  package init(row: PostgresRow) throws {
    resource = try row.decode(String.self, "resource")
    id = try row.decode(UUID.self, "id")
    customerID = try row.decode(UUID?.self, "customer_id")
    name = try row.decode(String.self, "name")
    score = try row.decode(Decimal.self, "score")
    rules = try row.decode([String].self, "rules")
    similarity = try row.decode(Decimal?.self, "similarity")
  }
}

extension Problem {
  /// A new record seems to be known already.
  static func possibleDuplicate(_ candidates: [DuplicateCandidate], _ language: Language) throws -> Problem {
    let list = JSON.array(candidates.map { $0.json(in: language) })
    return Problem(
      409, "possible-duplicate", Phrase("This may be known already.", tr: "Bu kayıt zaten var olabilir."),
      detail: Phrase(
        "Look at the candidates. If it is none of them, send the request again with \"force_duplicate\": true.",
        tr: "Adaylara bakın. Hiçbiri değilse isteği \"force_duplicate\": true ile yeniden gönderin."),
      extensions: [("candidates", String(decoding: try list.encoded(), as: UTF8.self))])
  }
}
