import CRMCore
import Foundation
import PostgresClient

private enum CampaignChannel: String, CaseIterable { case email, sms, phone, social, letter }

private struct CampaignMessage: OperationInput {
  let channel: CampaignChannel
  let brandID, accountID: UUID?
  let purpose, arm, subject, html: String?
  let text: String
  let notBefore: Date?

  init(_ fields: inout InputReader) {
    channel = fields.option("channel", "By which way.", of: CampaignChannel.self, placeholder: .email)
    brandID = fields.optionalID("brand_id", "The brand that speaks; the account's when not given.")
    accountID = fields.optionalID("channel_account_id", "The account to send from; the department's when not given.")
    purpose = fields.optionalText("purpose", "What it is for: the code of a purpose; marketing when not given.", maximum: 40)
    arm = fields.optionalText("arm", "Only members of this arm; all who are not held out when not given.", maximum: 40)
    subject = fields.optionalText("subject", "The subject.", maximum: 998)
    text = fields.text("body_text", "The text.", maximum: 100_000)
    html = fields.optionalText("body_html", "The text as HTML.", maximum: 500_000)
    notBefore = fields.optionalInstant("not_before", "Not to be sent earlier.")
  }
}

extension BusinessOperation {
  private static let most = 5_000

  /// Queues a campaign's message to its members, each through the gate.
  static let sendCampaign = BusinessOperation(
    "send_campaign", .post, "/v1/campaigns/{id}/send", of: "campaigns", access: .write(.marketing), "Send a message to a campaign's members",
    description:
      "Whoever is not held out and has an address of the channel gets one message, if the gate lets it through: consent, suppression, preferences, caps. "
      + "Sends to at most 5,000 members at a time and says how many remain; send again for them. Nobody gets a second message on the same channel. "
      + "Each recipient's result is in outbound_messages and message_refusals, by campaign_id.",
    input: CampaignMessage.self,
    answer: .json([
      "type": "object", "required": ["campaign_id", "queued", "refused", "reasons", "without_address", "remaining"],
      "properties": [
        "campaign_id": AnswerField.id, "queued": AnswerField.count, "refused": AnswerField.count, "without_address": AnswerField.count,
        "remaining": AnswerField.count, "reasons": ["type": "object", "additionalProperties": AnswerField.count],
      ],
    ]), extending: [.customers]
  ) { run, input in
    let id = try run.id()
    guard let campaign = try await run.tx.result("SELECT c.status, c.department_id FROM crm.campaign c WHERE c.id = \(id) FOR UPDATE").rows.first else {
      guard try await run.tx.result("SELECT 1 FROM crm.campaign AS c WHERE c.id = \(id)").count == 1 else { throw Problem.notFound }
      throw Problem.forbidden(Phrase("You may see this campaign but not change it.", tr: "Bu kampanyayı görebilirsiniz ama değiştiremezsiniz."))
    }
    guard try campaign.decode(String.self, "status") == "running" else {
      throw Problem(409, "campaign-not-running", Phrase("Only a running campaign is sent.", tr: "Yalnızca yürüyen bir kampanya gönderilir."))
    }
    let department = try campaign.decode(UUID.self, "department_id")
    let queued = try await run.tx.run(
      """
      INSERT INTO crm.outbound_message (customer_id, contact_id, channel, channel_account_id, brand_id, address, legal_class, purpose, campaign_id, subject, body_text,
             body_html, not_before, department_id, owner_id)
      SELECT w.customer_id, w.contact_id, \(input.channel.rawValue), \(input.accountID), \(input.brandID), w.address, 'commercial',
             coalesce(\(input.purpose)::text, 'marketing'), \(id), \(input.subject), \(input.text), \(input.html), coalesce(\(input.notBefore)::timestamptz, now()),
             \(department), \(run.caller.userID)
        FROM (\(waiting(id, input)) ORDER BY 1 LIMIT \(most)) AS w
      """)
    let refusals = try await run.tx.result(
      "SELECT r.reason, count(*) AS recipients FROM crm.message_refusal r WHERE r.campaign_id = \(id) AND r.created_at = now() GROUP BY r.reason")
    var reasons: [String: JSON] = [:]
    var refused = 0
    for row in refusals.rows {
      let recipients = try row.decode(Int.self, "recipients")
      reasons[try row.decode("reason")] = .number(Decimal(recipients))
      refused += recipients
    }
    let left = try await run.tx.result(
      """
      SELECT (SELECT count(*) FROM (\(waiting(id, input))) AS w) AS remaining,
             (SELECT count(*) FROM crm.campaign_member m WHERE m.campaign_id = \(id) AND NOT m.held_out AND (\(input.arm)::text IS NULL OR m.arm = \(input.arm))
                AND NOT EXISTS (SELECT FROM crm.contact_point p WHERE p.customer_id = m.customer_id AND p.kind = \(input.channel.pointKind))) AS without_address
      """)[0]
    return .json([
      "campaign_id": .string(id.lowercase), "queued": .number(Decimal(queued)), "refused": .number(Decimal(refused)), "reasons": .object(reasons),
      "without_address": .number(Decimal(try left.decode(Int.self, "without_address"))), "remaining": .number(Decimal(try left.decode(Int.self, "remaining"))),
    ])
  }

  /// The members whom the campaign has not tried to reach on this channel, with their first address.
  private static func waiting(_ id: UUID, _ input: CampaignMessage) -> SQL {
    """
    SELECT m.customer_id, p.contact_id, p.value AS address
      FROM crm.campaign_member m
      CROSS JOIN LATERAL (
        SELECT p.contact_id, p.value FROM crm.contact_point p WHERE p.customer_id = m.customer_id AND p.kind = \(input.channel.pointKind)
         ORDER BY p.is_primary DESC, p.contact_id IS NOT NULL, p.id LIMIT 1) AS p
     WHERE m.campaign_id = \(id) AND NOT m.held_out AND (\(input.arm)::text IS NULL OR m.arm = \(input.arm))
       AND NOT EXISTS (SELECT FROM crm.outbound_message o WHERE o.campaign_id = m.campaign_id AND o.customer_id = m.customer_id AND o.channel = \(input.channel.rawValue))
       AND NOT EXISTS (SELECT FROM crm.message_refusal r WHERE r.campaign_id = m.campaign_id AND r.customer_id = m.customer_id AND r.channel = \(input.channel.rawValue))
    """
  }
}

extension CampaignChannel {
  /// The kind of the contact points that are its addresses.
  fileprivate var pointKind: String {
    switch self {
    case .email: "email"
    case .sms, .phone: "phone"
    case .social: "whatsapp"
    case .letter: "other"
    }
  }
}
