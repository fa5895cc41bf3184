internal import CLibPQ
import Foundation
import Logging

/// Opens connections, each on a short-lived thread of its own: looking up a name, SCRAM and waiting for a host that is
/// gone take their time, and libpq goes from one host to the next at its `connect_timeout` only when it may block.
struct Connector: Sendable {
  /// A connection on its way from the thread that opened it to the one that will own it.
  ///
  /// `@unchecked Sendable`: handed over whole; the first thread never touches it again.
  struct Handle: @unchecked Sendable {
    let pg: OpaquePointer

    func close() { PQfinish(pg) }
  }

  private let keywords: [String]
  private let values: [String]
  let logger: Logger

  /// - Throws: `PostgresError` of kind `.usage` if the connection string cannot be read.
  init(_ configuration: PostgresPool.Configuration, logger: Logger) throws(PostgresError) {
    self.logger = logger
    let given = try Self.parse(configuration.connection)
    let lockTimeout = Deadline.after(configuration.lockTimeout).milliseconds(from: .now)
    let forced =
      "-c TimeZone=UTC -c DateStyle=ISO,YMD -c IntervalStyle=iso_8601 -c bytea_output=hex -c extra_float_digits=1 -c lock_timeout=\(lockTimeout)"
    var parameters: [(String, String)] = [
      ("connect_timeout", String(max(2, configuration.connectTimeout.components.seconds))),
      ("keepalives_idle", "30"), ("keepalives_interval", "5"), ("keepalives_count", "3"), ("tcp_user_timeout", "20000"),
      ("fallback_application_name", configuration.applicationName),
    ].filter { given[$0.0] == nil }
    // What follows the connection string in this list wins over it.
    parameters.append(("dbname", configuration.connection))
    parameters.append(("client_encoding", "UTF8"))
    parameters.append(("options", [given["options"], forced].compactMap(\.self).joined(separator: " ")))
    keywords = parameters.map(\.0)
    values = parameters.map(\.1)
  }

  private static func parse(_ connection: String) throws(PostgresError) -> [String: String] {
    var message: UnsafeMutablePointer<CChar>?
    guard let options = PQconninfoParse(connection, &message) else {
      // libpq's message quotes the string, which may hold a password.
      PQfreemem(message)
      throw PostgresError(.usage, "the connection string cannot be read; write postgresql://user@host:port/database or key=value pairs")
    }
    defer { PQconninfoFree(options) }
    var given: [String: String] = [:]
    var option = options
    while let keyword = option.pointee.keyword {
      if let value = option.pointee.val { given[String(cString: keyword)] = String(cString: value) }
      option += 1
    }
    return given
  }

  /// Opens a connection and calls `completion` on the thread that did.
  func connect(_ completion: @escaping @Sendable (Result<Handle, PostgresError>) -> Void) {
    let thread = Thread { completion(open()) }
    thread.name = "postgres-connect"
    thread.start()
  }

  /// Opens a connection and waits for it. Not for the cooperative pool's threads.
  func open() -> Result<Handle, PostgresError> {
    let names = keywords.map { strdup($0) }
    let texts = values.map { strdup($0) }
    defer { (names + texts).forEach { free($0) } }
    let pg = PQconnectdbParams(names.map { UnsafePointer($0) } + [nil], texts.map { UnsafePointer($0) } + [nil], 1)
    guard let pg else { return .failure(PostgresError(.connection, "out of memory")) }
    guard PQstatus(pg) == CONNECTION_OK else {
      let reason = PQerrorMessage(pg).map { String(cString: $0).trimmingCharacters(in: .whitespacesAndNewlines) } ?? ""
      PQfinish(pg)
      return .failure(PostgresError(.connection, reason))
    }
    return .success(Handle(pg: pg))
  }
}
