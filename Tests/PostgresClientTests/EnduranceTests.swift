import Foundation
import Logging
import MuhatapTestKit
import PostgresClient
import Synchronization
import Testing

/// What the client holds to when everything goes wrong at once.
@Suite(.serialized) struct EnduranceTests {
  struct GivenUp: Error {}

  /// What became of each row that somebody tried to write.
  final class Ledger: Sendable {
    struct State {
      var acknowledged: Set<Int> = []
      var refused: Set<Int> = []
      var unknown: Set<Int> = []
      var leaks: [String] = []
      var kinds: [String: Int] = [:]
    }
    let state = Mutex(State())
    let isOver = Atomic(false)
    let lastSuccess = Mutex(ContinuousClock.now)

    func note(_ id: Int, _ result: Result<Void, any Error>) {
      state.withLock { state in
        switch result {
        case .success:
          state.acknowledged.insert(id)
          lastSuccess.withLock { $0 = .now }
        case .failure(let error as PostgresError):
          state.kinds["\(error.kind) \(error.sqlState ?? "")", default: 0] += 1
          if error.kind == .outcomeUnknown { state.unknown.insert(id) } else { state.refused.insert(id) }
        case .failure(let error):
          state.kinds["\(type(of: error))", default: 0] += 1
          state.refused.insert(id)
        }
      }
    }

    func leak(_ text: String) { state.withLock { $0.leaks.append(text) } }

    /// What was acknowledged is there, what was refused is not.
    func check(against present: Set<Int>) {
      let state = state.withLock { $0 }
      #expect(state.acknowledged.subtracting(present) == [])
      #expect(state.refused.intersection(present) == [])
      #expect(present.subtracting(state.acknowledged).subtracting(state.unknown) == [])
      #expect(state.leaks == [])
    }
  }

  static let probe: SQL = """
    SELECT coalesce(current_setting('muhatap.caller', true), '') AS caller, coalesce(current_setting('muhatap.via', true), '') AS via,
      current_setting('statement_timeout') AS timeout, current_setting('work_mem') AS memory
    """

  @Test(.timeLimit(.minutes(15)))
  func `ten thousand transactions with errors, cancels and kills leave no connection dirty and no setting behind`() async throws {
    try await Server.withPool(connections: [.interactive: 6, .health: 1]) { pool in
      try await pool.write(
        "CREATE TABLE ledger (id int PRIMARY KEY, n int CHECK (n < 100))",
        "CREATE TABLE pair (id int REFERENCES ledger DEFERRABLE INITIALLY DEFERRED)")
      let ledger = Ledger()
      let numbers = Counter()
      let killer = Task {
        // One for every sixty transactions, and not for every so many milliseconds: on a slow machine the kills would leave too few to succeed.
        var next = 60
        while !Task.isCancelled {
          try await Task.sleep(for: .milliseconds(5))
          guard numbers.value >= next else { continue }
          next = numbers.value + 60
          _ = try? await pool.execute(
            [
              """
              SELECT pg_terminate_backend(pid) FROM pg_stat_activity
              WHERE datname = current_database() AND application_name = 'endurance' AND pid <> pg_backend_pid() ORDER BY random() LIMIT 1
              """
            ], context: .init(readOnly: false), lane: .health, deadline: .after(.seconds(5)))
        }
      }
      let subject = PostgresPool(
        .init(connection: try await Server.shared.url(), connections: [.interactive: 6], applicationName: "endurance"),
        logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
      await withTaskGroup(of: Void.self) { group in
        for _ in 0..<24 {
          group.addTask {
            var random = SystemRandomNumberGenerator()
            while let id = numbers.next(upTo: 10_000) {
              await Self.act(id, .random(in: 0..<13, using: &random), subject, ledger)
            }
          }
        }
      }
      killer.cancel()
      _ = await killer.result

      // Every connection that is left is used once more, at the same time as the others, by somebody without settings.
      // They read, because a read that meets a connection killed a moment ago is sent again.
      try await withThrowingTaskGroup(of: Void.self) { group in
        for _ in 0..<60 {
          group.addTask {
            let row = try await subject.execute(
              [Self.probe, "SELECT pg_sleep(0.01)"], context: .init(readOnly: true), deadline: .after(.seconds(60)))[0][0]
            #expect(try row.decode(String.self, "caller") == "")
            #expect(try row.decode(String.self, "via") == "")
            #expect(try row.decode(String.self, "memory") == "4MB")
          }
        }
        try await group.waitForAll()
      }
      func left() async throws -> [PostgresResult] {
        try await pool.read(
          "SELECT coalesce(state, '') AS state, xact_start IS NOT NULL AS in_transaction FROM pg_stat_activity WHERE application_name = 'endurance'",
          "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
      }
      var open = try await left()
      // A server process whose connection was given up may take a moment to end.
      let ended = ContinuousClock.now
      while ContinuousClock.now - ended < .seconds(30),
        try open[0].count > 6 || open[1].count > 0 || open[0].rows.contains(where: { try $0.decode(String.self, "state") != "idle" })
      {
        try await Task.sleep(for: .milliseconds(50))
        open = try await left()
      }
      #expect(
        try open[0].rows.allSatisfy { try $0.decode(String.self, "state") == "idle" && $0.decode(Bool.self, "in_transaction") == false })
      #expect(open[0].count <= 6)
      #expect(open[1].count == 0)
      let statistics = await subject.statistics()
      #expect(statistics.lanes[.interactive]?.busy == 0)
      #expect(statistics.lanes[.interactive]?.waiting == 0)
      await subject.shutdown()
      let present = Set(try await pool.read("SELECT id FROM ledger")[0].rows.map { try $0.decode(Int.self, at: 0) })
      ledger.check(against: present)
      let acknowledged = ledger.state.withLock { $0.acknowledged.count }
      #expect(acknowledged > 2_000)
    }
  }

  /// One of the things that happen to a transaction; `id` is the row it tries to write.
  static func act(_ id: Int, _ kind: Int, _ pool: PostgresPool, _ ledger: Ledger) async {
    let context = PostgresPool.Context(settings: [.init("muhatap.caller", "caller \(id)"), .init("muhatap.via", "test")], readOnly: false)
    let soon = Deadline.after(.seconds(20))
    @Sendable func write(_ more: SQL..., deadline: Deadline = soon) async throws {
      let results = try await pool.execute(
        [probe, "INSERT INTO ledger VALUES (\(id), \(id % 100))"] + more, context: context, deadline: deadline)
      check(results[0][0])
    }
    @Sendable func check(_ row: PostgresRow) {
      do {
        let caller = try row.decode(String.self, "caller")
        if caller != "caller \(id)" { ledger.leak("\(id) saw \(caller)") }
      } catch { ledger.leak("\(error)") }
    }
    @Sendable func transact(deadline: Deadline = soon, _ body: @Sendable (PostgresTransaction) async throws -> Void) async throws {
      try await pool.transaction(context: context, deadline: deadline) { tx in
        check(try await tx.result(probe)[0])
        try await tx.run("INSERT INTO ledger VALUES (\(id), 1)")
        try await body(tx)
      }
    }
    func cancelled(after: Duration, _ body: @escaping @Sendable () async throws -> Void) async throws {
      let task = Task { try await body() }
      try await Task.sleep(for: after)
      task.cancel()
      try await task.value
    }
    let result: Result<Void, any Error>
    do {
      switch kind {
      case 0: try await write()
      case 1: try await write("INSERT INTO ledger VALUES (\(id), 1000)")
      case 2: try await write("SELECT 1/0")
      case 3: try await write("INSERT INTO pair VALUES (-1)")
      case 4: try await write("SELECT pg_sleep(0.05)", deadline: .after(.milliseconds(20)))
      case 5: try await cancelled(after: .milliseconds(.random(in: 0...20))) { try await write("SELECT pg_sleep(0.02)") }
      case 6: try await write("SELECT pg_terminate_backend(pg_backend_pid())")
      case 7: try await transact { tx in try await tx.run("SET LOCAL work_mem = '64MB'") }
      case 8: try await transact { _ in throw GivenUp() }
      case 9:
        try await cancelled(after: .milliseconds(.random(in: 0...20))) {
          try await transact { tx in try await tx.run("SELECT pg_sleep(0.02)") }
        }
      case 10:
        try await transact { tx in
          _ = try? await tx.savepoint { try await tx.run("INSERT INTO nowhere VALUES (1)") }
          try await tx.run("SELECT pg_advisory_xact_lock(\(id))")
        }
      case 11:
        try await transact { tx in
          _ = try await tx.copyIn("COPY ledger FROM STDIN") { try await $0.write(Array("\(-id)\t1000\n".utf8)) }
        }
      default:
        let rows = try await pool.execute([probe], context: .init(settings: context.settings, readOnly: true), deadline: soon)
        check(rows[0][0])
        throw GivenUp()
      }
      result = .success(())
    } catch { result = .failure(error) }
    ledger.note(id, result)
  }

  @Test(.timeLimit(.minutes(10)))
  func `a postmaster that is killed and restarted under load is back within three seconds and no acknowledged write is lost`() async throws {
    // Without --fast: an acknowledged write must be on disk.
    let directory = "/tmp/muhatap-killed-\(ProcessInfo.processInfo.processIdentifier)"
    let address = try await Command("scripts/cluster", ["start", directory]).run().split(whereSeparator: \.isWhitespace)
    try await Command("scripts/cluster", ["guard", directory, "\(ProcessInfo.processInfo.processIdentifier)"]).run()
    let pool = PostgresPool(
      .init(connection: "postgresql://postgres@/postgres?host=\(address[0])&port=\(address[1])", connections: [.interactive: 6]),
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    try await pool.write("CREATE TABLE kept (id int PRIMARY KEY)")
    let ledger = Ledger()
    let numbers = Counter()
    let load = Task {
      await withTaskGroup(of: Void.self) { group in
        for worker in 0..<12 {
          group.addTask {
            while !ledger.isOver.load(ordering: .relaxed), let id = numbers.next(upTo: .max) {
              let result: Result<Void, any Error>
              do {
                if worker % 2 == 0 {
                  _ = try await pool.execute(
                    ["INSERT INTO kept VALUES (\(id))"], context: .init(readOnly: false), deadline: .after(.seconds(5)))
                } else {
                  try await pool.transact(deadline: .after(.seconds(5))) { tx in
                    try await tx.run("INSERT INTO kept VALUES (\(id))")
                    try await tx.run("SELECT 1")
                  }
                }
                result = .success(())
              } catch {
                result = .failure(error)
                try? await Task.sleep(for: .milliseconds(5))
              }
              ledger.note(id, result)
            }
          }
        }
      }
    }
    for _ in 1...2 {
      try await Task.sleep(for: .seconds(1))
      let pid = try #require(String(contentsOfFile: directory + "/data/postmaster.pid", encoding: .utf8).split(separator: "\n").first)
      try await Command("kill", ["-9", String(pid)]).run()
      // Its children notice within moments. The lock files must go because a killed process that nobody has reaped still has its number.
      while Self.isUsed(directory + "/data") { try await Task.sleep(for: .milliseconds(20)) }
      for file in ["\(directory)/data/postmaster.pid", "\(address[0])/.s.PGSQL.\(address[1]).lock"] {
        try FileManager.default.removeItem(atPath: file)
      }
      try await Command("scripts/cluster", ["start", directory]).run()
      let restarted = ContinuousClock.now
      while ledger.lastSuccess.withLock({ $0 }) < restarted, ContinuousClock.now < restarted + .seconds(10) {
        try await Task.sleep(for: .milliseconds(5))
      }
      #expect(ContinuousClock.now - restarted < .seconds(3))
    }
    ledger.isOver.store(true, ordering: .relaxed)
    await load.value
    let present = Set(try await pool.read("SELECT id FROM kept")[0].rows.map { try $0.decode(Int.self, at: 0) })
    ledger.check(against: present)
    let acknowledged = ledger.state.withLock { $0.acknowledged.count }
    #expect(acknowledged > 100)
    await pool.shutdown()
    try await Command("scripts/cluster", ["remove", directory, "immediate"]).run()
  }

  /// Whether a process works in the directory, as all of PostgreSQL's do.
  static func isUsed(_ directory: String) -> Bool {
    let processes = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
    return processes.contains { (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\($0)/cwd")) == directory }
  }
}
