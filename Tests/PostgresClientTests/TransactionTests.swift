import Foundation
import PostgresClient
import Testing

@Suite struct TransactionTests {
  struct Oops: Error {}

  struct Pair: RowDecodable, Equatable {
    let a: Int
    let b: String?
    init(row: PostgresRow) throws {
      a = try row.decode("a")
      b = try row.decode("b")
    }
    init(a: Int, b: String?) { (self.a, self.b) = (a, b) }
  }

  @Test func `what a transaction wrote is there when it returns and gone when it throws`() async throws {
    try await Server.withPool { pool in
      try await pool.write("CREATE TABLE kept (id int)")
      let returned = try await pool.transact { tx in
        try await tx.run("INSERT INTO kept VALUES (\(1))")
        return try await tx.value(Int.self, "SELECT count(*) FROM kept")
      }
      #expect(returned == 1)
      await #expect(throws: Oops.self) {
        try await pool.transact { tx in
          try await tx.run("INSERT INTO kept VALUES (\(2))")
          throw Oops()
        }
      }
      #expect(try await pool.read("SELECT id FROM kept")[0].count == 1)
      #expect(await pool.statistics().discards == 0)
    }
  }

  @Test func `a transaction runs under its settings, mode and isolation`() async throws {
    try await Server.withPool { pool in
      let seen = try await pool.transaction(
        context: .init(settings: [.init("muhatap.caller", "c")], readOnly: true), deadline: .after(.seconds(60)), isolation: .serializable
      ) { tx in
        try await tx.result(
          """
          SELECT current_setting('muhatap.caller'), current_setting('transaction_read_only'), current_setting('transaction_isolation'),
            (SELECT setting FROM pg_settings WHERE name = 'statement_timeout'), current_setting('lock_timeout'), current_setting('TimeZone')
          """)
      }
      #expect(try (0..<3).map { try seen[0].decode(String.self, at: $0) } == ["c", "on", "serializable"])
      #expect((20_000...60_000).contains(try seen[0].decode(Int.self, at: 3)))
      #expect(try (4..<6).map { try seen[0].decode(String.self, at: $0) } == ["2s", "UTC"])
    }
  }

  @Test func `an error that is swallowed makes the commit fail with it`() async throws {
    try await Server.withPool { pool in
      try await pool.write("CREATE TABLE swallowed (id int PRIMARY KEY)")
      let error = await #expect(throws: PostgresError.self) {
        try await pool.transact { tx in
          try await tx.run("INSERT INTO swallowed VALUES (1)")
          _ = try? await tx.run("INSERT INTO swallowed VALUES (1)")
        }
      }
      #expect(error?.constraint == "swallowed_pkey")
      #expect(try await pool.read("SELECT 1 FROM swallowed")[0].count == 0)
    }
  }

  @Test func `a savepoint undoes only what was done in it`() async throws {
    try await Server.withPool { pool in
      try await pool.write("CREATE TABLE saved (id int CONSTRAINT saved_id_key UNIQUE)")
      try await pool.transact { tx in
        try await tx.run("INSERT INTO saved VALUES (1)")
        await #expect(throws: Oops.self) {
          try await tx.savepoint {
            _ = try await tx.savepoint { try await tx.run("INSERT INTO saved VALUES (2)") }
            try await tx.run("INSERT INTO saved VALUES (1)", onViolation: ["saved_id_key": Oops()])
          }
        }
        try await tx.run("INSERT INTO saved VALUES (3)")
      }
      let ids = try await pool.read("SELECT id FROM saved ORDER BY id")[0].rows.map { try $0.decode(Int.self, at: 0) }
      #expect(ids == [1, 3])
    }
  }

  @Test func `verbs return rows, values and counts, and say where a statement stands that failed`() async throws {
    try await Server.withPool { pool in
      let last = await #expect(throws: PostgresError.self) {
        try await pool.transact { tx in try await Self.useVerbs(tx) }
      }
      #expect(last?.sqlState == "22012")
    }
  }

  static func useVerbs(_ tx: PostgresTransaction) async throws {
    #expect(try await tx.one(Pair.self, "SELECT 1 AS a, 'x' AS b") == Pair(a: 1, b: "x"))
    #expect(try await tx.first(Pair.self, "SELECT 1 AS a, NULL AS b WHERE false") == nil)
    #expect(try await tx.all(Pair.self, "SELECT g AS a, NULL AS b FROM generate_series(1, \(3)) g").map(\.a) == [1, 2, 3])
    let none = await #expect(throws: PostgresError.self) { try await tx.one(Pair.self, "SELECT 1 AS a, 'x' AS b WHERE false") }
    #expect(none?.kind == .rowCount)
    let several = try await tx.results(["SELECT 1", "SELECT 2"])
    #expect(try several.map { try $0[0].decode(Int.self, at: 0) } == [1, 2])
    let failed = await #expect(throws: PostgresError.self) { try await tx.run("SELECT 1/0") }
    #expect(failed?.sqlState == "22012")
    #expect(failed?.statementName?.hasPrefix("PostgresClientTests/TransactionTests.swift:") == true)
  }

  @Test func `only what may be retried is retried, four times`() async throws {
    try await Server.withPool { pool in
      let runs = Counter()
      let error = await #expect(throws: PostgresError.self) {
        try await pool.transact(retries: true) { tx in
          runs.increment()
          try await tx.run("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40001'; END $$")
        }
      }
      #expect(error?.sqlState == "40001")
      #expect(runs.value == 5)
      let once = Counter()
      await #expect(throws: PostgresError.self) {
        try await pool.transact { tx in
          once.increment()
          try await tx.run("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40001'; END $$")
        }
      }
      #expect(once.value == 1)
    }
  }

  @Test func `serializable counters lose no increment under retries`() async throws {
    try await Server.withPool { pool in
      try await pool.write("CREATE TABLE counter (n int)", "INSERT INTO counter VALUES (0)")
      let succeeded = await withTaskGroup(of: Bool.self) { group in
        for _ in 1...20 {
          group.addTask {
            do {
              try await pool.transact(isolation: .serializable, retries: true) { tx in
                let n = try await tx.value(Int.self, "SELECT n FROM counter")
                try await tx.run("UPDATE counter SET n = \(n + 1)")
              }
              return true
            } catch { return false }
          }
        }
        return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
      }
      #expect(try await pool.read("SELECT n FROM counter")[0][0].decode(Int.self, at: 0) == succeeded)
      #expect(succeeded > 0)
    }
  }

  @Test func `a transaction whose deadline passes while it is idle is rolled back and frees its connection`() async throws {
    try await Server.withPool(connections: [.interactive: 1]) { pool in
      try await pool.write("CREATE TABLE slow (id int)")
      let slow = Task {
        try await pool.transact(deadline: .after(.milliseconds(200))) { tx in
          try await tx.run("INSERT INTO slow VALUES (1)")
          try await Task.sleep(for: .milliseconds(600))
        }
      }
      try await Task.sleep(for: .milliseconds(300))
      #expect(try await pool.read("SELECT 1 FROM slow")[0].count == 0)
      await #expect { try await slow.value } throws: { ($0 as? PostgresError)?.kind == .timeout }
      #expect(await pool.statistics().connects == 1)
    }
  }

  @Test func `cancelling the task of a transaction cancels its statement and undoes it`() async throws {
    try await Server.withPool(connections: [.interactive: 2]) { pool in
      try await pool.write("CREATE TABLE cancelled (id int)")
      let task = Task {
        try await pool.transact { tx in
          try await tx.run("INSERT INTO cancelled VALUES (1)")
          try await tx.run("SELECT pg_sleep(50), 'tx to cancel'")
        }
      }
      #expect(try await OneShotTests.isRunning(1, pool, "%tx to cancel%"))
      task.cancel()
      await #expect { try await task.value } throws: { ($0 as? PostgresError)?.kind == .cancelled }
      #expect(try await OneShotTests.isRunning(0, pool, "%tx to cancel%"))
      #expect(try await pool.read("SELECT id FROM cancelled")[0].count == 0)
    }
  }

  @Test func `a commit under way is not cancelled and one past its deadline has an unknown outcome`() async throws {
    try await Server.withPool(connections: [.interactive: 2]) { pool in
      try await pool.write(
        "CREATE TABLE slow_commit (id int)",
        "CREATE FUNCTION slow_commit() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(NEW.id); RETURN NULL; END'",
        "CREATE CONSTRAINT TRIGGER slow_commit AFTER INSERT ON slow_commit DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slow_commit()"
      )
      let cancelled = Task { try await pool.transact { tx in try await tx.run("INSERT INTO slow_commit VALUES (8)") } }
      let began = ContinuousClock.now
      let committing: SQL = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND query = 'COMMIT' AND wait_event = 'PgSleep'"
      while try await pool.read(committing)[0].count == 0 { try #require(ContinuousClock.now - began < .seconds(60)) }
      cancelled.cancel()
      #expect(try await cancelled.value == 1)
      // statement_timeout would stop the trigger first; without it the client's deadline is what ends the wait.
      await #expect {
        try await pool.transact(deadline: .after(.seconds(6))) { tx in
          try await tx.results(["SET LOCAL statement_timeout = 0", "INSERT INTO slow_commit VALUES (12)"])
        }
      } throws: {
        ($0 as? PostgresError)?.kind == .outcomeUnknown
      }
      let asked = ContinuousClock.now
      while try await pool.read("SELECT FROM slow_commit")[0].count < 2, ContinuousClock.now - asked < .seconds(40) {
        try await Task.sleep(for: .milliseconds(100))
      }
      #expect(try await pool.read("SELECT FROM slow_commit")[0].count == 2)
      #expect(await pool.statistics().discards == 0)
    }
  }

  @Test func `statements that child tasks run at once follow each other`() async throws {
    try await Server.withPool { pool in
      let values = try await pool.transact { tx in
        try await withThrowingTaskGroup(of: Int.self) { group in
          for number in 1...50 { group.addTask { try await tx.value(Int.self, "SELECT \(number)::int") } }
          return try await group.reduce(into: Set<Int>()) { $0.insert($1) }
        }
      }
      #expect(values == Set(1...50))
      #expect(await pool.statistics().connects == 1)
      await #expect(throws: PostgresError.self) {
        try await pool.transaction(context: .init(settings: [.init("statement_timeout", "wrong")], readOnly: false), deadline: .after(.seconds(5))) { tx in
          async let copied = tx.copyIn("COPY nowhere FROM STDIN") { _ in }
          async let value = tx.value(Int.self, "SELECT 1")
          _ = try await (copied, value)
        }
      }
    }
  }

  @Test func `a transaction is of no use after its body`() async throws {
    try await Server.withPool { pool in
      let escaped = try await pool.transact { tx in
        try await tx.run("SELECT 1")
        return tx
      }
      await #expect { try await escaped.run("SELECT 1") } throws: { ($0 as? PostgresError)?.kind == .usage }
    }
  }
}
