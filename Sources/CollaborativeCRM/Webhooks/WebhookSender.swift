package import CRMCore
import Foundation
package import Logging
import PostgresClient

/// Tells webhooks of changes: each webhook is one worker's for a while, so that its messages keep their order. Several senders may run.
package struct WebhookSender: Sendable {
  package struct Configuration: Sendable {
    /// Lets receivers be on this machine, and without TLS.
    package var allowsLoopback: Bool
    /// How long to wait when there was nothing to do.
    package var pause: Duration
    /// How long a receiver may take to answer.
    package var patience: Duration

    package init(allowsLoopback: Bool = false, pause: Duration = .milliseconds(250), patience: Duration = .seconds(15)) {
      self.allowsLoopback = allowsLoopback
      self.pause = pause
      self.patience = patience
    }
  }

  static let caller = Caller.system("tell webhooks")
  /// Webhooks that are served at once.
  private static let width = 8

  let database: Database
  let configuration: Configuration
  let logger: Logger

  package init(database: Database, configuration: Configuration, logger: Logger) {
    self.database = database
    self.configuration = configuration
    self.logger = logger
  }

  /// Sends until the task is cancelled.
  package func run() async {
    while !Task.isCancelled {
      do {
        if try await round() == 0 { try await Task.sleep(for: configuration.pause) }
      } catch {
        if Task.isCancelled { return }
        logger.warning("webhooks could not be served; trying again", metadata: ["error": "\(error)"])
        do { try await Task.sleep(for: .seconds(1)) } catch { return }
      }
    }
  }

  /// Serves every webhook for which there is something to do once. Says how many there were.
  package func round() async throws -> Int {
    let result = try await database.read(
      as: Self.caller, lane: .jobs, deadline: .after(.seconds(60)),
      """
      SELECT s.webhook_id FROM crm.webhook_state AS s JOIN crm.webhook AS w ON w.id = s.webhook_id
      WHERE w.is_active AND coalesce(s.leased_until < now(), true) AND coalesce(s.closed_until < now(), true)
        AND (EXISTS (SELECT FROM crm.webhook_delivery AS d WHERE d.webhook_id = s.webhook_id AND d.state = 'pending' AND d.next_attempt_at <= now()
            AND NOT EXISTS (SELECT FROM crm.webhook_delivery AS e WHERE e.webhook_id = d.webhook_id AND e.record_id = d.record_id AND e.state = 'pending'
              AND (e.xid, e.seq) < (d.xid, d.seq)))
          OR EXISTS (SELECT FROM crm.change AS c WHERE (c.xid, c.seq) > (s.xid, s.seq) AND c.xid < pg_snapshot_xmin(pg_current_snapshot()))
            AND (SELECT count(*) FROM (
              SELECT FROM crm.webhook_delivery AS d WHERE d.webhook_id = s.webhook_id AND d.state = 'pending' LIMIT \(WebhookSession.waiting)) AS w
            ) < \(WebhookSession.waiting))
      ORDER BY s.leased_until NULLS FIRST, s.webhook_id LIMIT 1000
      """)
    var waiting = try result.rows.map { try $0.decode(UUID.self, at: 0) }[...]
    let count = waiting.count
    await withTaskGroup(of: Void.self) { group in
      for id in waiting.prefix(Self.width) { group.addTask { await self.serve(id) } }
      waiting = waiting.dropFirst(Self.width)
      while await group.next() != nil {
        if let id = waiting.popFirst() { group.addTask { await self.serve(id) } }
      }
    }
    return count
  }

  private func serve(_ id: UUID) async {
    do {
      guard let session = try await WebhookSession.begin(id, of: self) else { return }
      do { try await session.run() } catch { logger.warning("a webhook could not be served", metadata: ["webhook": "\(id.lowercase)", "error": "\(error)"]) }
      try await session.end()
    } catch {
      logger.warning("a webhook's lease will run out", metadata: ["webhook": "\(id.lowercase)", "error": "\(error)"])
    }
  }
}
