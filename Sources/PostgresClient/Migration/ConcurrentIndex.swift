/// A `CREATE INDEX CONCURRENTLY name ON table …` that may have been tried before.
struct ConcurrentIndex {
  private let index: String
  private let table: String

  /// - Returns: nil if the statement is something else, or leaves the name to PostgreSQL.
  init?(_ statement: String) {
    let pattern =
      /(?i)^\s*create\s+(?:unique\s+)?index\s+concurrently\s+(?:if\s+not\s+exists\s+)?("[^"]+"|\w+)\s+on\s+(?:only\s+)?([\w."]+)/
    guard let match = statement.prefixMatch(of: pattern) else { return nil }
    index = match.1.hasPrefix("\"") ? String(match.1.dropFirst().dropLast()) : match.1.lowercased()
    table = String(match.2)
  }

  /// Drops the index if an earlier attempt left it invalid.
  /// - Returns: true if it is there and valid, so that there is nothing to do.
  func prepare(_ connection: MigrationConnection) throws -> Bool {
    let rows = try connection.run(
      """
      SELECT i.indisvalid, n.nspname, c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relname = \(index) AND i.indrelid = to_regclass(\(table))
      """
    ).rows
    guard let row = rows.first else { return false }
    if try row.decode(Bool.self, "indisvalid") { return true }
    let (schema, name) = (try row.decode(Identifier.self, "nspname"), try row.decode(Identifier.self, "relname"))
    try connection.run("DROP INDEX CONCURRENTLY \(schema).\(name)")
    return false
  }
}
