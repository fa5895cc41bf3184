import CRMCore
import Foundation
import MailTransport
import PostgresClient

extension JobHandler {
  /// Sends the mails with notices to colleagues, from the mailbox whose settings say `"sends_notices": true`; without one they wait.
  static let mailNotices = JobHandler("notices.mail", waitsForOthers: true) { lease in try await NoticeMailing(lease: lease).sendAll() }
}

extension Schedule {
  static let noticeMailing = Schedule("mails with notices", kind: "notices.mail", .every(.seconds(300)))
}

private struct NoticeMailing {
  let lease: JobLease

  private static let caller = Caller.system("mail notices")
  private static let attemptLimit = 20
  private var deadline: Deadline { .after(.seconds(30)) }

  private struct Digest: RowDecodable {
    let id: UUID
    let address, name, subject, text: String
    let attempts: Int

    init(row: PostgresRow) throws {
      id = try row.decode("id")
      address = try row.decode("address")
      name = try row.decode("name")
      subject = try row.decode("subject")
      text = try row.decode("body_text")
      attempts = try row.decode("attempts")
    }
  }

  /// One mail that cannot be sent does not keep the others waiting: its error is thrown when all have been tried.
  func sendAll() async throws {
    let account = try await lease.transaction(as: Self.caller, deadline: deadline) { tx -> AccountSettings? in
      let result = try await tx.result(
        """
        SELECT a.id FROM crm.channel_account AS a
         WHERE a.is_active AND a.provider = 'smtp_imap' AND a.settings @> '{"sends_notices": true}' ORDER BY a.id LIMIT 1
        """)
      guard let row = result.rows.first else { return nil }
      return try await AccountSettings.find(try row.decode(UUID.self, "id"), tx, lease.database.secrets)
    }
    guard let account else { return }
    let adapter = try MailAdapter(account)
    var failure: (any Error)?
    // A server that hangs is not waited for with each mail; those that are left have their turn in five minutes.
    let end = ContinuousClock.now + .seconds(60)
    for digest in try await taken() {
      guard ContinuousClock.now < end else {
        try await giveBack(digest)
        continue
      }
      do {
        _ = try await adapter.send(
          MessageToSend(
            id: digest.id, address: digest.address, recipientName: digest.name, senderName: account.senderName, subject: digest.subject, text: digest.text,
            html: nil, headers: ["Auto-Submitted": "auto-generated"], inReplyTo: nil, files: [], deferrals: 0))
        try await move(digest, "sent", nil)
      } catch {
        failure = failure ?? error
        let isLast = error is MessageRefusal || digest.attempts >= Self.attemptLimit
        try await move(digest, isLast ? "failed" : "queued", String(String(describing: error).prefix(1_000)))
      }
    }
    if let failure { throw failure }
  }

  /// Those that wait, and those whose sender vanished a while ago.
  private func taken() async throws -> [Digest] {
    try await lease.transaction(as: Self.caller, deadline: deadline) { tx in
      try await tx.all(
        Digest.self,
        """
        UPDATE crm.notice_digest AS d SET state = 'sending', attempts = d.attempts + 1
          FROM crm.app_user AS u
         WHERE u.id = d.user_id AND d.id IN (
           SELECT x.id FROM crm.notice_digest AS x WHERE x.state IN ('queued', 'sending') ORDER BY x.id LIMIT 500 FOR UPDATE SKIP LOCKED)
        RETURNING d.id, d.address, u.name, d.subject, d.body_text, d.attempts
        """)
    }
  }

  /// It was not tried.
  private func giveBack(_ digest: Digest) async throws {
    try await lease.transaction(as: Self.caller, deadline: deadline) { tx in
      _ = try await tx.run("UPDATE crm.notice_digest SET state = 'queued', attempts = attempts - 1 WHERE id = \(digest.id)")
    }
  }

  private func move(_ digest: Digest, _ state: String, _ problem: String?) async throws {
    try await lease.transaction(as: Self.caller, deadline: deadline) { tx in
      _ = try await tx.run(
        """
        UPDATE crm.notice_digest SET state = \(state), problem = \(problem), sent_at = CASE WHEN \(state) = 'sent' THEN now() END WHERE id = \(digest.id)
        """)
    }
  }
}
