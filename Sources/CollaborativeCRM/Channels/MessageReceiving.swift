import CRMCore
import Foundation
import MailTransport
import PostgresClient

extension JobHandler {
  /// Makes one job for each account that is to be read, so that a slow one keeps no other waiting.
  static let receiveFromAll = JobHandler("channel.receive_all") { lease in
    try await lease.complete(as: MessageReceiving.caller, deadline: .after(.seconds(30))) { tx in
      _ = try await tx.run(
        """
        SELECT crm.enqueue('channel.receive', jsonb_build_object('channel_account_id', a.id), 'channel.receive:' || a.id || ':' || date_trunc('minute', now()), now(), 1)
          FROM crm.channel_account AS a
         WHERE a.is_active AND a.provider IN ('smtp_imap', 'http_sms', 'http_social')
           AND NOT EXISTS (SELECT FROM crm.job AS j WHERE j.kind = 'channel.receive' AND j.status IN ('queued', 'running')
             AND j.payload ->> 'channel_account_id' = a.id::text AND j.created_at > now() - interval '1 hour')
        """)
    }
  }

  /// Reads one account to its end.
  static let receive = JobHandler("channel.receive", waitsForOthers: true) { lease in
    guard let id = lease.job.payload["channel_account_id"]?.string.flatMap(UUID.init(uuidString:)) else { throw HopelessJob("no channel_account_id") }
    try await MessageReceiving(lease: lease, accountID: id).receiveAll()
  }
}

extension Schedule {
  static let receiving = Schedule("accounts to be read", kind: "channel.receive_all", .every(.seconds(60)))
}

/// Reads an account from where it was read to, and takes each message in once: with its place in one transaction, so that nothing is lost or doubled
/// whenever it breaks off.
struct MessageReceiving {
  let lease: JobLease
  let accountID: UUID

  static let caller = Caller.system("receive messages")
  private var deadline: Deadline { .after(.seconds(60)) }

  /// Another worker is reading this account and is further.
  private struct Overtaken: Error {}
  /// The provider says that there is more, and gives the same again.
  private struct Standstill: Error, CustomStringConvertible {
    let description = "the provider gives the same messages again and says that there are more"
  }

  func receiveAll() async throws {
    do {
      try await receive()
      try await note(nil)
    } catch is Overtaken {
      return
    } catch let lost as JobLease.Lost {
      throw lost
    } catch {
      // People look at the account, not at the jobs: what is wrong stands there too.
      try await note(String(String(describing: error).prefix(1_000)), stuckAt: (error as? MailFailure)?.uid)
      throw error
    }
  }

  private func note(_ problem: String?, stuckAt uid: Int? = nil) async throws {
    try await lease.transaction(as: Self.caller, deadline: deadline) { tx in
      _ = try await tx.run("SELECT crm.note_channel_check(\(accountID), \(problem), now(), \(uid))")
    }
  }

  private func receive() async throws {
    let begun = try await lease.transaction(as: Self.caller, deadline: deadline) { tx in
      try await tx.run(
        "INSERT INTO crm.channel_state (channel_account_id) VALUES (\(accountID)) ON CONFLICT ON CONSTRAINT channel_state_channel_account_id_primary DO NOTHING"
      )
      let account = try await AccountSettings.find(accountID, tx, lease.database.secrets)
      let place = try await tx.one(Place.self, "SELECT uid_validity, uid, marker FROM crm.channel_state WHERE channel_account_id = \(accountID)")
      // A message that the server has not given away for an hour does not keep those behind it waiting any longer.
      let passesOver = try await tx.value(
        Bool.self,
        "SELECT coalesce(stuck_since < now() - interval '1 hour', false) FROM crm.channel_state WHERE channel_account_id = \(accountID)")
      return (account, place, passesOver)
    }
    guard let account = begun.0, account.isActive, let adapter = try account.adapter(lease.database), adapter.capabilities.contains(.receive) else { return }
    var place = begun.1
    while true {
      try Task.checkCancellation()
      let batch = try await adapter.receive(after: place.position, passesOver: begun.2)
      let start = place
      for message in batch.messages {
        let next = Place(message.position)
        try await take(message, from: place, to: next)
        place = next
      }
      let end = Place(batch.position)
      if end != place {
        let from = place
        try await lease.transaction(as: Self.caller, deadline: deadline) { tx in try await move(tx, from: from, to: end) }
        place = end
      }
      if batch.isLast { return }
      if place == start { throw Standstill() }
    }
  }

  private func move(_ tx: PostgresTransaction, from: Place, to: Place) async throws {
    let moved = try await tx.run(
      """
      UPDATE crm.channel_state SET uid_validity = \(to.uidValidity), uid = \(to.uid), marker = \(to.marker), updated_at = now()
       WHERE channel_account_id = \(accountID) AND uid_validity IS NOT DISTINCT FROM \(from.uidValidity)::bigint AND uid IS NOT DISTINCT FROM \(from.uid)::bigint
         AND marker IS NOT DISTINCT FROM \(from.marker)::text
      """)
    if moved == 0 { throw Overtaken() }
  }

  private func take(_ message: ReceivedMessage, from: Place, to: Place) async throws {
    let (files, tooLarge) = try await ReceivedFiles(database: lease.database).store(message.files)
    let message = tooLarge.isEmpty ? message : message.noting("not kept, because larger than files may be: " + tooLarge.joined(separator: ", "))
    do {
      try await lease.transaction(as: Self.caller, deadline: deadline) { tx in
        try await move(tx, from: from, to: to)
        try await MessageIntake(accountID: accountID).take(message, files, tx)
      }
    } catch let error as PostgresError where ["22", "23", "54"].contains(error.sqlState?.prefix(2)) {
      // The database refuses what the message holds. It is kept all the same: its words as they came, in its own conversation, with the reason.
      let plain = message.reduced(because: "the message could not be stored as it is (\(error.sqlState ?? ""))")
      try await lease.transaction(as: Self.caller, deadline: deadline) { tx in
        try await move(tx, from: from, to: to)
        try await MessageIntake(accountID: accountID).take(plain, files, tx)
      }
    }
  }
}

/// How far the account was read, as its row says it.
private struct Place: RowDecodable, Sendable, Hashable {
  let uidValidity, uid: Int?
  let marker: String?

  init(row: PostgresRow) throws {
    uidValidity = try row.decode("uid_validity")
    uid = try row.decode("uid")
    marker = try row.decode("marker")
  }

  init(_ position: ChannelPosition) {
    switch position {
    case .mailbox(let uidValidity, let uid): (self.uidValidity, self.uid, marker) = (uidValidity, uid, nil)
    case .marker(let marker): (uidValidity, uid, self.marker) = (nil, nil, marker)
    }
  }

  var position: ChannelPosition? {
    if let uidValidity, let uid { return .mailbox(uidValidity: uidValidity, uid: uid) }
    return marker.map { .marker($0) }
  }
}

extension ReceivedMessage {
  /// The same message with a remark below its text, for people to see.
  fileprivate func noting(_ remark: String) -> ReceivedMessage {
    ReceivedMessage(
      externalID: externalID, digest: digest, size: size, inReplyTo: inReplyTo, references: references, sender: sender, senderName: senderName,
      replyTo: replyTo, recipients: recipients, subject: subject, text: text + "\n\n[\(remark)]", html: html, occurredAt: occurredAt, kind: kind, files: files,
      defects: defects + [remark], reports: reports, position: position)
  }

  /// The same message with nothing in it that could be refused.
  fileprivate func reduced(because reason: String) -> ReceivedMessage {
    ReceivedMessage(
      externalID: externalID, digest: digest, size: size, inReplyTo: nil, references: [], sender: "unknown", senderName: nil, recipients: [],
      subject: subject.map { String($0.prefix(200)) }, text: "[\(reason)]\n\n\(sender ?? "")\n\n\(text)", html: nil, occurredAt: occurredAt, kind: kind,
      files: files,
      defects: defects + [reason], reports: [], position: position)
  }
}
