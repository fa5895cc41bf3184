/// Why migrating stopped, for the person who runs it. Migrations are the project's own files, so the server's whole message is shown.
package struct MigrationError: Error, Sendable, CustomStringConvertible {
  package let description: String
  package let sqlState: String?

  init(_ description: String, sqlState: String? = nil) {
    self.description = description
    self.sqlState = sqlState
  }

  /// Whether it lies in the moment: a lock that was not free, a deadlock, a serialization failure.
  var isPassing: Bool { ["55P03", "40P01", "40001"].contains(sqlState) }

  /// Whether a view or function stands in the way of what a migration changes.
  var isBlockedByDependents: Bool { sqlState == "2BP01" || sqlState == "0A000" }
}
