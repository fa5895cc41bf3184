/// Takes the data of a `COPY … FROM STDIN`; only usable within the body it was given to.
package struct CopyWriter: Sendable {
  let transaction: PostgresTransaction

  /// Sends `bytes`, which may end anywhere in a row, and waits while PostgreSQL is behind. Some 64 KiB at a time go fastest.
  package func write(_ bytes: [UInt8]) async throws(PostgresError) {
    if bytes.isEmpty { return }
    _ = try await transaction.perform(.copyData(bytes))
  }
}

/// The data of a `COPY … TO STDOUT`, whole rows at a time; the next piece is fetched only when it is asked for. It is read
/// once and to its end: a transaction with a COPY that was left early is rolled back.
package struct CopyReader: AsyncSequence, Sendable {
  let transaction: PostgresTransaction
  let sql: SQL

  package struct AsyncIterator: AsyncIteratorProtocol {
    let transaction: PostgresTransaction
    var sql: SQL?

    package mutating func next() async throws(PostgresError) -> [UInt8]? {
      if let statement = sql {
        sql = nil
        _ = try await transaction.perform(.copyOut(statement))
      }
      guard case .data(let bytes) = try await transaction.perform(.copyRead) else { return nil }
      return bytes
    }

    package mutating func next(isolation actor: isolated (any Actor)?) async throws(PostgresError) -> [UInt8]? {
      try await next()
    }
  }

  package func makeAsyncIterator() -> AsyncIterator { AsyncIterator(transaction: transaction, sql: sql) }
}
