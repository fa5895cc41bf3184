internal import CLibPQ
import Foundation

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

  /// Keywords and values in libpq's order: what follows the connection string wins over it.
  private let parameters: Result<[(keyword: String, value: String)], PostgresError>

  init(_ configuration: PostgresPool.Configuration) {
    parameters = Result { () throws(PostgresError) in
      let given = try Self.parse(configuration.connection)
      let lockTimeout = configuration.lockTimeout / .milliseconds(1)
      let forced =
        "-c TimeZone=UTC -c DateStyle=ISO,YMD -c IntervalStyle=iso_8601 -c bytea_output=hex -c extra_float_digits=1 -c lock_timeout=\(Int(lockTimeout))"
      let defaults: [(keyword: String, value: String)] = [
        ("connect_timeout", String(max(2, configuration.connectTimeout.components.seconds))),
        ("keepalives_idle", "30"), ("keepalives_interval", "5"), ("keepalives_count", "3"), ("tcp_user_timeout", "20000"),
        ("fallback_application_name", configuration.applicationName),
      ]
      return defaults.filter { given[$0.keyword] == nil } + [
        ("dbname", configuration.connection), ("client_encoding", "UTF8"),
        ("options", [given["options"], forced].compactMap(\.self).joined(separator: " ")),
      ]
    }
  }

  /// - Throws: `PostgresError` of kind `.usage` if the connection string cannot be read.
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
    let parameters: [(keyword: String, value: String)]
    switch self.parameters {
    case .failure(let error): return .failure(error)
    case .success(let given): parameters = given
    }
    let names = parameters.map { strdup($0.keyword) }
    let texts = parameters.map { strdup($0.value) }
    defer { (names + texts).forEach { free($0) } }
    let pg = PQconnectdbParams(names.map { UnsafePointer($0) } + [nil], texts.map { UnsafePointer($0) } + [nil], 1)
    guard let pg else { return .failure(PostgresError(.connection, "out of memory")) }
    guard PQstatus(pg) == CONNECTION_OK else {
      let reason = PQerrorMessage(pg).map { String(cString: $0).trimmingCharacters(in: .whitespacesAndNewlines) } ?? ""
      PQfinish(pg)
      return .failure(PostgresError(.connection, reason))
    }
    // libpq would print the server's notices.
    PQsetNoticeReceiver(pg, { _, _ in }, nil)
    return .success(Handle(pg: pg))
  }
}
