package import CRMCore
import Foundation
import PostgresClient

extension Concept {
  /// What is written once for a question that comes again.
  static let cannedAnswers = Concept(resources: [.cannedAnswers], operations: [.fillCannedAnswer], reads: [.usableCannedAnswers])
}

extension Resource {
  /// An answer with places that are filled in from the ticket.
  package static let cannedAnswers = Resource(
    "canned_answers", singular: "canned_answer", table: "crm.canned_answer", area: .service,
    create: ["code", "language", "title", "body", "team_id", "active"],
    change: ["code", "language", "title", "body", "team_id", "active"], deletable: true, expand: ["team"], search: ["title", "code"], order: "code")
}

private struct FillingIn: OperationInput {
  let ticketID: UUID?
  let customerID: UUID?
  let contactID: UUID?

  init(_ fields: inout InputReader) {
    ticketID = fields.optionalID("ticket_id", "The ticket that is answered.")
    customerID = fields.optionalID("customer_id", "The customer who is answered; the ticket's when left out.")
    contactID = fields.optionalID("contact_id", "The person who is answered; the ticket's when left out.")
  }
}

private struct UsableAnswers: OperationInput {
  let language: String?
  let words: String?

  init(_ fields: inout InputReader) {
    language = fields.optionalOption("language", "Only in this language.", of: ArticleLanguage.self)?.rawValue
    words = fields.optionalText("q", "The beginning of the code, or a part of the title.", maximum: 100)
  }
}

extension BusinessOperation {
  static let fillCannedAnswer = BusinessOperation(
    "fill_canned_answer", .post, "/v1/canned_answers/{id}/fill", of: "canned_answers", access: .read(.service), "A canned answer, filled in for a ticket",
    description: """
      Nothing is sent. What is not known of the ticket or the customer, or may not be seen, stays as it is and is named in missing. An answer of a team is \
      filled in by its members and for its tickets.
      """,
    input: FillingIn.self,
    answer: .json([
      "type": "object", "required": ["text", "missing"], "properties": ["text": AnswerField.text, "missing": ["type": "array", "items": AnswerField.text]],
    ])
  ) { run, input in
    let id = try run.id()
    try await mustBeUsable(id, run, ticket: input.ticketID)
    guard
      let row = try await run.tx.result(
        """
        SELECT x.body, c.name AS "customer.name", p.name AS "contact.name", t.number AS "ticket.number", t.subject AS "ticket.subject", t.order_number AS "order.number",
               u.name AS "agent.name", m.name AS "team.name", to_char(crm.business_day(now()), CASE x.language WHEN 'tr' THEN 'DD.MM.YYYY' ELSE 'YYYY-MM-DD' END) AS today
          FROM crm.canned_answer x
          LEFT JOIN LATERAL (
            SELECT t.customer_id, t.contact_id, t.number, t.subject, t.team_id,
                   (SELECT coalesce(o.number, o.external_number) FROM crm.sales_order o WHERE o.customer_id = t.customer_id AND o.id = t.order_id) AS order_number
              FROM crm.ticket t WHERE t.id = \(input.ticketID)::uuid) AS t ON true
          LEFT JOIN crm.customer c ON c.id = coalesce(\(input.customerID)::uuid, t.customer_id)
          LEFT JOIN crm.contact p ON p.customer_id = c.id AND p.id = coalesce(\(input.contactID)::uuid, t.contact_id)
          LEFT JOIN crm.app_user u ON u.id = \(run.caller.userID)
          LEFT JOIN crm.team m ON m.id = coalesce(t.team_id, x.team_id)
         WHERE x.id = \(id)
        """
      ).rows.first
    else { throw Problem.notFound }
    var values: [String: String] = [:]
    for name in CannedText.placeholders { values[name] = try row.decode(String?.self, name) }
    let filled = CannedText(try row.decode("body")).filled(with: values)
    return .json(["text": .string(filled.text), "missing": .array(filled.missing.map(JSON.string))])
  }

  /// - Throws: 404 if there is no such answer, 409 if it is no longer offered, 403 if it is another team's.
  private static func mustBeUsable(_ id: UUID, _ run: Run, ticket: UUID?) async throws {
    let found = try await run.tx.result(
      """
      SELECT x.active, x.team_id IS NULL OR EXISTS (SELECT FROM crm.ticket t WHERE t.id = \(ticket)::uuid AND t.team_id = x.team_id)
             OR EXISTS (SELECT FROM crm.team m WHERE m.id = x.team_id AND m.lead_id = \(run.caller.userID)::uuid)
             OR EXISTS (SELECT FROM crm.team_member m WHERE m.team_id = x.team_id AND m.user_id = \(run.caller.userID)::uuid AND m.active) AS is_ours
        FROM crm.canned_answer x WHERE x.id = \(id)
      """)
    guard let row = found.rows.first else { throw Problem.notFound }
    guard try row.decode(Bool.self, "active") else {
      throw Problem(409, "canned-answer-inactive", Phrase("This answer is no longer offered.", tr: "Bu yanıt artık kullanılmıyor."))
    }
    guard try row.decode(Bool.self, "is_ours") else {
      throw Problem.forbidden(
        Phrase("This answer is for another team and its tickets.", tr: "Bu yanıt başka bir takım ve onun talepleri içindir."))
    }
  }
}

extension ReadOperation {
  static let usableCannedAnswers = ReadOperation(
    "list_usable_canned_answers", "/v1/canned_answers/usable", tag: "canned_answers", access: .read(.service),
    "The canned answers of one's own teams and those of every team", input: UsableAnswers.self,
    row: [
      "id": AnswerField.id, "code": AnswerField.text, "language": AnswerField.text, "title": AnswerField.text, "team_id": AnswerField.optional(AnswerField.id),
    ], reading: [.service]
  ) { request, given in
    """
    SELECT x.id, x.code, x.language, x.title, x.team_id FROM crm.canned_answer x
     WHERE x.active AND (\(given.language)::text IS NULL OR x.language = \(given.language)::text)
       AND (x.team_id IS NULL OR x.team_id IN (SELECT m.team_id FROM crm.team_member m WHERE m.user_id = \(request.caller.userID) AND m.active))
       AND (\(given.words)::text IS NULL OR x.code ^@ lower(\(given.words)::text) OR position(crm.search_key(\(given.words)::text) IN x.search_key) > 0)
     ORDER BY x.code, x.language, x.team_id NULLS LAST LIMIT 200
    """
  }
}
