import Foundation
import Logging
import MuhatapTestKit
import PostgresClient
import Synchronization
import Testing

@Suite struct MigratorTests {
  /// A new database and a folder of migrations.
  struct Project: Sendable {
    let url: String
    let folder: URL

    static func with(_ body: (Project) async throws -> Void) async throws {
      let address = try await TestCluster.shared.address()
      let name = "migrate_\(UUID().uuidString.prefix(8).lowercased())"
      try await Command("createdb", ["-h", address.host, "-p", address.port, "-U", "postgres", name]).run()
      let folder = FileManager.default.temporaryDirectory.appending(path: name)
      let project = Project(url: "postgresql://postgres@/\(name)?host=\(address.host)&port=\(address.port)", folder: folder)
      defer { try? FileManager.default.removeItem(at: folder) }
      try await body(project)
    }

    func write(_ path: String, _ text: String) throws {
      let file = folder.appending(path: path)
      try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
      try Data(text.utf8).write(to: file)
    }

    func remove(_ path: String) throws { try FileManager.default.removeItem(at: folder.appending(path: path)) }

    var migrator: Migrator {
      Migrator(
        connection: url, directory: folder, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, lockTimeout: .milliseconds(100)
      )
    }

    /// Applies what is pending, and answers with what was told. `onRetry` is called each time a lock was not given.
    func run(onRetry: @escaping @Sendable () -> Void = {}) async throws -> [String] {
      let events = Mutex<[String]>([])
      try await migrator.run { event in
        switch event {
        case .applied(let name, _): events.withLock { $0.append(name) }
        case .rebuilt(let names, _): events.withLock { $0.append("current: " + names.joined(separator: " ")) }
        case .retrying:
          events.withLock { if $0.last != "retrying" { $0.append("retrying") } }
          onRetry()
        case .waiting: break
        }
      }
      return events.withLock { $0 }
    }

    func withPool<R: Sendable>(_ body: (PostgresPool) async throws -> R) async throws -> R {
      let pool = PostgresPool(.init(connection: url), logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
      let result = try await body(pool)
      await pool.shutdown()
      return result
    }

    func value<T: PostgresDecodable>(_ sql: SQL, as type: T.Type = T.self) async throws -> T {
      try await withPool { try await $0.write(sql)[0][0].decode(T.self, at: 0) }
    }

    func states() async throws -> [MigrationStatus.State] { try await migrator.status().migrations.map(\.state) }
  }

  @Test func `each migration is applied once, in the order of the numbers`() async throws {
    try await Project.with { project in
      try project.write("migrations/0002_rows.sql", "INSERT INTO a VALUES (1);")
      try project.write("migrations/0001_table.sql", "CREATE TABLE a (id int); -- ; \n CREATE VIEW b AS SELECT 1;")
      #expect(try await project.migrator.status().isUpToDate == false)
      #expect(try await project.run() == ["0001_table", "0002_rows"])
      #expect(try await project.run() == [])
      #expect(try await project.value("SELECT count(*) FROM a") == 1)
      let status = try await project.migrator.status()
      #expect(status.isUpToDate)
      #expect(status.explanation == ["2 of 2 migrations are applied.", "There is nothing to do."])
    }
  }

  @Test func `an edited or deleted file is refused, and nothing is applied`() async throws {
    try await Project.with { project in
      try project.write("migrations/0001_a.sql", "CREATE TABLE a (id int)")
      _ = try await project.run()
      try project.write("migrations/0001_a.sql", "CREATE TABLE a (id int, name text)")
      try project.write("migrations/0002_b.sql", "CREATE TABLE b (id int)")
      let error = await #expect(throws: MigrationError.self) { try await project.run() }
      #expect(error?.description.contains("0001_a was changed after it was applied. Restore the file") == true)
      #expect(try await project.states() == [.edited, .pending])
      try project.remove("migrations/0001_a.sql")
      await #expect(throws: MigrationError.self) { try await project.run() }
      #expect(try await project.states() == [.missing, .pending])
    }
  }

  @Test func `a migration that fails leaves nothing behind and says where it failed`() async throws {
    try await Project.with { project in
      try project.write("migrations/0001_a.sql", "CREATE TABLE a (id int);\n\nCREATE TABLE b (id unknown_type);")
      let error = await #expect(throws: MigrationError.self) { try await project.run() }
      #expect(error?.description.hasPrefix("0001_a.sql line 3: type \"unknown_type\" does not exist") == true)
      #expect(try await project.value("SELECT to_regclass('a') IS NULL"))
      try project.write("migrations/0001_a.sql", "CREATE TABLE a (id int);")
      #expect(try await project.run() == ["0001_a"])
    }
  }

  @Test(arguments: ["COMMIT", "ROLLBACK", "COMMIT; BEGIN"])
  func `a migration cannot end its own transaction`(ending: String) async throws {
    try await Project.with { project in
      try project.write("migrations/0001_a.sql", "CREATE TABLE a (id int); \(ending);")
      await #expect(throws: MigrationError.self) { try await project.run() }
      #expect(try await project.states() == [.pending])
    }
  }

  @Test func `a condition that does not hold undoes the migration`() async throws {
    try await Project.with { project in
      try project.write("migrations/0001_a.sql", "CREATE TABLE a AS SELECT 1 AS id;\n-- muhatap: ensure SELECT count(*) = 2 FROM a")
      let error = await #expect(throws: MigrationError.self) { try await project.run() }
      #expect(error?.description.contains("its condition does not hold: SELECT count(*) = 2 FROM a") == true)
      #expect(try await project.value("SELECT to_regclass('a') IS NULL"))
      try project.write("migrations/0001_a.sql", "CREATE TABLE a AS SELECT 1 AS id;\n-- muhatap: ensure SELECT count(*) = 1 FROM a")
      #expect(try await project.run() == ["0001_a"])
    }
  }

  @Test func `of several who migrate at once one does and the others wait`() async throws {
    try await Project.with { project in
      for number in 1...5 { try project.write("migrations/000\(number)_t.sql", "CREATE TABLE t\(number) (id int); SELECT pg_sleep(0.05)") }
      let applied = try await withThrowingTaskGroup(of: [String].self) { group in
        for _ in 1...4 { group.addTask { try await project.run() } }
        return try await group.reduce([], +)
      }
      #expect(applied.sorted() == (1...5).map { "000\($0)_t" })
    }
  }

  @Test func `a lock that is taken is waited for in short attempts`() async throws {
    try await Project.with { project in
      try project.write("migrations/0001_a.sql", "CREATE TABLE a (id int)")
      _ = try await project.run()
      try project.write("migrations/0002_a.sql", "ALTER TABLE a ADD name text")
      try await project.withPool { pool in
        let (held, holding) = AsyncStream.makeStream(of: Void.self)
        let (refused, refusing) = AsyncStream.makeStream(of: Void.self)
        let holder = Task {
          try await pool.transact { tx in
            try await tx.run("LOCK TABLE a IN ACCESS SHARE MODE")
            holding.finish()
            for await _ in refused { break }
          }
        }
        for await _ in held {}
        #expect(try await project.run { refusing.yield() } == ["retrying", "0002_a"])
        try await holder.value
      }
    }
  }

  @Test func `an index is built concurrently, and an invalid leftover is dropped first`() async throws {
    try await Project.with { project in
      try project.write(
        "migrations/0001_a.sql", "CREATE SCHEMA s; CREATE TABLE s.a AS SELECT 1 AS id, 'x;' AS name FROM generate_series(1, 2)")
      try project.write(
        "migrations/0002_index.sql",
        "-- Finds by id.\n-- muhatap: no-transaction\nCREATE INDEX CONCURRENTLY a_name ON s.a (name);\ncreate unique index concurrently A_id\n  on s.a (id);\nINSERT INTO s.a VALUES (3);"
      )
      let error = await #expect(throws: MigrationError.self) { try await project.run() }
      #expect(error?.sqlState == "23505")
      #expect(try await project.states().last == .interrupted(statementsDone: 1))
      #expect(try await project.value("SELECT NOT indisvalid FROM pg_index WHERE indexrelid = 's.a_id'::regclass"))
      _ = try await project.value("WITH gone AS (DELETE FROM s.a WHERE ctid = '(0,1)' RETURNING 1) SELECT count(*) FROM gone", as: Int.self)
      #expect(try await project.run() == ["0002_index"])
      #expect(try await project.value("SELECT bool_and(indisvalid) AND count(*) = 2 FROM pg_index WHERE indrelid = 's.a'::regclass"))
      #expect(try await project.value("SELECT count(*) FROM s.a WHERE id = 3") == 1)
    }
  }

  @Test func `a run that is killed half way is taken up where it stopped`() async throws {
    try await Project.with { project in
      // Long enough to be met asleep on any machine; not at all in the next run.
      try project.write("migrations/0001_a.sql", "CREATE TABLE a (id int); CREATE TABLE pace AS SELECT 300 AS seconds")
      try project.write("migrations/0002_b.sql", "INSERT INTO a VALUES (1); SELECT pg_sleep(seconds) FROM pace; INSERT INTO a VALUES (2)")
      try await killWhileAsleep(project)
      #expect(try await project.states().last == .pending)
      #expect(try await project.value("SELECT count(*) FROM a") == 0)
      #expect(try await project.run() == ["0002_b"])

      _ = try await project.value("WITH slow AS (UPDATE pace SET seconds = 300 RETURNING seconds) SELECT seconds FROM slow", as: Int.self)
      try project.write(
        "migrations/0003_c.sql", "-- muhatap: no-transaction\nINSERT INTO a VALUES (3); SELECT pg_sleep(seconds) FROM pace;\nINSERT INTO a VALUES (4)")
      try await killWhileAsleep(project)
      #expect(try await project.states().last == .interrupted(statementsDone: 1))
      #expect(try await project.run() == ["0003_c"])
      #expect(try await project.value("SELECT string_agg(id::text, ' ' ORDER BY id) FROM a") == "1 2 3 4")
    }
  }

  private func killWhileAsleep(_ project: Project) async throws {
    let run = Task { try await project.run() }
    try await project.withPool { pool in
      var killed = 0
      while killed == 0 {
        try await Task.sleep(for: .milliseconds(20))
        killed = try await pool.write(
          """
          SELECT pg_terminate_backend(pid) FROM pg_stat_activity
          WHERE datname = current_database() AND application_name = 'muhatap-migrate' AND wait_event = 'PgSleep'
          """)[0].count
      }
    }
    await #expect(throws: MigrationError.self) { try await run.value }
    _ = try await project.value("WITH quick AS (UPDATE pace SET seconds = 0 RETURNING seconds) SELECT seconds FROM quick", as: Int.self)
  }

  @Test func `the schemas of current are rebuilt whole when a file changes, and only then`() async throws {
    try await Project.with { project in
      try project.write("migrations/0001_a.sql", "CREATE TABLE a (id int, name text)")
      try project.write("current/bi/10_views.sql", "CREATE SCHEMA bi; CREATE VIEW bi.a AS SELECT id, name FROM a;")
      try project.write("current/bi/20_more.sql", "CREATE VIEW bi.b AS SELECT id FROM bi.a;")
      try project.write("current/marts/10.sql", "CREATE SCHEMA marts; CREATE VIEW marts.c AS SELECT id FROM bi.b;")
      #expect(try await project.run() == ["0001_a", "current: bi marts"])
      #expect(try await project.run() == [])
      try project.write("current/bi/20_more.sql", "CREATE VIEW bi.b AS SELECT id, 1 AS one FROM bi.a;")
      #expect(try await project.migrator.status().current == .stale)
      #expect(try await project.run() == ["current: bi marts"])
      #expect(try await project.value("SELECT one FROM bi.b UNION SELECT 1") == 1)

      // A migration that a derived view stands in the way of.
      try project.write("migrations/0002_a.sql", "ALTER TABLE a ALTER id TYPE bigint")
      #expect(try await project.run() == ["0002_a", "current: bi marts"])
      #expect(try await project.value("SELECT pg_typeof(id)::text FROM bi.a UNION SELECT 'bigint'") == "bigint")

      // A folder that goes takes its schema with it.
      try project.remove("current/marts/10.sql")
      try project.remove("current/marts")
      #expect(try await project.run() == ["current: bi"])
      #expect(try await project.value("SELECT to_regclass('marts.c') IS NULL"))

      // What others built on it is not silently dropped.
      try project.write("migrations/0003_b.sql", "CREATE VIEW outside AS SELECT id FROM bi.a")
      _ = try await project.run()
      try project.write("current/bi/20_more.sql", "CREATE VIEW bi.b AS SELECT id, 2 AS one FROM bi.a;")
      let error = await #expect(throws: MigrationError.self) { try await project.run() }
      #expect(error?.description.contains("outside") == true)
      #expect(try await project.value("SELECT count(*) FROM outside") == 0)
    }
  }

  @Test func `files with wrong names and numbers that stand twice are refused`() async throws {
    try await Project.with { project in
      try project.write("migrations/1_a.sql", "")
      await #expect(throws: MigrationError.self) { try await project.migrator.status() }
      try project.remove("migrations/1_a.sql")
      try project.write("migrations/0001_a.sql", "")
      try project.write("migrations/0001_b.sql", "")
      let error = await #expect(throws: MigrationError.self) { try await project.migrator.status() }
      #expect(error?.description.contains("same number") == true)
    }
  }
}
