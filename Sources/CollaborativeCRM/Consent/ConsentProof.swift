import CRMCore
import Foundation
import PostgresClient

private struct ProofQuestion: OperationInput {
  let address: String?
  let brandID: UUID?

  init(_ fields: inout InputReader) {
    address = fields.optionalText("address", "Only what was said for this address.", maximum: 320)
    brandID = fields.optionalID("brand_id", "Only what was said to this brand, or to the company itself.")
  }
}

extension ReadOperation {
  /// What proves that a customer allowed or refused something, for whoever asks the company to prove it (Law 6563, KVKK, GDPR 7).
  static let consentProof = ReadOperation(
    "get_consent_proof", "/v1/customers/{id}/consent_proof", tag: "consent_events", access: .read(.customers),
    "What proves a customer's consents: each thing said with its evidence, what the registry made of it, and what was sent upon it",
    description:
      "In the order in which it was said. document_hash is the SHA-256 of the form or recording. messages counts what was sent upon it, as far as the caller may "
      + "see it; registry tells of each brand that is in the registry (İYS).",
    input: ProofQuestion.self,
    row: [
      "consent_event_id": AnswerField.id, "contact_id": AnswerField.optional(AnswerField.id), "channel": AnswerField.text,
      "address": AnswerField.optional(AnswerField.text), "recipient_type": AnswerField.text, "brand": AnswerField.optional(AnswerField.text),
      "purpose": AnswerField.text, "status": AnswerField.text, "consented_at": AnswerField.instant, "valid_until": AnswerField.optional(AnswerField.instant),
      "source": AnswerField.text, "text_version": AnswerField.optional(AnswerField.text), "document_hash": AnswerField.optional(AnswerField.text),
      "remote_address": AnswerField.optional(AnswerField.text), "user_agent": AnswerField.optional(AnswerField.text),
      "taken_down_by": AnswerField.optional(AnswerField.text), "note": AnswerField.optional(AnswerField.text), "received_at": AnswerField.instant,
      "registry_transaction": AnswerField.optional(AnswerField.text), "registry": ["type": "array", "items": ["type": "object"]],
      "messages": AnswerField.count, "first_message_at": AnswerField.optional(AnswerField.instant),
      "last_message_at": AnswerField.optional(AnswerField.instant),
    ], reading: [.customers, .marketing, .admin],
    mustExist: { request in "SELECT 1 FROM crm.customer AS c WHERE c.id = \(try request.recordID())" }
  ) { request, input in
    """
    SELECT e.id AS consent_event_id, e.contact_id, e.channel, e.address, e.recipient_type, b.name AS brand, e.purpose, e.status, e.consented_at, e.valid_until, e.source,
           e.text_version, e.document_hash, e.remote_address, e.user_agent, u.name AS taken_down_by, e.note, e.received_at, e.registry_transaction,
           coalesce((SELECT jsonb_agg(jsonb_build_object('brand', r.brand, 'state', r.state, 'transaction_id', r.transaction_id, 'problem', r.problem, 'settled_at', r.settled_at))
                       FROM crm.registry_standing(e.id) AS r), '[]') AS registry,
           m.messages, m.first_message_at, m.last_message_at
      FROM crm.consent_event e
      LEFT JOIN crm.brand b ON b.id = e.brand_id
      LEFT JOIN crm.app_user u ON u.id = e.operator_id
      CROSS JOIN LATERAL (
        SELECT count(*) AS messages, min(o.sent_at) AS first_message_at, max(o.sent_at) AS last_message_at
          FROM crm.outbound_message o WHERE o.customer_id = e.customer_id AND o.consent_event_id = e.id AND o.sent_at IS NOT NULL) AS m
     WHERE e.customer_id = \(try request.recordID()) AND (\(input.address)::text IS NULL OR e.address = crm.normal_address(e.channel, \(input.address)))
       AND (\(input.brandID)::uuid IS NULL OR e.brand_id = \(input.brandID) OR e.brand_id IS NULL)
     ORDER BY e.consented_at, e.received_at, e.id LIMIT 1000
    """
  }
}
