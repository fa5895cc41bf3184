import CRMCore
import Foundation
import Gateway
import MuhatapTestKit
import PostgresClient
import Testing

/// Reads run as callbacks from the pool's thread to the connection's event loop.
@Suite struct ReadTests {
  private static func read(_ path: String, _ statement: @escaping @Sendable (Request) -> SQL) -> Endpoint {
    Endpoint(
      .get, path, access: .open, documentation: BareServer.documentation(path),
      handler: .read { request in
        Endpoint.Read([statement(request)], context: .init(readOnly: true)) { results in
          .json(Array(try results[0][0].decode(String.self, at: 0).utf8))
        }
      })
  }

  private static let endpoints: [Endpoint] = [
    read("/say/{word}") { request in "SELECT to_jsonb(\(request.parameters["word"] ?? "")::text)::text" },
    read("/sleep/{seconds}") { request in
      "SELECT to_jsonb(pg_sleep(\(Double(request.parameters["seconds"] ?? "") ?? 0))::text)::text"
    },
    read("/divide") { _ in "SELECT (1 / (SELECT count(*) FROM (SELECT 1 WHERE false) AS none))::text" },
    read("/nothing") { _ in "SELECT 'x' WHERE false" },
  ]

  private func run(_ configure: (inout GatewayConfiguration) -> Void = { _ in }, _ body: (BareServer) async throws -> Void) async throws {
    try await BareServer.run(configure, database: Database(pool: TestDatabase.suite().app), endpoints: Self.endpoints, body)
  }

  @Test func `reads of many connections each get their own answer`() async throws {
    try await run { (server) async throws in
      try await withThrowingTaskGroup(of: Void.self) { group in
        for client in 0..<20 {
          group.addTask {
            let connection = try server.connect()
            for number in 0..<20 {
              try await connection.send("GET /say/\(client)-\(number) HTTP/1.1\r\nHost: t\r\n\r\n")
              #expect(try await connection.answer().text == "\"\(client)-\(number)\"")
            }
          }
        }
        try await group.waitForAll()
      }
    }
  }

  @Test func `pipelined reads are answered in their order, the slow first one too`() async throws {
    try await run { (server) async throws in
      let connection = try server.connect()
      try await connection.send((["/sleep/0.3"] + (0..<50).map { "/say/\($0)" }).map { "GET \($0) HTTP/1.1\r\nHost: t\r\n\r\n" }.joined())
      #expect(try await connection.answer().status == 200)
      for number in 0..<50 { #expect(try await connection.answer().text == "\"\(number)\"") }
    }
  }

  @Test func `a read that takes too long is stopped and says so`() async throws {
    try await run({ $0.deadlines.handler = .seconds(5) }) { (server) async throws in
      let answer = try await server.get("/sleep/50")
      #expect(answer.status == 503)
      #expect(answer.json["code"] as? String == "timeout")
      #expect(answer["retry-after"] != nil)
      #expect(try await server.get("/say/again").status == 200)
    }
  }

  @Test func `an error of the database tells the client nothing about it`() async throws {
    try await run { (server) async throws in
      for path in ["/divide", "/nothing"] {
        let answer = try await server.get(path)
        #expect(answer.status == 500)
        #expect(answer.json["code"] as? String == "internal-error")
        #expect(!answer.text.contains("zero") && !answer.text.contains("SELECT"))
      }
    }
  }

  @Test func `text that cannot be stored is the client's to change`() async throws {
    let endpoint = Self.read("/nul") { _ in "SELECT \("a\0b")::text" }
    try await BareServer.run(database: Database(pool: TestDatabase.suite().app), endpoints: [endpoint]) { (server) async throws in
      let answer = try await server.get("/nul")
      #expect(answer.status == 400)
      #expect(answer.json["code"] as? String == "unstorable-value")
    }
  }

  @Test func `a client that goes away during its read disturbs nobody`() async throws {
    try await run { (server) async throws in
      for _ in 0..<20 {
        let connection = try server.connect()
        try await connection.send("GET /sleep/0.1 HTTP/1.1\r\nHost: t\r\n\r\n")
        connection.close()
      }
      #expect(try await server.get("/say/hello").text == "\"hello\"")
      let start = ContinuousClock.now
      var text = ""
      repeat {
        try await Task.sleep(for: .milliseconds(100))
        text = try await server.get("/metrics").text
      } while !text.contains("muhatap_requests_in_flight 1.0\n") && ContinuousClock.now - start < .seconds(120)
      #expect(text.contains("muhatap_requests_in_flight 1.0\n"))
    }
  }
}
