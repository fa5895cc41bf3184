import CRMCore
import Foundation
import PostgresClient

/// A survey as its operations see it, locked.
private struct LockedSurvey: RowDecodable {
  let id: UUID
  let kind: SurveyKind
  let status: String
  let followUpAtMost: Int?
  let scores: Int
  let questions: Int
  /// Whether it is known where the links in its messages lead.
  let hasAddress: Bool

  init(row: PostgresRow) throws {
    id = try row.decode("id")
    kind = try SurveyKind(of: row)
    status = try row.decode("status")
    followUpAtMost = try row.decode("follow_up_at_most")
    scores = try row.decode("scores")
    questions = try row.decode("questions")
    hasAddress = try row.decode("has_address")
  }

  /// - Throws: 404 if the caller may not read surveys, 403 if they may not change them.
  static func find(_ id: UUID, _ tx: PostgresTransaction) async throws -> LockedSurvey {
    let found = try await tx.first(
      LockedSurvey.self,
      """
      SELECT s.id, s.kind, s.status, s.follow_up_at_most::integer AS follow_up_at_most, q.scores::integer AS scores, q.questions::integer AS questions,
             coalesce(s.base_address, (SELECT b.link_base FROM crm.brand b WHERE b.id = s.brand_id)) IS NOT NULL AS has_address
        FROM crm.survey s
        CROSS JOIN LATERAL (
          SELECT count(*) FILTER (WHERE q.kind = 'score') AS scores, count(*) AS questions FROM crm.survey_question q WHERE q.survey_id = s.id) AS q
       WHERE s.id = \(id) FOR UPDATE OF s
      """)
    if let found { return found }
    guard try await tx.result("SELECT 1 FROM crm.survey s WHERE s.id = \(id)").count == 1 else { throw Problem.notFound }
    throw Problem.forbidden(Phrase("You may see this survey but not change it.", tr: "Bu anketi görebilirsiniz ama değiştiremezsiniz."))
  }

  func mustBe(_ statuses: String...) throws(Problem) {
    guard statuses.contains(status) else {
      throw Problem(
        409, "survey-status", Phrase("The survey is \(status).", tr: "Anketin durumu: \(status)."),
        detail: Phrase(
          "This works only while it is \(statuses.joined(separator: " or ")).", tr: "Bu yalnızca şu durumlarda yapılır: \(statuses.joined(separator: ", "))."))
    }
  }

  /// A scored survey asks for its score once; a form asks something else.
  func mustBeComplete() throws(Problem) {
    let incomplete: Phrase? =
      switch kind.scale {
      case .some where scores != 1:
        Phrase("A survey with a score needs exactly one question of kind score.", tr: "Puanlı bir ankette tam olarak bir puan (score) sorusu olmalıdır.")
      case .none where scores != 0:
        Phrase("A form has no question of kind score.", tr: "Formda puan (score) sorusu olmaz.")
      case .none where questions == 0:
        Phrase("A form needs at least one question.", tr: "Formda en az bir soru olmalıdır.")
      case _ where !hasAddress:
        Phrase(
          "Give a base_address, or a brand with a link_base: the links in the messages begin with it.",
          tr: "base_address ya da link_base alanı olan bir marka verin; iletilerdeki bağlantılar onunla başlar.")
      default: nil
      }
    if let incomplete { throw Problem(409, "survey-incomplete", incomplete) }
    if let limit = followUpAtMost, let scale = kind.scale, !scale.contains(limit) {
      throw Problem(
        409, "survey-incomplete",
        Phrase(
          "follow_up_at_most has to be on the survey's scale, from \(scale.lowerBound) to \(scale.upperBound).",
          tr: "follow_up_at_most anketin ölçeğinde, \(scale.lowerBound) ile \(scale.upperBound) arasında olmalıdır."))
    }
  }
}

private struct SurveyInvitee: OperationInput {
  let customerID: UUID
  let contactID: UUID?
  let ticketID: UUID?
  let orderID: UUID?

  init(_ fields: inout InputReader) {
    customerID = fields.id("customer_id", "The customer to ask.")
    contactID = fields.optionalID("contact_id", "The person to ask; the customer itself when it is left out.")
    ticketID = fields.optionalID("ticket_id", "The ticket it is about.")
    orderID = fields.optionalID("order_id", "The order it is about.")
  }
}

extension BusinessOperation {
  static let activateSurvey = BusinessOperation(
    "activate_survey", .post, "/v1/surveys/{id}/activate", of: "surveys", access: .write(.service), "Activate a survey",
    description:
      "From here on it is sent and its questions stay as they are. nps, csat and ces need exactly one question of kind score. A closed survey is opened again.",
    input: NoInput.self, answer: .record("surveys", expand: ["questions"])
  ) { run, _ in
    let survey = try await LockedSurvey.find(run.id(), run.tx)
    try survey.mustBe("draft", "closed")
    try survey.mustBeComplete()
    try await run.tx.run(
      "UPDATE crm.survey SET status = 'active', activated_at = coalesce(activated_at, now()), closed_at = NULL WHERE id = \(survey.id)")
    return .record(survey.id)
  }

  static let closeSurvey = BusinessOperation(
    "close_survey", .post, "/v1/surveys/{id}/close", of: "surveys", access: .write(.service), "Close a survey",
    description: "Nobody is asked any more; what is due is skipped, links that are out still work.", input: NoInput.self, answer: .record("surveys")
  ) { run, _ in
    let survey = try await LockedSurvey.find(run.id(), run.tx)
    try survey.mustBe("active")
    try await run.tx.run("UPDATE crm.survey SET status = 'closed', closed_at = now() WHERE id = \(survey.id)")
    return .record(survey.id)
  }

  static let inviteToSurvey = BusinessOperation(
    "invite_to_survey", .post, "/v1/surveys/{id}/invite", of: "survey_invitations", access: .write(.service), "Ask one person by hand",
    description:
      "The message leaves within minutes, unless the person was asked lately, has no address or, for a commercial survey, has not consented: the invitation says so.",
    input: SurveyInvitee.self, answer: .record("survey_invitations", status: 201, expand: ["survey"])
  ) { run, input in
    let survey = try run.id()
    let department = try run.department()
    let id = UUID.v7()
    let made = try await run.tx.results([
      "SELECT s.status FROM crm.survey s WHERE s.id = \(survey)",
      """
      INSERT INTO crm.survey_invitation (customer_id, id, survey_id, contact_id, event_id, ticket_id, order_id, agent_id, department_id, owner_id, visibility)
      SELECT c.id, \(id), s.id, \(input.contactID)::uuid, \(id),
             CASE WHEN \(input.ticketID)::uuid IS NOT NULL
                  THEN coalesce((SELECT t.id FROM crm.ticket t WHERE t.customer_id = c.id AND t.id = \(input.ticketID)::uuid), crm.missing_reference('ticket_id')) END,
             CASE WHEN \(input.orderID)::uuid IS NOT NULL
                  THEN coalesce((SELECT o.id FROM crm.sales_order o WHERE o.customer_id = c.id AND o.id = \(input.orderID)::uuid), crm.missing_reference('order_id')) END,
             (SELECT t.assignee_id FROM crm.ticket t WHERE t.customer_id = c.id AND t.id = \(input.ticketID)::uuid),
             \(department), CASE c.visibility WHEN 'private' THEN c.owner_id END, c.visibility
        FROM crm.survey s CROSS JOIN crm.customer c WHERE s.id = \(survey) AND s.status = 'active' AND c.id = \(input.customerID)
      """,
    ])
    guard let status = try made[0].rows.first?.decode(String.self, "status") else { throw Problem.notFound }
    guard status == "active" else {
      throw Problem(409, "survey-status", Phrase("The survey is \(status); activate it first.", tr: "Anketin durumu: \(status); önce etkinleştirin."))
    }
    guard made[1].affectedRows == 1 else {
      throw Problem.invalid([
        .init("/customer_id", code: "not-found", Phrase("There is no such record, or you may not see it.", tr: "Böyle bir kayıt yok ya da görme yetkiniz yok."))
      ])
    }
    return .record(id)
  }
}
