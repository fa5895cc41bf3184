import Foundation
import Logging
import MuhatapTestKit
import PostgresClient
import Testing

@Suite struct FailoverTests {
  static func pool(_ connection: String) -> PostgresPool {
    PostgresPool(.init(connection: connection), logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
  }

  @Test func `of several hosts one that is up and takes writes is used`() async throws {
    let address = try await TestCluster.shared.address()
    let pool = Self.pool(
      "host=/nowhere,127.0.0.1,\(address.host) port=5432,1,\(address.port) user=postgres dbname=postgres target_session_attrs=read-write")
    #expect(try await pool.write("SELECT 1")[0].count == 1)
    await pool.shutdown()
  }

  @Test func `a host that refuses writes is left, and found again when it takes them`() async throws {
    let address = try await TestCluster.shared.address()
    let options = ["-h", address.host, "-p", address.port, "-U", "postgres"]
    try await Command("createdb", options + ["standby"]).run()
    func setReadOnly(_ value: String) async throws {
      try await Command("psql", options + ["-Xqc", "ALTER DATABASE standby SET default_transaction_read_only = \(value)", "postgres"]).run()
    }
    try await setReadOnly("on")
    let pool = Self.pool("postgresql://postgres@/standby?host=\(address.host)&port=\(address.port)")
    let error = await #expect(throws: PostgresError.self) { try await pool.write("CREATE TABLE written (id int)") }
    #expect(error?.sqlState == "25006")
    try await setReadOnly("off")
    // The connections that were refused have kept their setting and would be refused again.
    try await pool.write("CREATE TABLE written (id int)")
    #expect(await pool.statistics().discards == 1)
    await pool.shutdown()
  }

  @Test func `a server that cannot be reached is told at the deadline, and a connection string that cannot be read at once`() async throws {
    let away = Self.pool("host=/nowhere user=postgres")
    let error = await #expect(throws: PostgresError.self) {
      try await away.execute(["SELECT 1"], context: .init(readOnly: true), deadline: .after(.seconds(2)))
    }
    #expect(error?.kind == .connection)
    #expect(await away.statistics().connects == 0)
    await away.shutdown()
    let wrong = Self.pool("user postgres password=secret")
    let unreadable = await #expect(throws: PostgresError.self) { try await wrong.write("SELECT 1") }
    #expect(unreadable?.kind == .usage)
    #expect(unreadable?.description.contains("secret") == false)
    await wrong.shutdown()
  }

  @Test(.timeLimit(.minutes(10)))
  func `TLS, passwords and certificates are libpq's own`() async throws {
    let directory = "/tmp/muhatap-tls-\(ProcessInfo.processInfo.processIdentifier)"
    let port = String(Int.random(in: 20_000..<30_000))
    let address = try await Command("scripts/cluster", ["start", directory, port, "--fast"]).run().split(whereSeparator: \.isWhitespace)
    try await Command("scripts/cluster", ["guard", directory, "\(ProcessInfo.processInfo.processIdentifier)"]).run()
    let local = "host=\(address[0]) port=\(port) user=postgres dbname=postgres"
    let certificate = "\(directory)/data/server.crt"
    try await Command(
      "openssl",
      [
        "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-keyout", "\(directory)/data/server.key",
        "-out", certificate,
      ]
    ).run()
    try await Command("chown", ["--reference=\(directory)/data", "\(directory)/data/server.key", certificate]).run()
    try await Command("chmod", ["600", "\(directory)/data/server.key"]).run()
    for statement in ["CREATE ROLE tls LOGIN PASSWORD 'geheim'", "ALTER SYSTEM SET ssl = on", "SELECT pg_reload_conf()"] {
      try await Command("psql", ["-Xqc", statement, local]).run()
    }
    try FileManager.default.copyItem(atPath: certificate, toPath: directory + "/root.crt")

    let pool = Self.pool(
      "postgresql://tls:geheim@localhost:\(port)/postgres?sslmode=verify-full&sslrootcert=\(directory)/root.crt&hostaddr=127.0.0.1")
    #expect(try await pool.read("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")[0][0].decode(Bool.self, at: 0))
    // More than a TLS record and more than a socket's buffer, both ways.
    let large = String(repeating: "ş", count: 1_000_000)
    #expect(try await pool.read("SELECT \(large)::text")[0][0].decode(String.self, at: 0) == large)
    try await pool.transact { tx in
      try await tx.run("CREATE TEMPORARY TABLE copied (t text) ON COMMIT DROP")
      let count = try await tx.copyIn("COPY copied FROM STDIN") { writer in
        for _ in 0..<200 { try await writer.write(Array("\(large.prefix(50_000))\n".utf8)) }
      }
      #expect(count == 200)
    }
    await pool.shutdown()

    let plain = Self.pool("postgresql://tls:falsch@127.0.0.1:\(port)/postgres?sslmode=require")
    let error = await #expect(throws: PostgresError.self) {
      try await plain.execute(["SELECT 1"], context: .init(readOnly: true), deadline: .after(.seconds(5)))
    }
    #expect(error?.kind == .connection)
    #expect(error?.message.contains("password authentication failed") == true)
    #expect(error?.message.contains("falsch") == false)
    await plain.shutdown()
    try await Command("scripts/cluster", ["remove", directory, "immediate"]).run()
  }
}
