/// A transaction that is under way; only usable within the body it was given to.
package final class PostgresTransaction: Sendable {
  private let loop: ConnectionLoop
  private let session: TransactionSession

  init(loop: ConnectionLoop, session: TransactionSession) {
    self.loop = loop
    self.session = session
  }

  /// The deadline of the whole transaction.
  package var deadline: Deadline { session.deadline }

  /// Hands a request to the connection loop and waits for its reply.
  func perform(_ request: TransactionSession.Request) async throws(PostgresError) -> TransactionSession.Reply {
    let reply = await withCheckedContinuation { continuation in
      loop.submit(.request(session, .init(request: request) { continuation.resume(returning: $0) }))
    }
    return try reply.get()
  }

  func cancel() { loop.submit(.cancelTransaction(session)) }

  /// Runs statements in one flush.
  /// - Parameter onViolation: the error to throw when the constraint of that name is violated.
  package func results(
    _ statements: [SQL], onViolation: [String: any Error] = [:], file: StaticString = #fileID, line: UInt = #line
  ) async throws -> [PostgresResult] {
    do {
      for statement in statements { try statement.checkBinds(file, line) }
      let reply = try await perform(.statements(statements, .init(file: file, line: line)))
      guard case .results(let results) = reply else { return [] }
      return results
    } catch {
      throw error.constraint.flatMap { onViolation[$0] } ?? error
    }
  }

  /// Runs one statement.
  /// - Parameter onViolation: the error to throw when the constraint of that name is violated.
  package func result(
    _ sql: SQL, onViolation: [String: any Error] = [:], file: StaticString = #fileID, line: UInt = #line
  ) async throws -> PostgresResult {
    let results = try await results([sql], onViolation: onViolation, file: file, line: line)
    guard let result = results.first else { throw ConnectionLoop.over }
    return result
  }

  /// The row returned. Throws `PostgresError` of kind `.rowCount` if it is not exactly one.
  package func one<T: RowDecodable>(
    _ type: T.Type, _ sql: SQL, onViolation: [String: any Error] = [:], file: StaticString = #fileID, line: UInt = #line
  ) async throws -> T {
    let result = try await result(sql, onViolation: onViolation, file: file, line: line)
    return try T(row: try Self.single(result, file, line))
  }

  /// The first row returned; nil if there is none.
  package func first<T: RowDecodable>(
    _ type: T.Type, _ sql: SQL, onViolation: [String: any Error] = [:], file: StaticString = #fileID, line: UInt = #line
  ) async throws -> T? {
    let result = try await result(sql, onViolation: onViolation, file: file, line: line)
    return result.count == 0 ? nil : try T(row: result[0])
  }

  /// All rows returned.
  package func all<T: RowDecodable>(
    _ type: T.Type, _ sql: SQL, onViolation: [String: any Error] = [:], file: StaticString = #fileID, line: UInt = #line
  ) async throws -> [T] {
    let result = try await result(sql, onViolation: onViolation, file: file, line: line)
    return try result.rows.map { try T(row: $0) }
  }

  /// The first column of the row returned. Throws `PostgresError` of kind `.rowCount` if it is not exactly one row.
  package func value<T: PostgresDecodable>(
    _ type: T.Type, _ sql: SQL, onViolation: [String: any Error] = [:], file: StaticString = #fileID, line: UInt = #line
  ) async throws -> T {
    let result = try await result(sql, onViolation: onViolation, file: file, line: line)
    return try Self.single(result, file, line).decode(at: 0)
  }

  /// How many rows the statement inserted, changed or deleted.
  @discardableResult
  package func run(
    _ sql: SQL, onViolation: [String: any Error] = [:], file: StaticString = #fileID, line: UInt = #line
  ) async throws -> Int {
    try await result(sql, onViolation: onViolation, file: file, line: line).affectedRows
  }

  private static func single(_ result: PostgresResult, _ file: StaticString, _ line: UInt) throws(PostgresError) -> PostgresRow {
    if result.count == 1 { return result[0] }
    var error = PostgresError(.rowCount, "expected one row, got \(result.count)")
    error.statementName = "\(file):\(line)"
    throw error
  }

  /// Runs `body`; if it throws, what it did in the database is undone and the transaction goes on.
  package func savepoint<R: Sendable>(_ body: () async throws -> R) async throws -> R {
    try await run("SAVEPOINT muhatap")
    do {
      let value = try await body()
      try await run("RELEASE muhatap")
      return value
    } catch {
      _ = try await results(["ROLLBACK TO muhatap", "RELEASE muhatap"])
      throw error
    }
  }

  /// Streams into a table: `COPY … FROM STDIN`.
  /// - Parameter onViolation: the error to throw when the constraint of that name is violated.
  /// - Returns: how many rows were copied.
  package func copyIn(
    _ sql: SQL, onViolation: [String: any Error] = [:], file: StaticString = #fileID, line: UInt = #line,
    _ body: (CopyWriter) async throws -> Void
  ) async throws -> Int {
    do {
      try sql.checkNoBinds()
      _ = try await perform(.copyIn(sql))
      do {
        try await body(CopyWriter(transaction: self))
      } catch {
        // The server's "given up by the client" says less than what made the body give up.
        _ = try? await perform(.copyEnd(isAborted: true))
        throw error
      }
      guard case .results(let results) = try await perform(.copyEnd(isAborted: false)) else { return 0 }
      return results.first?.affectedRows ?? 0
    } catch var error as PostgresError {
      error.statementName = error.statementName ?? sql.name?.description ?? "\(file):\(line)"
      throw error.constraint.flatMap { onViolation[$0] } ?? error
    }
  }

  /// Streams out of a table or query: `COPY … TO STDOUT`.
  package func copyOut(_ sql: SQL) throws(PostgresError) -> CopyReader {
    try sql.checkNoBinds()
    return CopyReader(transaction: self, sql: sql)
  }
}

extension SQL {
  /// - Throws: `PostgresError` of kind `.encoding` if a parameter cannot be sent, of kind `.usage` if there are too many.
  func checkBinds(_ file: StaticString? = nil, _ line: UInt = 0) throws(PostgresError) {
    if binds.count > Int(UInt16.max) { throw PostgresError(.usage, "a statement takes at most 65,535 parameters; send arrays and unnest them") }
    for (index, bind) in binds.enumerated() {
      guard case .refused(let reason) = bind else { continue }
      var error = PostgresError(.encoding, "parameter \(index + 1): \(reason.message)")
      error.statementName = Pipeline.StatementName(name: name, file: file, line: line).text
      throw error
    }
  }

  func checkNoBinds() throws(PostgresError) {
    if !binds.isEmpty { throw PostgresError(.usage, "PostgreSQL takes no parameters in a COPY statement") }
  }
}
