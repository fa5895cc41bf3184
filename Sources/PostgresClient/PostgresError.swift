/// What went wrong between the program and PostgreSQL. It never holds SQL or a value of a statement.
package struct PostgresError: Error, Sendable {
  package enum Kind: Sendable, Hashable {
    /// The server refused a statement; `sqlState` says why. Its transaction is rolled back.
    case server
    /// The server could not be reached, or the connection broke before anything could have been committed.
    case connection
    /// The deadline passed. Nothing was changed.
    case timeout
    /// Too many are waiting for a connection of the lane already. Nothing was changed.
    case queueFull
    /// The waiting task was cancelled. Nothing was changed.
    case cancelled
    /// The transaction may or may not have been committed.
    case outcomeUnknown
    /// A value cannot be sent to PostgreSQL. Nothing was sent.
    case encoding
    /// A value that came back does not fit the type asked for.
    case decoding
    /// A statement that is to return one row returned none, or more than one.
    case rowCount
    /// The client was used in a way that cannot work, such as after its shutdown or with parameters in a COPY.
    case usage
  }

  package var kind: Kind
  /// What happened, in English, for logs: without values, and of the server's own messages only those that quote none.
  package var message: String
  /// The five characters of SQLSTATE.
  package var sqlState: String?
  /// `ERROR`, `FATAL` or `PANIC`, whatever the server's language.
  package var severity: String?
  package var constraint: String?
  package var schema: String?
  package var table: String?
  package var column: String?
  /// What the statement is called: `SQL.named(_:)`, or the file and line that ran it.
  package var statementName: String?
  /// Whether the prepared statement, not what it does, was at fault: its result would have other columns since a table was altered, or
  /// the server no longer knows it.
  var isStalePlan = false

  package init(_ kind: Kind, _ message: String, sqlState: String? = nil) {
    self.kind = kind
    self.message = message
    self.sqlState = sqlState
  }
}

extension PostgresError: CustomStringConvertible {
  package var description: String {
    var text = "\(kind): \(message)"
    for (label, value) in [
      ("SQLSTATE", sqlState), ("constraint", constraint), ("schema", schema), ("table", table), ("column", column),
      ("statement", statementName),
    ] {
      if let value { text += ", \(label) \(value)" }
    }
    return text
  }
}

extension PostgresError {
  /// Whether the same transaction, run once more from its beginning, may succeed: a serialization failure or a deadlock.
  package var isRetryable: Bool { sqlState == "40001" || sqlState == "40P01" }

  /// Whether the transaction was rolled back for a reason that does not lie in what it did.
  var mayRunAgain: Bool { isRetryable || isStalePlan || kind == .connection }
}
