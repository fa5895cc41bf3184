import CRMCore
import Foundation
import Gateway
import Logging
import MuhatapTestKit
import PostgresClient
import Testing

/// A department's accounts with the world outside, and a worker that sends and fetches for them.
struct ChannelDesk {
  let database: TestDatabase
  let secrets: ChannelSecrets

  static let secrets = ChannelSecrets([
    "destek": ["password": MailServers.password], "yanlis": ["password": "baska"],
    "kisa": ["key": MessageProvider.key, "webhook_secret": MessageProvider.signingSecret],
    "hat": ["webhook_secret": MessageProvider.signingSecret],
  ])

  init(_ database: TestDatabase) {
    self.database = database
    secrets = Self.secrets
  }

  @discardableResult
  func behind(_ statement: SQL) async throws -> PostgresResult {
    try await database.admin.execute([statement], context: PostgresPool.Context(readOnly: false), deadline: .after(.seconds(120)))[0]
  }

  func number(_ statement: SQL) async throws -> Int { try await behind(statement)[0].decode(Int.self, at: 0) }

  @discardableResult
  func account(
    _ code: String, channel: String, provider: String, address: String, settings: JSON, brand: UUID? = nil, opensTickets: Bool = false
  ) async throws -> UUID {
    let id = UUID.v7()
    let text = JSONText(String(decoding: try settings.encoded(), as: UTF8.self))
    try await behind(
      """
      INSERT INTO crm.channel_account (id, code, name, channel, provider, address, display_name, brand_id, department_id, settings, opens_tickets)
      SELECT \(id), \(code), \(code), \(channel), \(provider), \(address), 'Çarşı Destek', \(brand), d.id, \(text)::jsonb, \(opensTickets)
        FROM crm.department AS d WHERE d.code = 'service'
      """)
    return id
  }

  @discardableResult
  func mailAccount(_ servers: MailServers, _ code: String = "destek", brand: UUID? = nil, opensTickets: Bool = false, sendsNotices: Bool = false) async throws
    -> UUID
  {
    try await account(
      code, channel: "email", provider: "smtp_imap", address: "\(code)@carsi.example",
      settings: [
        "imap_host": "127.0.0.1", "imap_port": .number(Decimal(servers.imapPort)), "imap_security": "plain", "imap_user": .string(code),
        "smtp_host": "127.0.0.1", "smtp_port": .number(Decimal(servers.smtpPort)), "smtp_security": "plain", "sends_notices": .bool(sendsNotices),
      ], brand: brand, opensTickets: opensTickets)
  }

  private struct Stuck: Error, CustomStringConvertible { let description: String }

  /// Lets a worker read all accounts and do what follows, until nothing of it is left but what is put off;
  /// waiting for the next attempt is cut short.
  func work(receiving: Bool = true, limit: Duration = .seconds(120)) async throws {
    let database = Database(pool: database.worker, secrets: secrets)
    if receiving {
      try await database.transaction(as: .system("test")) { tx in try await JobQueue.enqueue("channel.receive_all", in: tx) }
    }
    let handlers = Work.handlers.filter { $0.kind.hasPrefix("channel.") || $0.kind.hasPrefix("message.") || $0.kind == "notices.mail" }
    let worker = Worker(
      database: database, handlers: handlers, configuration: .init(name: "test", concurrency: 1, waiting: 4, pause: .milliseconds(50), grace: .seconds(2)),
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { await worker.run() }
      let deadline = ContinuousClock.now + limit
      while try await number(
        """
        SELECT count(*) FROM crm.job WHERE (status = 'running' OR status = 'queued' AND (attempt > 0 OR run_at < now() + interval '30 minutes'))
           AND (kind LIKE 'channel.%' OR kind LIKE 'message.%' OR kind = 'notices.mail')
        """) > 0
      {
        guard ContinuousClock.now < deadline else {
          let stuck = try await behind(
            "SELECT coalesce(string_agg(kind || ' ' || status || ' ' || coalesce(last_problem, ''), '; '), '') FROM crm.job WHERE status <> 'done'")
          throw Stuck(description: "the work did not end within \(limit): \(try stuck[0].decode(String.self, at: 0))")
        }
        try await behind("UPDATE crm.job SET run_at = now() WHERE status = 'queued' AND attempt > 0 AND (kind LIKE 'channel.%' OR kind LIKE 'message.%')")
        try await Task.sleep(for: .milliseconds(100))
      }
      worker.stop()
      try await group.waitForAll()
    }
  }
}
