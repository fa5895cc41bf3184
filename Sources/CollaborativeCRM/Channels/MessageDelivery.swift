import CRMCore
import Foundation
import PostgresClient

extension JobHandler {
  /// Sends one message of `crm.outbound_message` by its account's adapter. The gate is asked again as it begins; a crash in between makes another attempt
  /// under the same key.
  static let sendMessage = JobHandler("message.send", waitsForOthers: true) { lease in
    guard let message = lease.job.payload["message_id"]?.string.flatMap(UUID.init(uuidString:)),
      let customer = lease.job.payload["customer_id"]?.string.flatMap(UUID.init(uuidString:))
    else { throw HopelessJob("no message_id") }
    try await MessageDelivery(lease: lease, customer: customer, id: message).deliver()
  }

  /// Asks providers about messages that were handed over and of which no report came.
  static let followMessages = JobHandler("message.follow", waitsForOthers: true) { lease in try await MessageFollowing(lease: lease).followAll() }
}

extension Schedule {
  static let messageFollowing = Schedule("messages under way", kind: "message.follow", .every(.seconds(300)))
}

private struct MessageDelivery {
  let lease: JobLease
  let customer: UUID
  let id: UUID

  private static let caller = Caller.system("send messages")
  private var deadline: Deadline { .after(.seconds(30)) }

  /// The message cannot be sent as it stands, whoever tries.
  private struct NoWay: Error { let reason: String }

  func deliver() async throws {
    guard let begun = try await begin() else { return }
    let outcome: Result<String, any Error>
    do {
      guard begun.account.isActive else { throw NoWay(reason: "the account \(begun.account.code) is not active") }
      guard let adapter = try begun.account.adapter(lease.database), adapter.capabilities.contains(.send) else {
        throw NoWay(reason: "nothing is sent through the account \(begun.account.code)")
      }
      outcome = .success(try await adapter.send(try await begun.message(of: lease)))
    } catch {
      outcome = .failure(error)
    }
    switch outcome {
    case .success(let called): try await finish(next: "sent", called: called, why: nil)
    case .failure(let refusal as MessageRefusal):
      try await finish(next: "failed", called: nil, why: refusal.description, suppressing: refusal.isOfRecipient)
    case .failure(let noWay as NoWay): try await finish(next: "failed", called: nil, why: noWay.reason)
    case .failure(let error) where lease.job.attempt >= lease.job.attemptLimit: try await finish(next: "failed", called: nil, why: Self.words(error))
    case .failure(let error):
      // It waits for the job's next attempt, and says why.
      try await lease.transaction(as: Self.caller, deadline: deadline) { tx in try await move(tx, "queued", nil, Self.words(error)) }
      throw error
    }
  }

  /// - Parameter suppressing: whether there is no such address, so that nothing is sent there any more.
  private func finish(next: String, called: String?, why: String?, suppressing: Bool = false) async throws {
    try await lease.complete(as: Self.caller, deadline: deadline) { tx in
      try await move(tx, next, called, why)
      if suppressing { _ = try await tx.run("SELECT crm.suppress_recipient(\(customer), \(id))") }
    }
  }

  private func move(_ tx: PostgresTransaction, _ next: String, _ called: String?, _ why: String?) async throws {
    try await tx.run("SELECT crm.move_message(\(customer), \(id), \(next), now(), \(called), \(why))")
  }

  private static func words(_ error: any Error) -> String { String(String(describing: error).prefix(1_000)) }

  /// Marks the message as being sent, so that whoever comes after a crash knows that it may have arrived.
  /// - Returns: nil when it is not to be sent: it was already, the gate refused it, or it was put off.
  private func begin() async throws -> BegunMessage? {
    try await lease.transaction(as: Self.caller, deadline: deadline) { tx in
      try await tx.run(
        """
        UPDATE crm.outbound_message AS m SET channel_account_id = (
          SELECT a.id FROM crm.channel_account AS a LEFT JOIN crm.customer AS c ON c.id = m.customer_id
           WHERE a.is_active AND a.channel = m.channel AND a.provider IN ('smtp_imap', 'http_sms', 'http_social', 'simulated')
             AND (m.brand_id IS NULL OR a.brand_id IS NULL OR a.brand_id = m.brand_id)
           ORDER BY a.brand_id IS NOT DISTINCT FROM m.brand_id DESC, a.department_id = m.department_id DESC, a.id LIMIT 1)
         WHERE m.customer_id = \(customer) AND m.id = \(id) AND m.channel_account_id IS NULL AND m.state IN ('queued', 'sending')
        """)
      let row = try await tx.first(
        BegunMessage.Row.self,
        """
        UPDATE crm.outbound_message AS m SET state = 'sending', attempts = m.attempts + 1
         WHERE m.customer_id = \(customer) AND m.id = \(id) AND m.state IN ('queued', 'sending') AND m.not_before <= now()
        RETURNING m.id, m.state, m.customer_id, m.contact_id, m.interaction_id, m.channel_account_id, m.address, m.subject, m.body_text, m.body_html,
          m.headers, m.in_reply_to,
          (SELECT count(*) FROM crm.delivery_report AS r WHERE r.message_id = m.id AND r.cause = 'temporary') AS deferrals
        """)
      guard let row else { return nil }
      guard row.state == "sending" else {
        if row.state == "refused", let interaction = row.interactionID {
          try await tx.run("UPDATE crm.interaction SET status = 'failed' WHERE customer_id = \(customer) AND id = \(interaction)")
        }
        return nil
      }
      guard let accountID = row.accountID, let account = try await AccountSettings.find(accountID, tx, lease.database.secrets) else {
        try await move(tx, "failed", nil, "there is no active account for this channel and brand")
        return nil
      }
      let recipient = try await tx.value(
        String?.self, "SELECT (SELECT k.name FROM crm.contact AS k WHERE k.customer_id = \(customer) AND k.id = \(row.contactID)) AS name")
      if let interaction = row.interactionID, account.provider == "smtp_imap", let address = account.address {
        // Known before it leaves, so that an answer or a bounce, however quick, finds its thread.
        let external = MailAdapter.messageID(id, from: address)
        try await tx.run(
          """
          UPDATE crm.interaction SET external_id = \(external), channel_account_id = \(accountID)
           WHERE customer_id = \(customer) AND id = \(interaction) AND external_id IS DISTINCT FROM \(external)
          """)
      }
      return BegunMessage(row: row, account: account, recipientName: recipient)
    }
  }
}

/// A message that is being sent, with its account.
private struct BegunMessage {
  struct Row: RowDecodable {
    let id, customerID: UUID
    let state, address, text: String
    let contactID, interactionID, accountID: UUID?
    let subject, html, inReplyTo: String?
    let headers: [String: String]
    let deferrals: Int

    init(row: PostgresRow) throws {
      id = try row.decode("id")
      customerID = try row.decode("customer_id")
      state = try row.decode("state")
      address = try row.decode("address")
      text = try row.decode("body_text")
      contactID = try row.decode("contact_id")
      interactionID = try row.decode("interaction_id")
      accountID = try row.decode("channel_account_id")
      subject = try row.decode("subject")
      html = try row.decode("body_html")
      inReplyTo = try row.decode("in_reply_to")
      let fields = try JSONDecoder().decode([String: JSON].self, from: Data(try row.decode(JSONText.self, "headers").text.utf8))
      headers = fields.compactMapValues(\.string)
      deferrals = try row.decode("deferrals")
    }
  }

  let row: Row
  let account: AccountSettings
  let recipientName: String?

  func message(of lease: JobLease) async throws -> MessageToSend {
    MessageToSend(
      id: row.id, address: row.address, recipientName: recipientName, senderName: account.senderName, subject: row.subject, text: row.text, html: row.html,
      headers: row.headers, inReplyTo: row.inReplyTo, files: try await files(of: lease), deferrals: row.deferrals)
  }

  private func files(of lease: JobLease) async throws -> [MessageToSend.File] {
    guard let interaction = row.interactionID else { return [] }
    return try await SentFiles(lease: lease).files(ofCustomer: row.customerID, interaction: interaction)
  }
}

private struct MessageFollowing {
  let lease: JobLease

  private static let caller = Caller.system("follow messages")
  private var deadline: Deadline { .after(.seconds(30)) }

  private struct Row: RowDecodable {
    let customerID, id, accountID: UUID
    let providerID: String
    let attempts: Int

    init(row: PostgresRow) throws {
      customerID = try row.decode("customer_id")
      id = try row.decode("id")
      accountID = try row.decode("channel_account_id")
      providerID = try row.decode("provider_id")
      attempts = try row.decode("attempts")
    }
  }

  /// Of more than are asked about at a time each has its turn by chance: those of which nothing is ever heard do not keep the others waiting.
  /// An account that cannot be asked does not keep the others waiting: its error is thrown when all have been asked about.
  func followAll() async throws {
    let rows = try await lease.transaction(as: Self.caller, deadline: deadline) { tx in
      try await tx.all(
        Row.self,
        """
        SELECT m.customer_id, m.id, m.channel_account_id, m.provider_id, m.attempts FROM crm.outbound_message AS m
          JOIN crm.channel_account AS a ON a.id = m.channel_account_id AND a.is_active AND a.provider IN ('http_sms', 'http_social', 'simulated')
         WHERE m.state = 'sent' AND m.provider_id IS NOT NULL AND m.sent_at > now() - interval '3 days'
         ORDER BY random() LIMIT 500
        """)
    }
    var failure: (any Error)?
    var silent: Set<UUID> = []
    // Those that are left have their turn in five minutes.
    let end = ContinuousClock.now + .seconds(60)
    for row in rows where !silent.contains(row.accountID) && ContinuousClock.now < end {
      do {
        try await follow(row)
      } catch {
        failure = failure ?? error
        silent.insert(row.accountID)
      }
    }
    if let failure { throw failure }
  }

  private func follow(_ row: Row) async throws {
    let account = try await lease.transaction(as: Self.caller, deadline: deadline) { tx in
      try await AccountSettings.find(row.accountID, tx, lease.database.secrets)
    }
    guard let adapter = try account?.adapter(lease.database), adapter.capabilities.contains(.status),
      let outcome = try await adapter.status(of: row.providerID)
    else { return }
    try await lease.transaction(as: Self.caller, deadline: deadline) { tx in
      switch outcome {
      case .delivered(let at): try await tx.run("SELECT crm.move_message(\(row.customerID), \(row.id), 'delivered', \(at))")
      case .failed(let reason, let cause):
        try await tx.run(
          "SELECT crm.report_delivery(\(row.accountID), \("status/\(row.id.lowercase)/\(row.attempts)"), \(row.id), NULL, 'failed', \(reason), now(), \(cause))"
        )
      }
    }
  }
}
