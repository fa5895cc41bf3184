internal import CLibPQ
import Foundation

/// A connection that waits for its answers, for the migrator on its own thread. It alone can run the text of a file.
final class MigrationConnection {
  private let pg: OpaquePointer

  /// - Throws: `PostgresError` if the server cannot be reached.
  init(_ connection: String, lockTimeout: Duration) throws(PostgresError) {
    let connector = Connector(.init(connection: connection, lockTimeout: lockTimeout, applicationName: "muhatap-migrate"))
    pg = try connector.open().get().pg
  }

  deinit { PQfinish(pg) }

  /// Whether a transaction is open and has not failed.
  var isInTransaction: Bool { PQtransactionStatus(pg) == PQTRANS_INTRANS }

  var isAlive: Bool { PQstatus(pg) == CONNECTION_OK }

  /// Runs the text of a file, which may hold several statements.
  /// - Parameter source: what errors call the file.
  /// - Returns: the last statement's result.
  @discardableResult
  func run(script: String, source: String, firstLine: Int = 1) throws(MigrationError) -> PostgresResult {
    guard let result = PQexec(pg, script) else { throw lost(source) }
    switch PQresultStatus(result) {
    case PGRES_COMMAND_OK, PGRES_TUPLES_OK, PGRES_EMPTY_QUERY: return PostgresResult(result)
    case PGRES_FATAL_ERROR:
      defer { PQclear(result) }
      throw error(result, script, source, firstLine)
    default:
      PQclear(result)
      throw MigrationError("\(source): COPY cannot be used in a migration; write INSERT … VALUES")
    }
  }

  /// Runs one statement of the program's own.
  @discardableResult
  func run(_ sql: SQL) throws(MigrationError) -> PostgresResult {
    let values: [UnsafeMutablePointer<CChar>?] = sql.binds.map { if case .text(let text) = $0 { strdup(text) } else { nil } }
    defer { values.forEach { free($0) } }
    let result = PQexecParams(pg, sql.text, Int32(values.count), nil, values.map { UnsafePointer($0) }, nil, nil, 0)
    guard let result else { throw lost("the migrator") }
    if PQresultStatus(result) == PGRES_FATAL_ERROR {
      defer { PQclear(result) }
      throw error(result, sql.text, "the migrator", 1)
    }
    return PostgresResult(result)
  }

  private func lost(_ source: String) -> MigrationError {
    MigrationError("\(source): the connection to the server was lost", sqlState: "08006")
  }

  private func error(_ result: OpaquePointer, _ script: String, _ source: String, _ firstLine: Int) -> MigrationError {
    func field(_ code: Character) -> String? {
      guard let ascii = code.asciiValue, let text = PQresultErrorField(result, Int32(ascii)) else { return nil }
      return String(cString: text)
    }
    guard let message = field("M") else { return lost(source) }
    var text = source
    if let position = field("P").flatMap({ Int($0) }) {
      text += " line \(firstLine + script.unicodeScalars.prefix(max(0, position - 1)).count { $0 == "\n" })"
    }
    text += ": \(message)"
    for part in [field("D"), field("H")] { if let part { text += "\n  \(part)" } }
    if let state = field("C") { text += " (SQLSTATE \(state))" }
    return MigrationError(text, sqlState: field("C"))
  }
}
