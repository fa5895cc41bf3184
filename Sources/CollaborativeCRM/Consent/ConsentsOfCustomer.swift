import CRMCore
import Foundation
import PostgresClient

private struct Standing: OperationInput {
  let instant, knownAt: Date?

  init(_ fields: inout InputReader) {
    instant = fields.optionalInstant("at", "The instant at which it is asked; now when not given.")
    knownAt = fields.optionalInstant("known_at", "Leave out what became known later, to see what could be known then.")
  }
}

extension ReadOperation {
  /// How consent stands for every address a customer has, or had said something for.
  static let consentsOfCustomer = ReadOperation(
    "get_consents_of_customer", "/v1/customers/{id}/consents", tag: "consent_events", access: .read(.customers),
    "How consent stands for a customer's addresses, now or at an instant",
    description: "One row for each address, channel, purpose and brand of which anything was said, and for each address the offered purposes. Only ONAY allows "
      + "commercial messages; null is no consent.",
    input: Standing.self,
    row: [
      "channel": AnswerField.text, "address": AnswerField.text, "contact_id": AnswerField.optional(AnswerField.id), "purpose": AnswerField.text,
      "brand_id": AnswerField.optional(AnswerField.id), "status": AnswerField.optional(AnswerField.text), "suppressed": AnswerField.flag,
    ], reading: [.customers, .marketing],
    mustExist: { request in
      guard let id = request.parameters["id"].flatMap(UUID.init(uuidString:)) else { throw Problem.notFound }
      return "SELECT 1 FROM crm.customer AS c WHERE c.id = \(id)"
    }
  ) { request, input in
    guard let id = request.parameters["id"].flatMap(UUID.init(uuidString:)) else { throw Problem.notFound }
    return """
      WITH known AS (
        SELECT c.channel, crm.normal_address(c.channel, p.value) AS address, p.contact_id, u.code AS purpose, NULL::uuid AS brand_id
          FROM crm.contact_point p
          JOIN (VALUES ('email', 'email'), ('phone', 'sms'), ('phone', 'phone'), ('whatsapp', 'social')) AS c (kind, channel) ON c.kind = p.kind
          CROSS JOIN crm.consent_purpose u
         WHERE p.customer_id = \(id) AND u.is_offered
        UNION
        SELECT e.channel, e.address, e.contact_id, e.purpose, e.brand_id FROM crm.consent_event e WHERE e.customer_id = \(id) AND e.address IS NOT NULL
      )
      SELECT k.channel, k.address, k.contact_id, k.purpose, k.brand_id,
             crm.consent_at(k.address, k.channel, k.purpose, k.brand_id, \(input.instant), \(id), k.contact_id, coalesce(\(input.knownAt)::timestamptz, 'infinity')) AS status,
             crm.is_suppressed(k.channel, k.address, k.brand_id) AS suppressed
        FROM known k WHERE k.address IS NOT NULL ORDER BY 1, 2, 4, 5, 3 LIMIT 1000
      """
  }
}
