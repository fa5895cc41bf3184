/// Takes the data of a `COPY … FROM STDIN`.
package struct CopyWriter: Sendable {
  /// Sends `bytes` and waits while PostgreSQL is behind.
  package func write(_ bytes: [UInt8]) async throws(PostgresError) {
    throw PostgresError(.connection, "not connected")
  }
}

/// The data of a `COPY … TO STDOUT`; the next piece is fetched only when it is asked for.
package struct CopyReader: AsyncSequence, Sendable {
  package struct AsyncIterator: AsyncIteratorProtocol {
    package mutating func next() async throws(PostgresError) -> [UInt8]? {
      throw PostgresError(.connection, "not connected")
    }
  }

  package func makeAsyncIterator() -> AsyncIterator { AsyncIterator() }
}
