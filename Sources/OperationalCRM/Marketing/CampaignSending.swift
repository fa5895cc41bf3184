package import CRMCore
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

extension Resource {
  /// A message on its way to a campaign's members, and how far it is.
  package static let campaignSendings = Resource(
    "campaign_sendings", singular: "campaign_sending", table: "crm.campaign_sending", area: .marketing, expand: ["campaign"],
    order: "-created_at", dated: "created_at")
}

extension BusinessOperation {
  /// Has a worker queue a campaign's message to its members, each through the gate.
  static let sendCampaign = BusinessOperation(
    "send_campaign", .post, "/v1/campaigns/{id}/send", of: "campaign_sendings", access: .write(.marketing), "Send a message to a campaign's members",
    description:
      "A worker does it, and the sending tells how far it is. Whoever is not held out, did not object, and has an address of the channel gets one message, if the gate "
      + "lets it through: consent, suppression, preferences, caps. Nobody gets a second message on the same channel, however often it is sent or breaks off. "
      + "Each recipient's result is in outbound_messages and message_refusals, by campaign_id.",
    input: CampaignMessage.self, answer: .record("campaign_sendings", status: 202)
  ) { run, input in
    let id = try run.id()
    guard let campaign = try await run.tx.result("SELECT c.status FROM crm.campaign c WHERE c.id = \(id) FOR UPDATE").rows.first else {
      guard try await run.tx.result("SELECT 1 FROM crm.campaign AS c WHERE c.id = \(id)").count == 1 else { throw Problem.notFound }
      throw Problem.forbidden(Phrase("You may see this campaign but not change it.", tr: "Bu kampanyayı görebilirsiniz ama değiştiremezsiniz."))
    }
    guard try campaign.decode(String.self, "status") == "running" else {
      throw Problem(409, "campaign-not-running", Phrase("Only a running campaign is sent.", tr: "Yalnızca yürüyen bir kampanya gönderilir."))
    }
    let made = try await run.tx.result(
      """
      INSERT INTO crm.campaign_sending (campaign_id, channel, channel_account_id, brand_id, purpose, arm, subject, body_text, body_html, not_before, department_id,
             owner_id, visibility)
      SELECT c.id, \(input.channel.rawValue), \(input.accountID), \(input.brandID), coalesce(\(input.purpose)::text, 'marketing'), \(input.arm), \(input.subject),
             \(input.text), \(input.html), coalesce(\(input.notBefore)::timestamptz, now()), c.department_id, coalesce(c.owner_id, \(run.caller.userID)), c.visibility
        FROM crm.campaign c WHERE c.id = \(id)
      ON CONFLICT (campaign_id, channel) WHERE state IN ('queued', 'running') DO NOTHING RETURNING id
      """)
    guard let row = made.rows.first else {
      throw Problem(
        409, "campaign-being-sent", Phrase("The campaign is being sent on this channel.", tr: "Kampanya bu kanaldan gönderilmekte."),
        detail: Phrase("Wait for its sending to end, or stop it.", tr: "Gönderimin bitmesini bekleyin ya da durdurun."))
    }
    let sending = try row.decode(UUID.self, "id")
    try await run.tx.run("SELECT crm.enqueue('campaign.send', jsonb_build_object('sending_id', \(sending)::uuid), \("campaign.send:\(sending)"))")
    return .record(sending)
  }

  static let stopCampaignSending = BusinessOperation(
    "stop_campaign_sending", .post, "/v1/campaign_sendings/{id}/stop", of: "campaign_sendings", access: .write(.marketing), "Stop sending a campaign",
    description: "Members who were not come to get nothing. Messages that are queued already go out.", input: NoInput.self, answer: .record("campaign_sendings")
  ) { run, _ in
    let id = try run.id()
    let stopped = try await run.tx.run(
      """
      UPDATE crm.campaign_sending SET state = 'stopped', problem = 'by_hand', finished_at = clock_timestamp()
       WHERE id = \(id) AND state IN ('queued', 'running')
      """)
    if stopped == 0 {
      guard try await run.tx.result("SELECT 1 FROM crm.campaign_sending s WHERE s.id = \(id) AND s.state IN ('queued', 'running')").count == 0 else {
        throw Problem.forbidden(Phrase("You may see this campaign but not change it.", tr: "Bu kampanyayı görebilirsiniz ama değiştiremezsiniz."))
      }
      guard try await run.tx.result("SELECT 1 FROM crm.campaign_sending s WHERE s.id = \(id)").count == 1 else { throw Problem.notFound }
      throw Problem(409, "sending-over", Phrase("This sending has ended.", tr: "Bu gönderim bitti."))
    }
    return .record(id)
  }
}

extension JobHandler {
  /// Sends one message to a campaign's members, some hundred in each transaction: whoever takes over goes on where this one was.
  static let sendCampaign = JobHandler("campaign.send") { lease in
    guard let id = lease.job.payload["sending_id"]?.string.flatMap(UUID.init(uuidString:)) else { throw HopelessJob("no sending_id") }
    let sending = CampaignSending(lease: lease, id: id)
    var last: UUID?
    repeat {
      try Task.checkCancellation()
      last = try await sending.sendSome(after: last)
    } while last != nil
  }
}

/// A campaign on its way to its members.
private struct CampaignSending {
  let lease: JobLease
  let id: UUID

  private static let caller = Caller.system("send campaigns")
  private static let batch = 500

  private struct Row: RowDecodable {
    let campaignID: UUID
    let channel: CampaignChannel
    let arm: String?
    let isFirst: Bool
    let status: String

    init(row: PostgresRow) throws {
      campaignID = try row.decode("campaign_id")
      channel = CampaignChannel(rawValue: try row.decode("channel")) ?? .email
      arm = try row.decode("arm")
      isFirst = try row.decode("is_first")
      status = try row.decode("status")
    }
  }

  /// - Parameter after: members up to this customer were come to by this worker; nil for all.
  /// - Returns: the last customer of this portion; nil when there is nobody left.
  func sendSome(after: UUID?) async throws -> UUID? {
    try await lease.transaction(as: Self.caller, deadline: .after(.seconds(120))) { tx in
      let row = try await tx.first(
        Row.self,
        """
        SELECT s.campaign_id, s.channel, s.arm, s.state = 'queued' AS is_first, c.status FROM crm.campaign_sending s JOIN crm.campaign c ON c.id = s.campaign_id
         WHERE s.id = \(id) AND s.state IN ('queued', 'running') FOR UPDATE
        """)
      guard let row else { return nil }
      guard row.status == "running" else {
        try await tx.run(
          "UPDATE crm.campaign_sending SET state = 'stopped', problem = 'campaign_not_running', finished_at = clock_timestamp() WHERE id = \(id)")
        return nil
      }
      if row.isFirst { try await begin(row, tx) }
      return try await sendSome(row, after: after, tx)
    }
  }

  /// Counts whom it is for.
  private func begin(_ row: Row, _ tx: PostgresTransaction) async throws {
    try await tx.run(
      """
      UPDATE crm.campaign_sending s SET state = 'running', started_at = clock_timestamp(), members = n.members, restricted = n.restricted, without_address = n.without_address
        FROM (
          SELECT count(*) AS members, count(*) FILTER (WHERE m.is_restricted) AS restricted,
                 count(*) FILTER (WHERE NOT m.is_restricted
                   AND NOT EXISTS (SELECT FROM crm.contact_point p WHERE p.customer_id = m.customer_id AND p.kind = \(row.channel.pointKind))) AS without_address
            FROM (SELECT m.customer_id, crm.is_restricted(m.customer_id) AS is_restricted FROM crm.campaign_member m WHERE \(audience(row))) AS m
        ) AS n
       WHERE s.id = \(id)
      """)
  }

  private func sendSome(_ row: Row, after: UUID?, _ tx: PostgresTransaction) async throws -> UUID? {
    let portion = try await tx.result(
      """
      WITH w AS MATERIALIZED (\(waiting(row)) AND (\(after)::uuid IS NULL OR m.customer_id > \(after)) ORDER BY 1 LIMIT \(Self.batch)), put AS (
        INSERT INTO crm.outbound_message (customer_id, contact_id, channel, channel_account_id, brand_id, address, legal_class, purpose, campaign_id, subject, body_text,
               body_html, not_before, department_id, owner_id)
        SELECT w.customer_id, w.contact_id, s.channel, s.channel_account_id, s.brand_id, w.address, 'commercial', s.purpose, s.campaign_id, s.subject, s.body_text, s.body_html,
               greatest(s.not_before, now()), s.department_id, s.created_by
          FROM crm.campaign_sending s, w WHERE s.id = \(id) ORDER BY w.customer_id RETURNING 1)
      SELECT (SELECT count(*) FROM put) AS queued, (SELECT w.customer_id FROM w ORDER BY 1 DESC LIMIT 1) AS last
      """)[0]
    let queued = try portion.decode(Int.self, "queued")
    let last = try portion.decode(UUID?.self, "last")
    // The gate writes its refusals in this transaction, while nobody else sends this campaign.
    let refusals = try await tx.result(
      """
      SELECT r.reason, count(*) AS recipients FROM crm.message_refusal r WHERE r.campaign_id = \(row.campaignID) AND r.channel = \(row.channel.rawValue)
         AND r.created_at = now() GROUP BY r.reason
      """)
    var refused = 0
    for refusal in refusals.rows {
      let recipients = try refusal.decode(Int.self, "recipients")
      let reason = try refusal.decode(String.self, "reason")
      refused += recipients
      try await tx.run(
        """
        UPDATE crm.campaign_sending SET reasons = reasons || jsonb_build_object(\(reason)::text, coalesce((reasons ->> \(reason)::text)::integer, 0) + \(recipients)::integer)
         WHERE id = \(id)
        """)
    }
    let isOver = last == nil
    try await tx.run(
      """
      UPDATE crm.campaign_sending SET queued = queued + \(queued), refused = refused + \(refused), state = CASE WHEN \(isOver) THEN 'done' ELSE 'running' END,
             finished_at = CASE WHEN \(isOver) THEN clock_timestamp() END WHERE id = \(id)
      """)
    return last
  }

  /// The members it is for, as `m`.
  private func audience(_ row: Row) -> SQL {
    "m.campaign_id = \(row.campaignID) AND NOT m.held_out AND (\(row.arm)::text IS NULL OR m.arm = \(row.arm))"
  }

  /// Those of them whom the campaign has not tried to reach on this channel, with the first address that may be used. `OFFSET 0` keeps each portion from
  /// reading all that the campaign sent before it.
  private func waiting(_ row: Row) -> SQL {
    """
    SELECT m.customer_id, p.contact_id, p.value AS address
      FROM crm.campaign_member m
      CROSS JOIN LATERAL (
        SELECT p.contact_id, p.value FROM crm.contact_point p
         WHERE p.customer_id = m.customer_id AND p.kind = \(row.channel.pointKind) AND NOT crm.is_restricted(p.customer_id, p.contact_id)
         ORDER BY p.is_primary DESC, p.contact_id IS NOT NULL, p.id LIMIT 1) AS p
     WHERE \(audience(row))
       AND NOT EXISTS (SELECT FROM crm.outbound_message o WHERE o.campaign_id = m.campaign_id AND o.customer_id = m.customer_id AND o.channel = \(row.channel.rawValue) OFFSET 0)
       AND NOT EXISTS (SELECT FROM crm.message_refusal r WHERE r.campaign_id = m.campaign_id AND r.customer_id = m.customer_id AND r.channel = \(row.channel.rawValue) OFFSET 0)
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
