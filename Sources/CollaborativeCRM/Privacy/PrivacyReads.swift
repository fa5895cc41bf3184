import CRMCore
import Foundation
import PostgresClient

private struct PersonQuery: OperationInput {
  let name, email, phone, number: String?

  init(_ fields: inout InputReader) {
    name = fields.optionalText("name", "Their name, whole.", maximum: 300)
    email = fields.optionalText("email", "Their e-mail address.", maximum: 320)
    phone = fields.optionalText("phone", "Their telephone number.", maximum: 40)
    number = fields.optionalText("number", "Their identity or tax number.", maximum: 20)
    if name == nil, email == nil, phone == nil, number == nil {
      fields.refuse("name", code: "required", Phrase("Give at least one thing to look for.", tr: "Aranacak en az bir bilgi verin."))
    }
  }
}

private struct RegisterQuery: OperationInput {
  let relation, category: String?

  init(_ fields: inout InputReader) {
    relation = fields.optionalText("table", "One table alone, such as crm.customer.", maximum: 100)
    category = fields.optionalText("category", "One kind of data alone.", maximum: 100)
  }
}

private struct SensitiveReadQuery: OperationInput {
  let resource: String?
  let recordID, userID, requestID: UUID?
  let from, until: Date?
  let limit: Int

  init(_ fields: inout InputReader) {
    resource = fields.optionalText("resource", "Of one resource alone, such as customers.", maximum: 100)
    recordID = fields.optionalID("record_id", "Who was shown this record.")
    userID = fields.optionalID("user_id", "What this user was shown.")
    requestID = fields.optionalID("request_id", "In one request alone.")
    from = fields.optionalInstant("from", "Nothing earlier than this.")
    until = fields.optionalInstant("until", "Only what is earlier than this: the time of the last one seen, to read on.")
    limit = fields.optionalInteger("limit", "At most so many; 50 when left out.", in: 1...1_000) ?? 50
  }
}

private struct NoQuery: OperationInput { init(_ fields: inout InputReader) {} }

extension Request {
  /// The request that the address names.
  fileprivate var privacyRequestID: UUID {
    get throws(Problem) {
      guard let id = parameters["id"].flatMap(UUID.init(uuidString:)) else { throw .notFound }
      return id
    }
  }
}

extension ReadOperation {
  static let privacySteps = ReadOperation(
    "list_privacy_steps", "/v1/privacy_requests/{id}/steps", tag: "privacy_requests", access: .read(.admin), "Every step of a request", input: NoQuery.self,
    row: [
      "at": AnswerField.instant, "step": AnswerField.text, "actor_id": AnswerField.optional(AnswerField.id), "actor": AnswerField.optional(AnswerField.text),
      "detail": ["type": "object"],
    ], reading: [.admin],
    mustExist: { request in "SELECT q.id FROM crm.privacy_request q WHERE q.id = \(try request.privacyRequestID)" }
  ) { request, _ in
    """
    SELECT s.at, s.step, s.actor_id, (SELECT u.name FROM crm.app_user u WHERE u.id = s.actor_id) AS actor, s.detail
    FROM crm.privacy_step s WHERE s.request_id = \(try request.privacyRequestID) ORDER BY s.at, s.id
    """
  }

  static let personsByIdentifier = ReadOperation(
    "find_persons", "/v1/privacy_requests/persons", tag: "privacy_requests", access: .write(.admin), "Find the person behind a request",
    description: "Customers, contacts and leads with this name, address or number, as far as the caller may read them; those with most in common first.",
    input: PersonQuery.self,
    row: [
      "customer_id": AnswerField.optional(AnswerField.id), "contact_id": AnswerField.optional(AnswerField.id),
      "lead_id": AnswerField.optional(AnswerField.id), "kind": AnswerField.text, "name": AnswerField.optional(AnswerField.text),
      "matched": ["type": "array", "items": AnswerField.text],
    ], reading: [.customers, .sales]
  ) { _, query in
    "SELECT p.customer_id, p.contact_id, p.lead_id, p.kind, p.name, p.matched FROM crm.find_persons(\(query.name), \(query.email), \(query.phone), \(query.number)) p"
  }

  static let erasurePlan = ReadOperation(
    "plan_erasure", "/v1/privacy_requests/{id}/plan", tag: "privacy_requests", access: .write(.admin), "What erasing this person would do (a dry run)",
    description: "By table: what is deleted, emptied or kept, how many rows, which personal columns, on which basis and until when. Nothing is changed.",
    input: NoQuery.self,
    row: [
      "table": AnswerField.text, "action": ["type": "string", "enum": ["delete", "anonymise", "keep"]], "rows": AnswerField.count,
      "columns": ["type": "array", "items": AnswerField.text], "basis_en": AnswerField.text, "basis_tr": AnswerField.text,
      "keep_until": AnswerField.optional(AnswerField.day),
    ], reading: [.admin], extending: [.admin], lane: .reports,
    mustExist: { request in
      "SELECT q.id FROM crm.privacy_request q WHERE q.id = \(try request.privacyRequestID) AND q.identity_checked_at IS NOT NULL"
    }
  ) { request, _ in
    """
    SELECT p.relation AS "table", p.action, p.row_count AS rows, p.columns, p.basis_en, p.basis_tr, p.keep_until
    FROM crm.privacy_request q CROSS JOIN LATERAL crm.erasure_plan(q.id) p
    WHERE q.id = \(try request.privacyRequestID) AND q.identity_checked_at IS NOT NULL
    """
  }

  static let sensitiveReads = ReadOperation(
    "list_sensitive_reads", "/v1/sensitive_reads", tag: "privacy_requests", access: .read(.admin), "Who was shown which persons' sensitive data, latest first",
    description: """
      Every list, record, export, history and page of changes that showed a field which the register of processing calls sensitive, with the request's id; written \
      about a second after. Records without a value are not in it.
      """, input: SensitiveReadQuery.self,
    row: [
      "id": AnswerField.id, "at": AnswerField.instant, "user_id": AnswerField.optional(AnswerField.id), "user": AnswerField.optional(AnswerField.text),
      "via": AnswerField.text, "request_id": AnswerField.id, "resource": AnswerField.text, "fields": ["type": "array", "items": AnswerField.text],
      "record_ids": ["type": "array", "items": AnswerField.id],
    ], reading: [.admin]
  ) { _, query in
    """
    SELECT r.id, r.at, r.user_id, (SELECT u.name FROM crm.app_user u WHERE u.id = r.user_id) AS "user", r.via, r.request_id, r.resource, r.fields, r.record_ids
      FROM crm.sensitive_read r
     WHERE (\(query.resource)::text IS NULL OR r.resource = \(query.resource)) AND (\(query.recordID)::uuid IS NULL OR r.record_ids @> ARRAY[\(query.recordID)::uuid])
       AND (\(query.userID)::uuid IS NULL OR r.user_id = \(query.userID)) AND (\(query.requestID)::uuid IS NULL OR r.request_id = \(query.requestID))
       AND (\(query.from)::timestamptz IS NULL OR r.at >= \(query.from)) AND (\(query.until)::timestamptz IS NULL OR r.at < \(query.until))
     ORDER BY r.at DESC, r.id DESC LIMIT \(query.limit)
    """
  }

  static let processingRegister = ReadOperation(
    "get_processing_register", "/v1/processing_register", tag: "privacy_requests", access: .read(.admin),
    "The register of processing: every column with personal data, what for and how long", input: RegisterQuery.self,
    row: [
      "table": AnswerField.text, "column": AnswerField.text, "meaning": AnswerField.text, "category": AnswerField.text, "title_en": AnswerField.text,
      "title_tr": AnswerField.text, "persons": AnswerField.text, "purpose_en": AnswerField.text, "purpose_tr": AnswerField.text,
      "legal_basis": AnswerField.text, "recipients_en": AnswerField.text, "recipients_tr": AnswerField.text, "retention_en": AnswerField.text,
      "retention_tr": AnswerField.text, "is_sensitive": AnswerField.flag,
    ], reading: [.admin]
  ) { _, query in
    """
    SELECT r.relation AS "table", r.column_name AS "column", r.meaning, coalesce(r.category, '') AS category, coalesce(r.title_en, '') AS title_en,
      coalesce(r.title_tr, '') AS title_tr, coalesce(r.persons, '') AS persons, coalesce(r.purpose_en, '') AS purpose_en, coalesce(r.purpose_tr, '') AS purpose_tr,
      coalesce(r.legal_basis, '') AS legal_basis, coalesce(r.recipients_en, '') AS recipients_en, coalesce(r.recipients_tr, '') AS recipients_tr,
      coalesce(r.retention_en, '') AS retention_en, coalesce(r.retention_tr, '') AS retention_tr, coalesce(r.is_sensitive, false) AS is_sensitive
    FROM crm.processing_register r
    WHERE (\(query.relation)::text IS NULL OR r.relation = \(query.relation)) AND (\(query.category)::text IS NULL OR r.category = \(query.category))
    ORDER BY r.relation, r.column_name
    """
  }
}
