import CRMCore
import Foundation
import PostgresClient

extension Concept {
  /// One customer at a glance.
  static let customer360 = Concept(reads: [.customer360])
}

extension ReadOperation {
  private static func object(_ properties: [String: JSON]) -> JSON {
    ["type": ["object", "null"], "required": .array(properties.keys.sorted().map(JSON.string)), "properties": .object(properties)]
  }

  private static func list(_ properties: [String: JSON]) -> JSON { PurchaseAnswer.list(properties) }

  private static func maybe(_ field: JSON) -> JSON { AnswerField.optional(field) }

  private static let text = AnswerField.text
  private static let id = AnswerField.id
  private static let decimal = AnswerField.decimal
  private static let parts: [String: JSON] = [
    "as_of": AnswerField.instant, "method": text,
    "customer": object([
      "id": id, "kind": text, "name": text, "lifecycle_phase": text, "locale": text, "tax_number": maybe(text), "website": maybe(text), "parent_id": maybe(id),
      "referred_by_id": maybe(id),
      "department_id": id, "department": maybe(text), "owner_id": maybe(id), "owner": maybe(text), "created_at": AnswerField.instant,
    ]),
    "contacts": list(["id": id, "name": text, "job_title": maybe(text), "points": list(["kind": text, "value": text])]),
    "purchases": list(["currency": text, "orders": AnswerField.count, "revenue": decimal, "first_at": AnswerField.instant, "last_at": AnswerField.instant]),
    "value": object([
      "model": text, "version": AnswerField.count, "as_of": AnswerField.instant, "score": maybe(AnswerField.number), "rank": maybe(AnswerField.count),
      "n": maybe(AnswerField.count), "tier": text,
      "since": AnswerField.instant,
      "keys": list([
        "metric": text, "label": maybe(text), "raw": maybe(AnswerField.number), "normalised": maybe(AnswerField.number),
        "contribution": maybe(AnswerField.number),
      ]),
    ]),
    "rfm": object([
      "cell": AnswerField.count, "group": text, "recency_days": AnswerField.count, "orders": AnswerField.count, "revenue": decimal, "currency": text,
    ]),
    "lifetime": object([
      "as_of": AnswerField.instant, "p_alive": AnswerField.number, "expected_purchases_365_days": AnswerField.number, "clv": maybe(decimal), "currency": text,
    ]),
    "profit": object([
      "as_of": AnswerField.instant, "revenue": decimal, "margin": decimal, "cost_to_serve": decimal, "profit": decimal, "currency": maybe(text),
    ]),
    "segments": list(["code": text, "name": text, "since": AnswerField.instant]),
    "cell": object([
      "grid": text, "band": text, "group": text, "strategy": maybe(text), "owner_id": maybe(id), "discount_cap_percent": maybe(decimal),
      "sla_class": maybe(text),
      "contact_cadence_days": maybe(AnswerField.count), "channel": maybe(text),
    ]),
    "phase": object(["phase": text, "since": AnswerField.instant, "reason": text]),
    "open_business": object([
      "opportunities": list([
        "id": id, "name": text, "amount": maybe(decimal), "currency": text, "probability": maybe(decimal), "close_on": maybe(AnswerField.day),
        "next_step": maybe(text),
      ]),
      "quotes": list(["id": id, "number": text, "status": text, "total_amount": decimal, "currency": text, "valid_until": AnswerField.day]),
      "orders": list(["id": id, "number": maybe(text), "status": text, "amount": decimal, "currency": text, "ordered_at": AnswerField.instant]),
      "contracts": list(["id": id, "number": maybe(text), "name": text, "monthly_amount": decimal, "currency": text, "renews_on": AnswerField.day]),
      "receivables": list(["currency": text, "open": decimal, "overdue": decimal]),
    ]),
    "last_contacts": list([
      "id": id, "kind": text, "subject": text, "starts_at": AnswerField.instant, "status": text, "outcome": maybe(text), "next_step": maybe(text),
    ]),
    "campaigns": list(["campaign": text, "channel": text, "touched_at": AnswerField.instant]),
    "next_best_action": object([
      "kind": text, "reason": text, "record": text, "record_id": id, "expected_value": maybe(decimal), "currency": maybe(text),
    ]),
  ]

  static let customer360 = ReadOperation(
    "get_customer_360", "/v1/customers/{id}/360", tag: "customers", access: .read(.customers), "Read a customer at a glance",
    description:
      "Who it is, what it is worth and why, where it stands, what is open, what was last spoken about, and what to do next; as far as you may see it: parts that you may not see "
      + "are empty or null, as are those that no run has computed yet. Value is that of /value, as it stands now; profit is the margin of the model's window less the cost to serve, as of its last run.",
    input: NoInput.self, answer: ("application/json", object(parts).required), refusals: [404], reading: Set(Area.allCases), extending: [.analytics],
    statements: { request, _ in
      [
        """
        SELECT as_of, method, customer_record AS customer, contacts, purchases, value, rfm, lifetime, profit, segments, cell, phase, open_business, last_contacts, campaigns,
               next_best_action
          FROM analytics.customer_360(\(request.parameters["id"].flatMap(UUID.init(uuidString:))), \(request.language.rawValue))
        """
      ]
    },
    respond: { _, results in
      guard results[0].count == 1 else { throw Problem.notFound }
      var writer = JSONWriter(capacity: 4096)
      writer.writeRow(results[0], 0)
      return .json(writer.take())
    })
}

extension JSON {
  /// The same schema without null.
  fileprivate var required: JSON {
    guard var schema = object else { return self }
    schema["type"] = "object"
    return .object(schema)
  }
}
