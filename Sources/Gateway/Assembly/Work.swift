import AnalyticalCRM
package import CollaborativeCRM
package import CRMCore
package import Logging
package import PostgresClient

/// What workers do: the handlers of all kinds of jobs, and the jobs that come round by the clock.
package enum Work {
  package static let handlers: [JobHandler] =
    [.housekeeping] + JobHandler.imports(of: API.declared) + JobHandler.segments(of: API.declared)
    + JobHandler.grids(of: API.declared)
    + API.concepts.flatMap(\.jobs)
  /// The same, with those that need a connection of their own.
  package static func handlers(registry: RegistryConnection?) -> [JobHandler] { handlers + JobHandler.registry(registry) }

  package static let schedules: [Schedule] =
    [
      Schedule("housekeeping", kind: "housekeeping", .every(.seconds(3600))),
      Schedule("sweep of files that nobody imports", kind: JobHandler.sweepImports, .every(.seconds(86_400))),
    ] + API.concepts.flatMap(\.schedules)

  /// Keeps values and segments true and tells webhooks of changes from now on, until the task is cancelled.
  package static func followChanges(
    pool: PostgresPool, webhooks: WebhookSender.Configuration = WebhookSender.Configuration(), logger: Logger
  ) -> Task<Void, Never> {
    let follower = LiveFollower(database: Database(pool: pool), resources: API.declared, logger: logger)
    let sender = WebhookSender(database: Database(pool: pool), configuration: webhooks, logger: logger)
    return Task {
      await withTaskGroup(of: Void.self) { group in
        group.addTask { await follower.run() }
        group.addTask { await sender.run() }
        await group.waitForAll()
      }
    }
  }
}

extension JobHandler {
  /// Makes the change log's next partitions and forgets what has run out.
  static let housekeeping = JobHandler("housekeeping") { lease in
    try await lease.complete(as: .system("housekeeping"), deadline: .after(.seconds(60))) { tx in
      try await tx.run("SELECT crm.make_change_partitions()")
      try await tx.run("DELETE FROM crm.session WHERE expires_at < now() - interval '30 days'")
      try await tx.run("DELETE FROM crm.idempotency_key WHERE created_at < now() - interval '2 days'")
      try await tx.run("DELETE FROM crm.sign_in_attempt WHERE last_at < now() - interval '1 day'")
    }
  }
}
