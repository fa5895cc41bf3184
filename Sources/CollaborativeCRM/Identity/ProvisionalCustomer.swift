import CRMCore
import Foundation
import PostgresClient

extension Concept {
  /// People who wrote before anybody knew them.
  static let identity = Concept(operations: [.confirmCustomer], reads: [.identityReview])
}

private struct ReviewPage: OperationInput {
  let before: UUID?
  let limit: Int
  init(_ fields: inout InputReader) {
    before = fields.optionalID("before", "Only who wrote before this provisional customer: the last one of the page before.")
    limit = fields.optionalInteger("limit", "The most provisional customers to show; 50 if left out.", in: 1...200) ?? 50
  }
}

private struct Confirmation: OperationInput {
  let name: String?
  init(_ fields: inout InputReader) { name = fields.optionalText("name", "Who it is; the name the sender gave if left out.", maximum: 300) }
}

extension ReadOperation {
  /// What a colleague decides: the provisional customer is one of these (merge), or nobody known (confirm).
  static let identityReview = ReadOperation(
    "identity_review", "/v1/identity/review", tag: "customers", access: .read(.customers),
    "Unknown senders, newest first, each with the known customers they may be",
    description:
      "Decide by merging the provisional customer into a candidate (merge_customers) or by confirming it (confirm_customer). Nothing is merged by itself.",
    input: ReviewPage.self,
    row: [
      "customer_id": AnswerField.id, "name": AnswerField.text, "since": AnswerField.instant, "candidate_id": AnswerField.optional(AnswerField.id),
      "candidate_name": AnswerField.optional(AnswerField.text), "score": AnswerField.optional(AnswerField.decimal),
      "rules": ["type": ["array", "null"], "items": ["type": "string"]],
    ], reading: [.customers]
  ) { _, input in
    """
    SELECT r.customer_id, r.name, r.since, r.candidate_id, r.candidate_name, r.score, r.rules FROM crm.identity_candidates(\(input.limit), \(input.before)) AS r
    """
  }
}

extension BusinessOperation {
  static let confirmCustomer = BusinessOperation(
    "confirm_customer", .post, "/v1/customers/{id}/confirm", of: "customers", access: .write(.customers),
    "Say that an unknown sender is a customer of their own", input: Confirmation.self, answer: .record("customers")
  ) { run, input in
    let id = try run.id()
    let confirmed = try await run.tx.run(
      """
      UPDATE crm.customer SET provisional = false, name = coalesce(\(input.name), name),
        lifecycle_phase = CASE lifecycle_phase WHEN 'suspect' THEN 'prospect' ELSE lifecycle_phase END
       WHERE id = \(id) AND provisional
      """)
    if confirmed == 1 { return .record(id) }
    guard let provisional = try await run.tx.result("SELECT c.provisional FROM crm.customer AS c WHERE c.id = \(id)").rows.first?.decode(Bool.self, at: 0)
    else {
      throw Problem.notFound
    }
    if provisional {
      throw Problem.forbidden(Phrase("You may see this customer but not change it.", tr: "Bu müşteriyi görebilirsiniz ama değiştiremezsiniz."))
    }
    throw Problem(409, "customer-known", Phrase("This customer is not provisional.", tr: "Bu müşteri geçici değil."))
  }
}
