import CRMCore
import Foundation
import PostgresClient

extension JobHandler {
  /// Warnings, breaches, escalation, absences, waiting tickets, and those that close by themselves. A minute's run also asks for another one at the next instant that something is due, so
  /// that nothing waits for the minute to pass.
  static let watchSLA = JobHandler("service.watch") { lease in
    let caller = Caller.system("watch the promises of service")
    let portion = 200
    var again = true
    while again {
      again = try await lease.transaction(as: caller, deadline: .after(.seconds(60))) { tx in
        let next = try await tx.value(Date?.self, "SELECT crm.watch_sla(now(), \(portion)) AS next")
        if let next, next > Date.now, next.timeIntervalSinceNow < 60 {
          let key = "service.watch:\(Int((next.timeIntervalSince1970 * 1_000).rounded(.up)))"
          try await tx.run("SELECT crm.enqueue('service.watch', '{}', \(key), \(next.addingTimeInterval(0.001)))")
        }
        return next.map { $0 <= Date.now } ?? false
      }
    }
    var closed = portion
    while closed == portion {
      closed = try await lease.transaction(as: caller, deadline: .after(.seconds(60))) { tx in
        try await tx.value(Int.self, "SELECT crm.close_resolved(now(), \(portion)) AS closed")
      }
    }
    try await lease.complete(as: caller, deadline: .after(.seconds(60))) { tx in
      try await tx.run("SELECT crm.lapse_presences(now())")
      try await tx.run("SELECT crm.route_waiting(now(), \(portion))")
    }
  }

  /// Computes the clocks of tickets that are not closed anew: after a policy or a calendar changed, and once a night.
  static let recomputeSLA = JobHandler("service.sla_recompute") { lease in
    let caller = Caller.system("compute the clocks of tickets anew")
    // One that waits behind this one sees whatever this one would, and what changed since.
    let isFollowed = try await lease.transaction(as: caller, deadline: .after(.seconds(60))) { tx in
      try await tx.value(
        Bool.self,
        "SELECT EXISTS (SELECT FROM crm.job AS j WHERE j.kind = 'service.sla_recompute' AND j.status = 'queued' AND j.run_at <= now()) AS is_followed")
    }
    if isFollowed { return }
    var last: UUID?
    repeat {
      let after = last
      last = try await lease.transaction(as: caller, deadline: .after(.seconds(120))) { tx in
        let ids = try await tx.all(
          TicketID.self, "SELECT t.id FROM crm.ticket AS t WHERE t.status <> 'closed' AND (\(after)::uuid IS NULL OR t.id > \(after)) ORDER BY t.id LIMIT 1000"
        ).map(\.id)
        if !ids.isEmpty { try await tx.run("SELECT crm.recompute_sla(\(ids), now())") }
        return ids.last
      }
    } while last != nil
  }

  private struct TicketID: RowDecodable {
    let id: UUID
    init(row: PostgresRow) throws { id = try row.decode(UUID.self, "id") }
  }
}

extension Schedule {
  static let watchSLA = Schedule("service.watch", kind: "service.watch", .every(.seconds(60)))
  static let nightlySLA = Schedule("service.sla_recompute", kind: "service.sla_recompute", .every(.seconds(86_400)))
}
