package import Foundation
package import PostgresClient

/// The statements behind the queue. A job is `queued`, `running` under a lease, `done`, or `dead`.
package struct JobQueue: Sendable {
  let database: Database
  private static let caller = Caller.system("work on the queue")

  package init(database: Database) { self.database = database }

  /// Puts work in the queue; it is done if and only if the transaction commits.
  /// - Parameter key: names the work, so that asking for it twice makes one job.
  /// - Returns: the job's id; nil when a job of this key is there already.
  @discardableResult
  package static func enqueue(_ kind: String, payload: JSON = [:], key: String? = nil, in tx: PostgresTransaction) async throws -> UUID? {
    let text = JSONText(String(decoding: try payload.encoded(), as: UTF8.self))
    return try await tx.value(UUID?.self, "SELECT crm.enqueue(\(kind), \(text)::jsonb, \(key))")
  }

  /// Leases the next job of these kinds, but for some lanes, that is due, or whose worker has vanished; nil when there is none.
  package func take(_ kinds: [String], except lanes: [String] = [], worker: String, lease: Duration) async throws -> Job? {
    try await run { tx in
      try await tx.first(
        Job.self,
        """
        UPDATE crm.job SET status = 'running', attempt = attempt + 1, leased_until = now() + \(lease.milliseconds) * interval '1 millisecond',
          worker = \(worker), started_at = now()
        WHERE id = (
          SELECT id FROM crm.job
          WHERE kind = ANY(\(kinds)) AND (lane IS NULL OR lane <> ALL(\(lanes)))
            AND (status = 'queued' AND run_at <= now() OR status = 'running' AND leased_until < now() AND attempt < attempt_limit)
          ORDER BY run_at, id LIMIT 1 FOR UPDATE SKIP LOCKED)
        RETURNING id, kind, payload, lane, attempt, attempt_limit
        """)
    }
  }

  /// Renews a lease. Says false when it was lost; a job that was completed under it was not.
  package func renew(_ job: Job, lease: Duration) async throws -> Bool {
    try await run { tx in
      try await tx.run(
        """
        UPDATE crm.job SET leased_until = CASE status WHEN 'running' THEN now() + \(lease.milliseconds) * interval '1 millisecond' END
        WHERE id = \(job.id) AND attempt = \(job.attempt) AND status IN ('running', 'done')
        """) == 1
    }
  }

  /// Lets a failed job wait before its next attempt, longer each time; gives it up after its last one, or at once when it is hopeless.
  func fail(_ job: Job, problem: String, isHopeless: Bool) async throws {
    let wait = min(3_600, 5 * pow(2, Double(job.attempt - 1))) * Double.random(in: 0.5...1.5)
    let isLast = isHopeless || job.attempt >= job.attemptLimit
    try await run { tx in
      try await tx.run(
        """
        UPDATE crm.job SET leased_until = NULL, last_problem = \(String(problem.prefix(2_000))),
          status = CASE WHEN \(isLast) THEN 'dead' ELSE 'queued' END, finished_at = CASE WHEN \(isLast) THEN now() END,
          run_at = now() + \(wait) * interval '1 second'
        WHERE id = \(job.id) AND attempt = \(job.attempt) AND status = 'running'
        """)
    }
  }

  /// Gives a job back that was interrupted by this worker's own end, or for which it has no place; the interrupted attempt does not count.
  func release(_ job: Job) async throws {
    try await run { tx in
      try await tx.run(
        """
        UPDATE crm.job SET status = 'queued', leased_until = NULL, attempt_limit = attempt_limit + 1
        WHERE id = \(job.id) AND attempt = \(job.attempt) AND status = 'running'
        """)
    }
  }

  /// Gives up jobs whose worker vanished in the last attempt they had.
  package func bury() async throws {
    try await run { tx in
      try await tx.run(
        """
        UPDATE crm.job SET status = 'dead', leased_until = NULL, finished_at = now(), last_problem = 'the worker vanished during the last attempt'
        WHERE id IN (
          SELECT id FROM crm.job WHERE status = 'running' AND leased_until < now() AND attempt >= attempt_limit FOR UPDATE SKIP LOCKED)
        """)
    }
  }

  /// Puts the latest occurrence of a schedule in the queue, unless any worker did already.
  func enqueue(_ schedule: Schedule, now: Date) async throws {
    guard let occurrence = schedule.latestOccurrence(before: now) else { return }
    let key = "schedule:\(schedule.name):\(Int(occurrence.timeIntervalSince1970))"
    _ = try await run { tx in try await Self.enqueue(schedule.kind, payload: schedule.payload, key: key, in: tx) }
  }

  /// How long until the next job of these kinds, but for some lanes, is due or its lease ends; nil when there is none.
  func timeUntilNext(_ kinds: [String], except lanes: [String] = []) async throws -> Duration? {
    let milliseconds = try await run { tx in
      try await tx.value(
        Double?.self,
        """
        SELECT (extract(epoch FROM min(CASE status WHEN 'queued' THEN run_at ELSE leased_until END) - now()) * 1000)::float8
        FROM crm.job WHERE kind = ANY(\(kinds)) AND (lane IS NULL OR lane <> ALL(\(lanes))) AND (status = 'queued' OR status = 'running' AND attempt < attempt_limit)
        """)
    }
    return milliseconds.map { .milliseconds(max(0, $0)) }
  }

  /// Forgets jobs that were done long ago. Scheduled ones are kept longer: their keys say that an occurrence has been.
  func forget() async throws {
    try await run { tx in
      try await tx.run(
        """
        DELETE FROM crm.job WHERE status = 'done'
          AND finished_at < now() - CASE WHEN key ^@ 'schedule:' THEN interval '400 days' ELSE interval '30 days' END
        """)
    }
  }

  /// The queue's own statements do not wait behind the jobs: they use the interactive lane.
  @discardableResult
  private func run<Value: Sendable>(_ body: @Sendable @escaping (PostgresTransaction) async throws -> Value) async throws -> Value {
    try await database.transaction(as: Self.caller, deadline: .after(.seconds(10)), body)
  }
}

extension Duration {
  /// Whole and broken milliseconds.
  var milliseconds: Double { Double(components.seconds) * 1_000 + Double(components.attoseconds) / 1e15 }
}
