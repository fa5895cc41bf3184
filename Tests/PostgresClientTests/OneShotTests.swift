import Foundation
import PostgresClient
import Testing

@Suite struct OneShotTests {
  @Test func `settings hold for the statements of one flush and for nothing after it`() async throws {
    try await Server.withPool(connections: [.interactive: 1]) { pool in
      let results = try await pool.read(
        "SELECT current_setting('muhatap.caller') AS caller, current_setting('transaction_read_only') AS mode",
        "SELECT current_setting('muhatap.caller') || current_setting('muhatap.via')",
        settings: [.init("muhatap.caller", "ayşe"), .init("muhatap.via", "api")])
      #expect(try results[0][0].decode(String.self, "caller") == "ayşe")
      #expect(try results[0][0].decode(String.self, "mode") == "on")
      #expect(try results[1][0].decode(String.self, at: 0) == "ayşeapi")
      let after = try await pool.write(
        "SELECT coalesce(current_setting('muhatap.caller', true), '') || coalesce(current_setting('muhatap.via', true), ''), current_setting('transaction_read_only')"
      )
      #expect(try after[0][0].decode(String.self, at: 0) == "")
      #expect(try after[0][0].decode(String.self, at: 1) == "off")
    }
  }

  @Test func `a failing statement undoes those before it`() async throws {
    try await Server.withPool { pool in
      try await pool.write("CREATE TABLE undone (id int PRIMARY KEY)")
      let error = await #expect(throws: PostgresError.self) {
        try await pool.write("INSERT INTO undone VALUES (1)", "INSERT INTO undone VALUES (2), (2)")
      }
      #expect(error?.sqlState == "23505")
      #expect(error?.constraint == "undone_pkey")
      #expect(error?.table == "undone")
      #expect(error?.kind == .server)
      #expect(try await pool.read("SELECT count(*) FROM undone")[0][0].decode(Int.self, at: 0) == 0)
    }
  }

  @Test func `a deferred constraint that fails at the end is reported and undoes all`() async throws {
    try await Server.withPool { pool in
      try await pool.write("CREATE TABLE parent (id int PRIMARY KEY)")
      try await pool.write("CREATE TABLE child (parent_id int CONSTRAINT child_parent REFERENCES parent DEFERRABLE INITIALLY DEFERRED)")
      for _ in 1...3 {
        let error = await #expect(throws: PostgresError.self) { try await pool.write("INSERT INTO child VALUES (7)") }
        #expect(error?.sqlState == "23503")
        #expect(error?.constraint == "child_parent")
        #expect(error?.kind == .server)
      }
      #expect(try await pool.read("SELECT count(*) FROM child")[0][0].decode(Int.self, at: 0) == 0)
      #expect(await pool.statistics().discards == 0)
      let late = await #expect(throws: PostgresError.self) {
        try await pool.transact { tx in try await tx.run("INSERT INTO child VALUES (7)") }
      }
      #expect(late?.constraint == "child_parent")
    }
  }

  @Test func `a read-only one-shot cannot write`() async throws {
    try await Server.withPool { pool in
      try await pool.write("CREATE TABLE untouched (id int)")
      let error = await #expect(throws: PostgresError.self) { try await pool.read("INSERT INTO untouched VALUES (1)") }
      #expect(error?.sqlState == "25006")
    }
  }

  @Test func `a statement that cannot be prepared leaves the connection usable and is tried afresh`() async throws {
    try await Server.withPool(connections: [.interactive: 1]) { pool in
      for _ in 1...3 {
        let error = await #expect(throws: PostgresError.self) { try await pool.read("SELECT id FROM appears_later") }
        #expect(error?.sqlState == "42P01")
      }
      try await pool.write("CREATE TABLE appears_later (id int)")
      #expect(try await pool.read("SELECT id FROM appears_later")[0].count == 0)
      #expect(await pool.statistics().connects == 1)
    }
  }

  @Test func `a table altered under a prepared statement is read with its new columns`() async throws {
    try await Server.withPool(connections: [.interactive: 1]) { pool in
      try await pool.write("CREATE TABLE altered (id int)", "CREATE VIEW altered_now AS SELECT 1 AS a")
      _ = try await pool.read("SELECT altered FROM altered", "TABLE altered")
      try await pool.write("ALTER TABLE altered ADD name text")
      #expect(try await pool.read("TABLE altered")[0].columnCount == 2)
      try await pool.write("ALTER TABLE altered ADD age int")
      let columns = try await pool.transact { tx in try await tx.result("TABLE altered").columnCount }
      #expect(columns == 3)
    }
  }

  @Test func `statements are prepared no more than the limit says`() async throws {
    for limit in [0, 3] {
      try await Server.withPool(connections: [.interactive: 1], preparedStatements: limit) { pool in
        for _ in 1...3 {
          _ = try await pool.read("SELECT 1")
          _ = try await pool.read("SELECT 2")
          _ = try await pool.read("SELECT 3")
          _ = try await pool.read("SELECT 4")
          _ = try await pool.read("SELECT 5")
        }
        let count = try await pool.read("SELECT count(*) FROM pg_prepared_statements")[0][0].decode(Int.self, at: 0)
        #expect(count <= limit + 2)
        #expect(await pool.statistics().connects == 1)
      }
    }
  }

  @Test func `the deadline stops a statement and the next caller finds a clean connection`() async throws {
    try await Server.withPool(connections: [.interactive: 1]) { pool in
      // Connecting is not what the deadline is for.
      _ = try await pool.read("SELECT 1")
      for readOnly in [true, false] {
        let start = ContinuousClock.now
        let error = await #expect(throws: PostgresError.self) {
          try await pool.execute(["SELECT pg_sleep(30)"], context: .init(readOnly: readOnly), deadline: .after(.seconds(1)))
        }
        #expect(error?.kind == .timeout)
        #expect(ContinuousClock.now - start < .seconds(20))
      }
      let one = try await pool.read("SELECT 1")[0][0].decode(Int.self, at: 0)
      #expect(one == 1)
      #expect(await pool.statistics().discards == 0)
    }
  }

  @Test func `a cancelled task cancels its query`() async throws {
    try await Server.withPool(connections: [.interactive: 2]) { pool in
      let task = Task { try await pool.read("SELECT pg_sleep(50), 'cancel me'") }
      let isRunning = try await Self.isRunning(1, pool, "%cancel me%")
      #expect(isRunning)
      task.cancel()
      await #expect { try await task.value } throws: { ($0 as? PostgresError)?.kind == .cancelled }
      let isGone = try await Self.isRunning(0, pool, "%cancel me%")
      #expect(isGone)
    }
  }

  /// Whether so many statements like this come to be running; they would sleep for longer than it is waited.
  static func isRunning(_ count: Int, _ pool: PostgresPool, _ statement: String) async throws -> Bool {
    let start = ContinuousClock.now
    while ContinuousClock.now - start < .seconds(30) {
      let running = try await pool.read(
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE \(statement) AND pid <> pg_backend_pid() AND state = 'active'")
      if try running[0][0].decode(Int.self, at: 0) == count { return true }
      try await Task.sleep(for: .milliseconds(20))
    }
    return false
  }

  @Test func `statements run with a callback can be given up, waiting or running`() async throws {
    try await Server.withPool(connections: [.interactive: 1]) { pool in
      let results = AsyncStream.makeStream(of: PostgresError.Kind?.self)
      let executions = (1...2).map { _ in
        pool.execute(["SELECT pg_sleep(100)"], context: .init(readOnly: true), deadline: .after(.seconds(60))) { result in
          if case .failure(let error) = result { results.continuation.yield(error.kind) } else { results.continuation.yield(nil) }
        }
      }
      try await Self.wait(pool, until: { $0.busy == 1 && $0.waiting == 1 })
      for execution in executions { execution.cancel() }
      var kinds = results.stream.makeAsyncIterator()
      #expect(await kinds.next() == .cancelled)
      #expect(await kinds.next() == .cancelled)
      executions[0].cancel()
      try await pool.write("SELECT 1")
    }
  }

  @Test func `too many parameters are refused before they are sent`() async throws {
    try await Server.withPool { pool in
      let list = (0..<65_536).map { "\($0)" as SQL }.joined(separator: ", ")
      let error = await #expect(throws: PostgresError.self) { try await pool.read("SELECT ARRAY[" + list + "]") }
      #expect(error?.kind == .usage)
      #expect(await pool.statistics().connects == 0)
    }
  }

  @Test func `a full queue refuses at once and a waiter is answered at its deadline`() async throws {
    try await Server.withPool(connections: [.interactive: 1, .health: 1], queueLimit: 2) { pool in
      let blocker = Task { try await pool.execute(["SELECT pg_sleep(60)"], context: .init(readOnly: true), deadline: .after(.seconds(60))) }
      try await Self.wait(pool, until: { $0.busy == 1 })
      async let first: Duration = Self.waitUntilRefused(pool, .timeout, deadline: .milliseconds(8_000))
      async let second: Duration = Self.waitUntilRefused(pool, .timeout, deadline: .milliseconds(8_200))
      try await Self.wait(pool, until: { $0.waiting == 2 })
      #expect(try await Self.waitUntilRefused(pool, .queueFull, deadline: .seconds(30)) < .seconds(15))
      let health = try await pool.execute(["SELECT 1"], context: .init(readOnly: true), lane: .health, deadline: .after(.seconds(15)))
      #expect(health.count == 1)
      let waits = try await [first, second]
      // Long before the connection comes free; how long after the deadline is the machine's affair.
      #expect((8_000..<35_000).contains(waits[0] / .milliseconds(1)))
      #expect((8_200..<35_000).contains(waits[1] / .milliseconds(1)))
      blocker.cancel()
      await #expect(throws: PostgresError.self) { try await blocker.value }
    }
  }

  /// Waits until the interactive lane is in the state described.
  static func wait(_ pool: PostgresPool, until condition: (PostgresPool.Statistics.Lane) -> Bool) async throws {
    while try !condition(#require(await pool.statistics().lanes[.interactive])) { try await Task.sleep(for: .milliseconds(5)) }
  }

  static func waitUntilRefused(_ pool: PostgresPool, _ kind: PostgresError.Kind, deadline: Duration) async throws -> Duration {
    let start = ContinuousClock.now
    await #expect { try await pool.execute(["SELECT 1"], context: .init(readOnly: true), deadline: .after(deadline)) } throws: {
      ($0 as? PostgresError)?.kind == kind
    }
    return ContinuousClock.now - start
  }

  @Test func `a read that finds a connection idle may be larger than its socket takes, and keeps its deadline`() async throws {
    try await Server.withPool(connections: [.interactive: 1]) { pool in
      _ = try await pool.read("SELECT 1")
      let large = String(repeating: "ş", count: 2_000_000)
      #expect(try await pool.read("SELECT length(\(large))")[0][0].decode(Int.self, at: 0) == 2_000_000)
      // The loop's wait began before, and must not last until it would have looked at the clock by itself, a second later. A busy machine makes one
      // of them late; the mistake would make all of them so.
      var quickest = Duration.seconds(60)
      for _ in 0..<10 where quickest >= .milliseconds(900) {
        _ = try await pool.read("SELECT 1")
        let start = ContinuousClock.now
        await #expect(throws: PostgresError.self) {
          try await pool.execute(["SELECT pg_sleep(5)"], context: .init(readOnly: true), deadline: .after(.milliseconds(100)))
        }
        quickest = min(quickest, ContinuousClock.now - start)
      }
      #expect(quickest < .milliseconds(900))
    }
  }
}
