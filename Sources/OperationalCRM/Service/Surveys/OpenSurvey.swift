import CRMCore
import Foundation
import PostgresClient

/// A survey as the person with its link finds it.
struct OpenSurvey: RowDecodable {
  let customerID: UUID
  let invitationID: UUID
  let surveyID: UUID
  let name: String
  let kind: SurveyKind
  let state: String
  let isExpired: Bool
  let title: Phrase
  let intro: Phrase
  let thanks: Phrase
  /// The language the person is written to in.
  let language: Language

  init(row: PostgresRow) throws {
    customerID = try row.decode("customer_id")
    invitationID = try row.decode("invitation_id")
    surveyID = try row.decode("survey_id")
    name = try row.decode("name")
    kind = try SurveyKind(of: row)
    state = try row.decode("state")
    isExpired = try row.decode("is_expired")
    title = Phrase(try row.decode("title_en"), tr: try row.decode("title_tr"))
    intro = Phrase(try row.decode(String?.self, "intro_en") ?? "", tr: try row.decode(String?.self, "intro_tr") ?? "")
    thanks = Phrase(
      try row.decode(String?.self, "thanks_en") ?? "Thank you for your answer.",
      tr: try row.decode(String?.self, "thanks_tr") ?? "Yanıtınız için teşekkür ederiz.")
    language = try Language(rawValue: row.decode("locale")) ?? .english
  }

  /// - Parameter locking: keeps others from answering until the transaction ends.
  static func select(_ link: SurveyLink, now: Date, locking: Bool = false) -> SQL {
    """
    SELECT i.customer_id, i.id AS invitation_id, i.survey_id, s.name, s.kind, i.state, i.expires_at <= \(now) AS is_expired, s.title_en, s.title_tr, s.intro_en,
           s.intro_tr, s.thanks_en, s.thanks_tr, coalesce(p.locale, c.locale) AS locale
      FROM crm.survey_invitation i JOIN crm.survey s ON s.id = i.survey_id JOIN crm.customer c ON c.id = i.customer_id
      LEFT JOIN crm.contact p ON p.customer_id = i.customer_id AND p.id = i.contact_id
     WHERE i.token_hash = \(link.hash) \(locking ? "FOR UPDATE OF i" as SQL : "")
    """
  }

  static let unknownLink = Problem(
    404, "unknown-link", Phrase("This link is not valid", tr: "Bu bağlantı geçerli değil"),
    detail: Phrase(
      "There is no survey behind this address. Perhaps it was not copied whole.", tr: "Bu adreste bir anket yok. Adres eksik kopyalanmış olabilir."))
  static let expired = Problem(
    410, "survey-expired", Phrase("This survey is over", tr: "Bu anket sona erdi"),
    detail: Phrase("Its link no longer works. Thank you for coming by.", tr: "Bağlantının süresi doldu. İlginiz için teşekkür ederiz."))
  static let answered = Problem(
    409, "survey-answered", Phrase("This survey was answered already", tr: "Bu anket zaten yanıtlandı"),
    detail: Phrase("Each link takes one answer. Thank you.", tr: "Her bağlantı bir kez yanıtlanabilir. Teşekkür ederiz."))

  func mustBeOpen() throws(Problem) {
    if state == "answered" { throw Self.answered }
    if isExpired || state != "sent" { throw Self.expired }
  }

  /// Records the answers and what follows from them: how content the customer is, what the ticket shows, and a follow-up for whom it concerns.
  func record(_ answers: SurveyAnswers, in language: Language, now: Date, _ tx: PostgresTransaction) async throws {
    let response = UUID.v7()
    let given = JSONText(String(decoding: try JSON.object(answers.values).encoded(), as: UTF8.self))
    let comments = answers.values.sorted { $0.key < $1.key }.compactMap(\.value.string).joined(separator: "\n")
    let subject = answers.score.map { "\(name): \($0)" } ?? name
    _ = try await tx.results([
      """
      WITH follow_up AS (
        INSERT INTO crm.activity (kind, subject, starts_at, customer_id, contact_id, agenda, department_id, owner_id, visibility)
        SELECT 'follow_up', left(\(subject), 300), \(now)::timestamptz + make_interval(days => s.follow_up_days), i.customer_id, i.contact_id,
               nullif(\(comments), ''), c.department_id, who.id,
               CASE WHEN 'private' IN (c.visibility, i.visibility) AND who.id IS NOT NULL THEN 'private'
                    WHEN c.visibility = 'company' AND i.visibility = 'company' THEN 'company' ELSE 'department' END
          FROM crm.survey_invitation i JOIN crm.survey s ON s.id = i.survey_id JOIN crm.customer c ON c.id = i.customer_id
          CROSS JOIN LATERAL (SELECT coalesce(c.owner_id, i.agent_id) AS id) AS who
         WHERE i.customer_id = \(customerID) AND i.id = \(invitationID) AND \(answers.score)::integer <= s.follow_up_at_most
        RETURNING id)
      INSERT INTO crm.survey_response (customer_id, id, survey_id, invitation_id, kind, contact_id, ticket_id, order_id, agent_id, score, answers, language, tier,
                                       answered_at, activity_id, department_id, owner_id, visibility)
      SELECT i.customer_id, \(response), i.survey_id, i.id, \(kind.rawValue), i.contact_id, i.ticket_id, i.order_id, i.agent_id, \(answers.score)::smallint, \(given)::jsonb,
             \(language.rawValue),
             (SELECT v.tier FROM crm.customer_standing v JOIN crm.value_model m ON m.id = v.model_id AND m.is_default AND m.active
               WHERE v.customer_id = i.customer_id ORDER BY v.as_of DESC LIMIT 1),
             \(now), (SELECT f.id FROM follow_up f), i.department_id, i.owner_id, i.visibility
        FROM crm.survey_invitation i WHERE i.customer_id = \(customerID) AND i.id = \(invitationID)
      """,
      """
      INSERT INTO crm.customer_observation (customer_id, kind, observed_at, value, note, department_id, owner_id, visibility)
      SELECT r.customer_id, 'satisfaction', r.answered_at, r.points, \(name), r.department_id, r.owner_id, r.visibility
        FROM crm.survey_response r WHERE r.customer_id = \(customerID) AND r.id = \(response) AND r.points IS NOT NULL
      """,
      """
      UPDATE crm.ticket t SET satisfaction = r.points
        FROM crm.survey_response r
       WHERE r.customer_id = \(customerID) AND r.id = \(response) AND r.points IS NOT NULL AND t.customer_id = r.customer_id AND t.id = r.ticket_id
      """,
      "UPDATE crm.survey_invitation SET state = 'answered', answered_at = \(now) WHERE customer_id = \(customerID) AND id = \(invitationID)",
    ])
  }
}
