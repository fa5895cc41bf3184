/// A transaction that is under way; only usable within the body it was given to.
package final class PostgresTransaction: Sendable {
  /// Runs one statement.
  /// - Parameter onViolation: the error to throw when the constraint of that name is violated.
  package func result(
    _ sql: SQL, onViolation: [String: any Error] = [:], file: StaticString = #fileID, line: UInt = #line
  ) async throws -> PostgresResult {
    throw PostgresError(.connection, "not connected")
  }

  /// Runs statements in one flush.
  package func results(_ statements: [SQL], onViolation: [String: any Error] = [:], file: StaticString = #fileID, line: UInt = #line)
    async throws -> [PostgresResult]
  {
    throw PostgresError(.connection, "not connected")
  }

  /// The row returned. Throws `PostgresError` of kind `.rowCount` if it is not exactly one.
  package func one<T: RowDecodable>(
    _ type: T.Type = T.self, _ sql: SQL, onViolation: [String: any Error] = [:], file: StaticString = #fileID, line: UInt = #line
  ) async throws -> T {
    let result = try await result(sql, onViolation: onViolation, file: file, line: line)
    return try T(row: try Self.single(result, file, line))
  }

  /// The first row returned; nil if there is none.
  package func first<T: RowDecodable>(
    _ type: T.Type = T.self, _ sql: SQL, onViolation: [String: any Error] = [:], file: StaticString = #fileID, line: UInt = #line
  ) async throws -> T? {
    let result = try await result(sql, onViolation: onViolation, file: file, line: line)
    return result.count == 0 ? nil : try T(row: result[0])
  }

  /// All rows returned.
  package func all<T: RowDecodable>(
    _ type: T.Type = T.self, _ sql: SQL, onViolation: [String: any Error] = [:], file: StaticString = #fileID, line: UInt = #line
  ) async throws -> [T] {
    let result = try await result(sql, onViolation: onViolation, file: file, line: line)
    return try result.rows.map { try T(row: $0) }
  }

  /// The first column of the row returned. Throws `PostgresError` of kind `.rowCount` if it is not exactly one row.
  package func value<T: PostgresDecodable>(
    _ type: T.Type = T.self, _ sql: SQL, onViolation: [String: any Error] = [:], file: StaticString = #fileID, line: UInt = #line
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
  package func savepoint<R: Sendable>(_ body: () async throws -> R) async throws -> R { try await body() }

  /// Streams into a table: `COPY … FROM STDIN`.
  /// - Returns: how many rows were copied.
  package func copyIn(
    _ sql: SQL, onViolation: [String: any Error] = [:], file: StaticString = #fileID, line: UInt = #line,
    _ body: (CopyWriter) async throws -> Void
  ) async throws -> Int {
    throw PostgresError(.connection, "not connected")
  }

  /// Streams out of a table or query: `COPY … TO STDOUT`. Each element holds one row or more, whole.
  package func copyOut(_ sql: SQL, file: StaticString = #fileID, line: UInt = #line) -> CopyReader {
    CopyReader()
  }
}
