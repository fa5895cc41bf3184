import Foundation

/// One comparison of files and database, or one run, on the migrator's thread.
struct MigrationRun {
  let connection: MigrationConnection
  let files: [MigrationFile]
  let current: CurrentSchemas
  let attempts: Int
  let progress: @Sendable (Migrator.Event) -> Void

  private struct Applied {
    let name: String
    let sha256: String
    let at: Date
  }

  // MARK: Status

  func status() throws -> MigrationStatus {
    let known: Bool = try connection.run("SELECT to_regclass('crm_migration.applied') IS NOT NULL")[0].decode(at: 0)
    let lock: Bool = try connection.run("SELECT EXISTS (SELECT FROM pg_locks WHERE \(Self.isOurLock) AND pid <> pg_backend_pid())")[0]
      .decode(at: 0)
    guard known else {
      return MigrationStatus(
        isRunning: lock, migrations: files.map { .init(number: $0.number, name: $0.name, state: .pending) },
        current: current.schemas.isEmpty ? .none : .stale)
    }
    let applied = try readApplied()
    let steps = try readSteps()
    var migrations = files.map { file in
      let state: MigrationStatus.State =
        if let row = applied[file.number] {
          row.sha256 == file.sha256 && row.name == file.name ? .applied(at: row.at) : .edited
        } else if let done = steps[file.number] {
          .interrupted(statementsDone: done)
        } else {
          .pending
        }
      return MigrationStatus.Migration(number: file.number, name: file.name, state: state)
    }
    let present = Set(files.map(\.number))
    migrations += applied.filter { !present.contains($0.key) }.map { .init(number: $0.key, name: $0.value.name, state: .missing) }
    let isFresh = try builtHash() == current.sha256
    return MigrationStatus(
      isRunning: lock, migrations: migrations.sorted { $0.number < $1.number },
      current: current.schemas.isEmpty ? .none : isFresh ? .fresh : .stale)
  }

  private func readApplied() throws -> [Int: Applied] {
    let rows = try connection.run("SELECT number, name, sha256, applied_at FROM crm_migration.applied").rows
    return try Dictionary(
      rows.map {
        (try $0.decode("number"), Applied(name: try $0.decode("name"), sha256: try $0.decode("sha256"), at: try $0.decode("applied_at")))
      },
      uniquingKeysWith: { $1 })
  }

  private func readSteps() throws -> [Int: Int] {
    let rows = try connection.run("SELECT number, statements FROM crm_migration.interrupted").rows
    return try Dictionary(rows.map { (try $0.decode("number"), try $0.decode("statements")) }, uniquingKeysWith: { $1 })
  }

  private func builtHash() throws -> String? {
    try connection.run("SELECT sha256 FROM crm_migration.current").rows.first?.decode(at: 0)
  }

  // MARK: Run

  func run() throws {
    try lock()
    try connection.run(script: Self.bookkeeping, source: "the migrator")
    let status = try status()
    if status.isRefused { throw MigrationError(status.explanation.joined(separator: "\n")) }
    let applied = Set(try readApplied().keys)
    for file in files where !applied.contains(file.number) {
      let start = ContinuousClock.now
      if file.isTransactional { try apply(file) } else { try applyStepwise(file) }
      progress(.applied(file.name, ContinuousClock.now - start))
    }
    let built = try builtHash()
    if built != current.sha256, built != nil || !current.schemas.isEmpty { try rebuild() }
  }

  private static let isOurLock: SQL =
    "locktype = 'advisory' AND classid = 1836410990 AND objid = 1 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"

  /// Takes the advisory lock by asking again and again: waiting for it inside of PostgreSQL would hold a snapshot that a
  /// CREATE INDEX CONCURRENTLY of the one who has the lock waits for.
  private func lock() throws {
    var isFirst = true
    while !(try connection.run("SELECT pg_try_advisory_lock(1836410990, 1)")[0].decode(Bool.self, at: 0)) {
      if isFirst { progress(.waiting) }
      isFirst = false
      Thread.sleep(forTimeInterval: .random(in: 0.1...0.3))
    }
  }

  private static let bookkeeping = """
    BEGIN;
    SET LOCAL client_min_messages = warning;
    CREATE SCHEMA IF NOT EXISTS crm_migration;
    CREATE TABLE IF NOT EXISTS crm_migration.applied (
      number integer PRIMARY KEY, name text NOT NULL, sha256 text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now(), duration interval NOT NULL);
    CREATE TABLE IF NOT EXISTS crm_migration.interrupted (number integer PRIMARY KEY, sha256 text NOT NULL, statements integer NOT NULL);
    CREATE TABLE IF NOT EXISTS crm_migration.current (
      only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row), sha256 text NOT NULL, schemas text[] NOT NULL, built_at timestamptz NOT NULL DEFAULT now());
    COMMENT ON SCHEMA crm_migration IS 'What the migrator has done to this database.';
    COMMENT ON TABLE crm_migration.applied IS 'One row a migration: when it ran and the SHA-256 of its file.';
    COMMENT ON TABLE crm_migration.interrupted IS 'Migrations outside of a transaction that were begun and not ended.';
    COMMENT ON TABLE crm_migration.current IS 'What the schemas of sql/current were last built from.';
    COMMIT
    """

  /// Runs `body` in a transaction, again after a pause when a lock was not free.
  private func inTransaction(_ name: String, _ body: (_ attempt: Int) throws -> Void) throws {
    for attempt in 1... {
      try connection.run("BEGIN")
      do {
        try body(attempt)
        try connection.run("COMMIT")
        return
      } catch let error as MigrationError {
        guard connection.isAlive else { throw error }
        try connection.run("ROLLBACK")
        guard error.isPassing, attempt < attempts else { throw error }
        progress(.retrying(name))
        Thread.sleep(forTimeInterval: min(5, 0.1 * Double(1 << min(attempt, 6))) * .random(in: 0.5...1))
      }
    }
  }

  private func apply(_ file: MigrationFile) throws {
    do {
      try inTransaction(file.name) { _ in try applyOnce(file) }
    } catch let error as MigrationError where error.isBlockedByDependents && !current.schemas.isEmpty {
      // A derived view may be all that stands in the way; it is rebuilt at the end.
      try inTransaction(file.name) { _ in
        try dropCurrent()
        try connection.run("DELETE FROM crm_migration.current")
        try applyOnce(file)
      }
    }
  }

  private func applyOnce(_ file: MigrationFile) throws {
    let start = ContinuousClock.now
    try run(wholeText: file.text, of: "\(file.name).sql")
    try ensure(file)
    try record(file, ContinuousClock.now - start)
  }

  /// Runs a file within the transaction that is open, which it must leave as it is.
  private func run(wholeText text: String, of source: String) throws {
    let transaction = try connection.run("SELECT pg_current_xact_id()::text")[0].decode(String.self, at: 0)
    try connection.run(script: text, source: source)
    guard connection.isInTransaction, try connection.run("SELECT pg_current_xact_id()::text")[0].decode(String.self, at: 0) == transaction
    else {
      throw MigrationError(
        "\(source) ends the transaction it runs in; remove its COMMIT or ROLLBACK, or mark it -- muhatap: no-transaction")
    }
    try connection.run("RESET ROLE")
  }

  private func record(_ file: MigrationFile, _ duration: Duration) throws {
    try connection.run(
      """
      INSERT INTO crm_migration.applied (number, name, sha256, duration)
      VALUES (\(file.number)::integer, \(file.name), \(file.sha256), \(duration / .seconds(1)) * interval '1 second')
      """)
  }

  private func ensure(_ file: MigrationFile) throws {
    for condition in file.conditions {
      let result = try connection.run(script: condition, source: "\(file.name).sql, condition")
      guard result.count == 1, result.columnCount == 1, try result[0].decode(Bool?.self, at: 0) == true else {
        throw MigrationError("\(file.name).sql: its condition does not hold: \(condition)")
      }
    }
  }

  // MARK: Outside of a transaction

  private func applyStepwise(_ file: MigrationFile) throws {
    let start = ContinuousClock.now
    let row = try connection.run("SELECT statements, sha256 FROM crm_migration.interrupted WHERE number = \(file.number)::integer").rows
      .first
    if let row, try row.decode(String.self, "sha256") != file.sha256 {
      throw MigrationError(
        "\(file.name).sql was changed after it was interrupted. Restore the file and run again, or undo what it did and delete its row from crm_migration.interrupted."
      )
    }
    let done = try row?.decode(Int.self, "statements") ?? 0
    let statements = StatementSplitter.split(file.text)
    for (index, statement) in statements.enumerated().dropFirst(done) {
      try connection.run(
        """
        INSERT INTO crm_migration.interrupted (number, sha256, statements) VALUES (\(file.number)::integer, \(file.sha256), \(index)::integer)
        ON CONFLICT (number) DO UPDATE SET statements = excluded.statements
        """)
      try runAlone(statement, file)
    }
    try connection.run("RESET ROLE")
    try inTransaction(file.name) { _ in
      try ensure(file)
      try connection.run("DELETE FROM crm_migration.interrupted WHERE number = \(file.number)::integer")
      try record(file, ContinuousClock.now - start)
    }
  }

  private func runAlone(_ statement: StatementSplitter.Statement, _ file: MigrationFile) throws {
    for attempt in 1... {
      do {
        if let index = ConcurrentIndex(statement.text) {
          // An index that a failed or killed attempt left behind is invalid; one that is valid is done.
          if try index.prepare(connection) { return }
        }
        try connection.run(script: statement.text, source: "\(file.name).sql", firstLine: statement.line)
        return
      } catch let error as MigrationError where error.isPassing && attempt < attempts && connection.isAlive {
        progress(.retrying(file.name))
        Thread.sleep(forTimeInterval: min(5, 0.1 * Double(1 << min(attempt, 6))) * .random(in: 0.5...1))
      }
    }
  }

  // MARK: Current

  private func dropCurrent() throws {
    let before = try connection.run("SELECT coalesce((SELECT schemas FROM crm_migration.current), '{}')")[0].decode([String].self, at: 0)
    for name in Set(before).union(current.schemas.map(\.name)).sorted() {
      let found = try connection.run("SELECT nspname FROM pg_namespace WHERE nspname = \(name)")
      if found.count == 1 { try connection.run("DROP SCHEMA \(found[0].decode(Identifier.self, at: 0)) CASCADE") }
    }
  }

  private func rebuild() throws {
    let start = ContinuousClock.now
    let names = current.schemas.map(\.name)
    try inTransaction("current") { _ in
      try connection.run("SET LOCAL client_min_messages = warning")
      let before = try objectsElsewhere()
      try dropCurrent()
      for schema in current.schemas {
        for file in schema.files {
          try run(wholeText: file.text, of: file.name)
        }
      }
      let lost = before.subtracting(try objectsElsewhere())
      if !lost.isEmpty {
        throw MigrationError(
          "objects outside of sql/current depend on it and would be dropped: \(lost.sorted().joined(separator: ", ")). Move them into sql/current, or what they need out of it."
        )
      }
      try connection.run(
        """
        INSERT INTO crm_migration.current (sha256, schemas) VALUES (\(current.sha256), \(names))
        ON CONFLICT (only_row) DO UPDATE SET sha256 = excluded.sha256, schemas = excluded.schemas, built_at = now()
        """)
    }
    progress(.rebuilt(names, ContinuousClock.now - start))
  }

  /// The tables, views and functions of all other schemas.
  private func objectsElsewhere() throws -> Set<String> {
    let schemas = try connection.run(
      "SELECT coalesce((SELECT schemas FROM crm_migration.current), '{}') || \(current.schemas.map(\.name))::text[]")[0]
      .decode([String].self, at: 0)
    let rows = try connection.run(
      """
      SELECT o.object::text FROM pg_namespace n
      CROSS JOIN LATERAL (
        SELECT c.oid::regclass::text FROM pg_class c WHERE c.relnamespace = n.oid AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
        UNION ALL SELECT p.oid::regprocedure::text FROM pg_proc p WHERE p.pronamespace = n.oid
        UNION ALL SELECT format('trigger %s on %s', t.tgname, t.tgrelid::regclass) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
          WHERE c.relnamespace = n.oid AND NOT t.tgisinternal
        UNION ALL SELECT format('policy %s on %s', p.polname, p.polrelid::regclass) FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
          WHERE c.relnamespace = n.oid
      ) AS o (object)
      WHERE n.nspname <> ALL (\(schemas)::text[]) AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
      """
    ).rows
    return Set(try rows.map { try $0.decode(String.self, at: 0) })
  }
}
