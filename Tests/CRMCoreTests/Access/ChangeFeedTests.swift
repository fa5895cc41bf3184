import Foundation
import Logging
import MuhatapTestKit
import PostgresClient
import Synchronization
import Testing

/// The change log read while 64 writers commit in another order than they began.
@Suite struct ChangeFeedTests {
  private static let writers = 64
  private static let changesEach = 12

  private struct Place: Sendable, Hashable {
    var xid = "0"
    var sequence = 0
  }

  private struct Change: RowDecodable {
    let id: UUID
    let place: Place
    init(row: PostgresRow) throws {
      id = try row.decode(UUID.self, "row_id")
      place = Place(xid: try row.decode(String.self, "xid"), sequence: try row.decode(Int.self, "seq"))
    }
  }

  private final class Switch: Sendable {
    private let state = Atomic(false)
    var isOn: Bool { state.load(ordering: .acquiring) }
    func turnOn() { state.store(true, ordering: .releasing) }
  }

  private static let system = PostgresPool.Context(
    settings: [
      .init("muhatap.read_products", "*"), .init("muhatap.write_products", "*"), .init("muhatap.via", "system:test"),
    ], readOnly: false)

  /// Follows the log page by page until the writers are done and nothing new comes.
  private func follow(_ pool: PostgresPool, done: Switch, page: @Sendable (Place) -> SQL) async throws -> [UUID] {
    var seen: [UUID] = []
    var place = Place()
    while true {
      let isLast = done.isOn
      let changes = try await pool.execute([page(place)], context: Self.system, lane: .interactive, deadline: .after(.seconds(60)))[0]
      for row in 0..<changes.count {
        let change = try Change(row: changes[row])
        seen.append(change.id)
        place = change.place
      }
      if isLast && changes.count == 0 { return seen }
      if changes.count == 0 { try await Task.sleep(for: .milliseconds(2)) }
    }
  }

  private func write(_ pool: PostgresPool) async throws -> [UUID] {
    try await withThrowingTaskGroup(of: [UUID].self) { group in
      for _ in 0..<Self.writers {
        group.addTask {
          var made: [UUID] = []
          for _ in 0..<Self.changesEach {
            let id = UUID()
            try await pool.transaction(context: Self.system, lane: .jobs, deadline: .after(.seconds(300))) { tx in
              try await tx.run("INSERT INTO crm.product_category (id, code, name) VALUES (\(id), \(id)::text, 'x')")
              try await Task.sleep(for: .milliseconds(Double.random(in: 0...40)))
            }
            made.append(id)
          }
          return made
        }
      }
      return try await group.reduce(into: []) { $0 += $1 }
    }
  }

  /// Transactions of other tests on the same server may hold the horizon back for a while.
  private func waitForHorizon(_ pool: PostgresPool) async throws {
    let deadline = Deadline.after(.seconds(600))
    while deadline.remaining > .zero {
      let passed = try await pool.execute(
        ["SELECT max(xid) < pg_snapshot_xmin(pg_current_snapshot()) FROM crm.change WHERE relation = 'product_categories'"],
        context: Self.system, deadline: .after(.seconds(60)))[0]
      if try passed[0].decode(Bool.self, at: 0) { return }
      try await Task.sleep(for: .milliseconds(20))
    }
  }

  @Test func `a reader behind the horizon never skips a change, and one that reads after the last seen does`() async throws {
    let database = try await TestDatabase.clone()
    let pool = PostgresPool(
      .init(connection: database.url(), connections: [.interactive: 2, .jobs: Self.writers], applicationName: "feed"),
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    let done = Switch()

    async let behindHorizon = follow(pool, done: done) { place in
      "SELECT row_id, c.xid::text AS xid, c.seq FROM crm.changes_after(\(place.xid)::xid8, \(place.sequence)::bigint, 50, ARRAY['product_categories']) c ORDER BY c.xid, c.seq"
    }
    async let afterLastSeen = follow(pool, done: done) { place in
      """
      SELECT row_id, c.xid::text AS xid, c.seq FROM crm.change c
      WHERE (c.xid, c.seq) > (\(place.xid)::xid8, \(place.sequence)::bigint) AND c.relation = 'product_categories' ORDER BY c.xid, c.seq LIMIT 50
      """
    }
    let written = try await write(pool)
    try await waitForHorizon(pool)
    done.turnOn()

    let safe = try await behindHorizon
    let naive = try await afterLastSeen
    await pool.shutdown()
    #expect(written.count == Self.writers * Self.changesEach)
    #expect(Set(written).subtracting(safe).isEmpty, "nothing is skipped")
    #expect(safe.count == written.count, "each change is read once")
    #expect(!Set(written).subtracting(naive).isEmpty, "this load does not show the mistake that the horizon prevents")
  }

  @Test func `what an import inserts is one entry a customer, read row by row`() async throws {
    let database = try await TestDatabase.clone()
    let ids = (0..<5).map { _ in UUID() }
    let changes = try await database.app.transaction(
      context: .init(
        settings: [
          .init("muhatap.read_products", "*"), .init("muhatap.write_products", "*"), .init("muhatap.via", "import:7"),
        ], readOnly: false), deadline: .after(.seconds(60))
    ) { tx in
      try await tx.run("INSERT INTO crm.product_category (id, code, name) SELECT i, i::text, 'x' FROM unnest(\(ids)::uuid[]) i")
    }
    #expect(changes == 5)
    let entries = try await database.admin.execute(
      ["SELECT cardinality(row_ids), after IS NULL FROM crm.change WHERE via = 'import:7'"], context: .init(readOnly: true), deadline: .after(.seconds(60)))[0]
    #expect(entries.count == 1)
    #expect(try entries[0].decode(Int.self, at: 0) == 5)
    #expect(try entries[0].decode(Bool.self, at: 1))

    try await waitForHorizon(database.app)
    // Migrations leave entries of their own; the reading begins behind them.
    let before = try await database.admin.execute(
      ["SELECT c.xid::text, c.seq FROM crm.change AS c WHERE c.via <> 'import:7' ORDER BY c.xid DESC, c.seq DESC LIMIT 1"], context: .init(readOnly: true),
      deadline: .after(.seconds(60)))[0]
    var place = Place()
    if before.count == 1 { place = Place(xid: try before[0].decode(String.self, at: 0), sequence: try before[0].decode(Int.self, at: 1)) }
    var seen: [UUID] = []
    for _ in 0..<3 {
      let page = try await database.app.execute(
        ["SELECT row_id, c.xid::text AS xid, c.seq FROM crm.changes_after(\(place.xid)::xid8, \(place.sequence)::bigint, 2) c ORDER BY c.xid, c.seq"],
        context: Self.system, deadline: .after(.seconds(60)))[0]
      for row in 0..<page.count {
        let change = try Change(row: page[row])
        seen.append(change.id)
        place = change.place
      }
    }
    #expect(seen.count == 5)
    #expect(Set(seen) == Set(ids))
    let history = try await database.app.execute(
      ["SELECT op FROM crm.history('product_categories', \(ids[3]))"], context: Self.system, deadline: .after(.seconds(60)))[0]
    #expect(history.count == 1)
  }
}
