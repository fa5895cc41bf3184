import CRMCore
import Foundation
import PostgresClient

private struct Assignment: OperationInput {
  let customerIDs: [UUID]

  init(_ fields: inout InputReader) {
    customerIDs = fields.ids(
      "customer_ids", "The customers whom the campaign is to reach or to hold out; those already in it stay as they are.", maximum: 10_000)
    if customerIDs.isEmpty { fields.refuse("customer_ids", code: "required", Phrase("Name at least one customer.", tr: "En az bir müşteri belirtin.")) }
  }
}

extension BusinessOperation {
  /// Divides customers at random between the arms and those held out.
  static let assignCampaign = BusinessOperation(
    "assign_campaign", .post, "/v1/campaigns/{id}/assign", of: "campaign_members", access: .write(.marketing),
    "Put customers into a campaign, before anything is sent",
    description:
      "Who is held out, and who gets which arm, is decided by the hash of customer and campaign, stored, and never changed. Once anybody of the campaign was "
      + "touched, nobody can be added (409 campaign-touched). Who objected to offers, or had processing restricted, is left out (restricted). Campaigns whose customers are not divided by hash take their members one by one.",
    input: Assignment.self,
    answer: .json([
      "type": "object", "required": ["campaign_id", "assigned", "already_in", "restricted", "held_out", "arms"],
      "properties": [
        "campaign_id": AnswerField.id, "assigned": AnswerField.count, "already_in": AnswerField.count,
        "restricted": AnswerField.count, "held_out": AnswerField.count,
        "arms": ["type": "object", "additionalProperties": AnswerField.count],
      ],
    ])
  ) { run, input in
    let id = try run.id()
    let customers = Array(Set(input.customerIDs))
    let campaign = try await LockedCampaign.find(id, run.tx)
    try campaign.mustBeAssignable()
    let hidden = try await run.tx.result(
      "SELECT given.id FROM unnest(\(customers)::uuid[]) AS given (id) WHERE NOT EXISTS (SELECT FROM crm.customer c WHERE c.id = given.id) LIMIT 20")
    if hidden.count > 0 {
      throw Problem.invalid([
        .init(
          "/customer_ids", code: "not-found",
          Phrase("Some of these customers do not exist, or you may not see them.", tr: "Bu müşterilerin bazıları yok ya da onları göremezsiniz."))
      ])
    }
    let assigned = try await run.tx.run(
      """
      INSERT INTO crm.campaign_member (customer_id, campaign_id) SELECT given.id, \(id) FROM unnest(\(customers)::uuid[]) AS given (id)
       WHERE NOT crm.is_restricted(given.id) ORDER BY given.id
      ON CONFLICT ON CONSTRAINT campaign_member_customer_id_once DO NOTHING
      """)
    let restricted = try await run.tx.value(
      Int.self,
      """
      SELECT count(*) FROM unnest(\(customers)::uuid[]) AS given (id) WHERE crm.is_restricted(given.id)
         AND NOT EXISTS (SELECT FROM crm.campaign_member m WHERE m.campaign_id = \(id) AND m.customer_id = given.id)
      """)
    let division = try await run.tx.result(
      "SELECT m.arm, count(*) AS customers FROM crm.campaign_member m WHERE m.campaign_id = \(id) AND m.customer_id = ANY (\(customers)::uuid[]) GROUP BY m.arm"
    )
    var arms: [String: JSON] = Dictionary(uniqueKeysWithValues: campaign.arms.map { ($0, 0) })
    var heldOut = 0
    for row in division.rows {
      let count = try row.decode(Int.self, "customers")
      if let arm = try row.decode(String?.self, "arm") { arms[arm] = .number(Decimal(count)) } else { heldOut = count }
    }
    return .json([
      "campaign_id": .string(id.lowercase), "assigned": .number(Decimal(assigned)), "already_in": .number(Decimal(customers.count - assigned - restricted)),
      "restricted": .number(Decimal(restricted)), "held_out": .number(Decimal(heldOut)), "arms": .object(arms),
    ])
  }
}

/// A campaign into which customers are put: until the transaction ends, nobody is touched by it.
private struct LockedCampaign: RowDecodable {
  let status, assignment: String
  let arms: [String]
  let isTouched: Bool

  init(row: PostgresRow) throws {
    status = try row.decode("status")
    assignment = try row.decode("assignment")
    arms = try row.decode([String].self, "arms")
    isTouched = try row.decode("touched")
  }

  /// - Throws: 404 if the caller may not read the campaign, 403 if they may not change it.
  static func find(_ id: UUID, _ tx: PostgresTransaction) async throws -> LockedCampaign {
    let found = try await tx.first(
      LockedCampaign.self,
      """
      SELECT c.status, c.assignment, c.arms, EXISTS (SELECT FROM crm.campaign_touch t WHERE t.campaign_id = c.id) AS touched
        FROM crm.campaign AS c WHERE c.id = \(id) FOR UPDATE OF c
      """)
    if let found { return found }
    guard try await tx.result("SELECT 1 FROM crm.campaign AS c WHERE c.id = \(id)").count == 1 else { throw Problem.notFound }
    throw Problem.forbidden(Phrase("You may see this campaign but not change it.", tr: "Bu kampanyayı görebilirsiniz ama değiştiremezsiniz."))
  }

  func mustBeAssignable() throws(Problem) {
    if status == "finished" || status == "cancelled" {
      throw Problem(409, "campaign-over", Phrase("This campaign is over.", tr: "Bu kampanya bitti."))
    }
    if assignment != "hash" {
      throw Problem(
        409, "not-by-hash",
        Phrase(
          "The customers of this campaign are not divided by hash; add its members one by one.",
          tr: "Bu kampanyanın müşterileri hash ile ayrılmıyor; üyeleri tek tek ekleyin."))
    }
    if isTouched {
      throw Problem(
        409, "campaign-touched",
        Phrase(
          "Somebody of this campaign was touched already; who is held out must be fixed before anything is sent.",
          tr: "Bu kampanyada birine zaten ulaşıldı; kimin ayrılacağı gönderimden önce belirlenmelidir."))
    }
  }
}
