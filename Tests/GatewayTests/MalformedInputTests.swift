import CRMCore
import Foundation
import Gateway
import MuhatapTestKit
import Testing

/// Whatever is sent, the server answers without blaming itself, and goes on.
@Suite(.serialized) struct MalformedInputTests {
  /// A line of `Fixtures/malformed-traffic.tsv`.
  private struct Case: Sendable {
    let kind: String
    let expected: String
    let name: String
    let content: [UInt8]
  }

  private static func table() throws -> [Case] {
    let url = try #require(Bundle.module.url(forResource: "malformed-traffic", withExtension: "tsv", subdirectory: "Fixtures"))
    return try String(contentsOf: url, encoding: .utf8).split(separator: "\n").filter { !$0.hasPrefix("#") }.map { line in
      let parts = line.split(separator: "\t", maxSplits: 3, omittingEmptySubsequences: false).map(String.init)
      try #require(parts.count == 4, "\(line)")
      return Case(kind: parts[0], expected: parts[1], name: parts[2], content: unescape(parts[3]))
    }
  }

  private static func unescape(_ line: String) -> [UInt8] {
    var bytes: [UInt8] = []
    var rest = Array(line.utf8)[...]
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "\\"), let escape = rest.popFirst() else {
        bytes.append(byte)
        continue
      }
      switch escape {
      case UInt8(ascii: "r"): bytes.append(13)
      case UInt8(ascii: "n"): bytes.append(10)
      case UInt8(ascii: "t"): bytes.append(9)
      case UInt8(ascii: "0"): bytes.append(0)
      case UInt8(ascii: "x"):
        bytes.append(UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) ?? 0)
        rest = rest.dropFirst(2)
      default: bytes.append(escape)
      }
    }
    return bytes
  }

  /// Sends bytes, and returns the status of every answer until the server closes the connection, which it has to.
  private static func statuses(_ input: [UInt8], _ server: BareServer) async throws -> [Int] {
    let connection = try server.connect()
    try await connection.send(input)
    let bytes = try await connection.readToEnd()
    let text = String(decoding: bytes, as: UTF8.self)
    return text.matches(of: #/HTTP/1\.1 (\d{3}) /#).compactMap { Int($0.output.1) }
  }

  private static func run(_ body: (BareServer) async throws -> Void) async throws {
    try await BareServer.run(
      {
        // Long enough for a client that a busy machine lets wait between connecting and sending.
        $0.deadlines.headers = .seconds(3)
        $0.deadlines.body = .seconds(3)
        $0.deadlines.idle = .seconds(3)
        $0.deadlines.linger = .milliseconds(200)
      }, database: Database(pool: TestDatabase.suite().app), body)
  }

  /// Runs the cases of a kind, thirty-two at a time, and tells each whose outcome is not the expected one.
  private static func run(_ kind: String, _ outcome: @Sendable @escaping (Case) async throws -> String) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      for (number, item) in try table().filter({ $0.kind == kind }).enumerated() {
        if number >= 32 { try await group.next() }
        group.addTask {
          let came = try await outcome(item)
          #expect(came == item.expected, "\(item.kind)\t\(came)\t\(item.name)")
        }
      }
      try await group.waitForAll()
    }
  }

  @Test func `the table holds more than three hundred cases, each with a name of its own, and expects no 5xx`() throws {
    let table = try Self.table()
    #expect(table.count >= 300)
    #expect(Set(table.map { "\($0.kind) \($0.name)" }).count == table.count)
    #expect(Set(table.map(\.kind)) == ["http", "json", "query"])
    for item in table { #expect(item.expected == "-" || item.expected.split(separator: " ").allSatisfy { $0.first != "5" }, "\(item.name)") }
  }

  @Test func `every malformed request is answered as the table says, and the server goes on serving`() async throws {
    try await Self.run { (server) async throws in
      try await Self.run("http") { item in
        let statuses = try await Self.statuses(item.content, server)
        return statuses.isEmpty ? "-" : statuses.map(String.init).joined(separator: " ")
      }
      #expect(try await server.get("/echo").status == 200)
    }
  }

  @Test func `every malformed body is answered as the table says, and the server goes on serving`() async throws {
    try await BareServer.run { (server) async throws in
      try await Self.run("json") { item in
        let connection = try server.connect()
        let head = "POST /collect HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nContent-Length: \(item.content.count)\r\n\r\n"
        try await connection.send(Array(head.utf8) + item.content)
        let answer = try await connection.answer()
        if answer.status != 200 { #expect(answer["content-type"] == "application/problem+json") }
        // The same connection goes on.
        try await connection.send("GET /echo HTTP/1.1\r\nHost: t\r\n\r\n")
        #expect(try await connection.answer().status == 200)
        return "\(answer.status)"
      }
      let deep = String(repeating: "[", count: 100_000) + String(repeating: "]", count: 100_000)
      #expect(try await server.post("/collect", deep).status == 400)
      #expect(try await server.post("/collect", "\"\(String(repeating: "[", count: 1000))\"").status == 200)
    }
  }

  @Test func `every malformed query is answered as the table says, with the parameter that is wrong`() async throws {
    let server = try await TestServer.suite()
    let key = try await server.key(of: "deniz")
    let port = try #require(server.application.server.port)
    try await Self.run("query") { item in
      let connection = try RawConnection(port: port)
      let query = String(decoding: item.content, as: UTF8.self)
      try await connection.send("GET /v1/customers?\(query) HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer \(key)\r\n\r\n")
      let answer = try await connection.answer()
      if answer.status != 200 { #expect(answer["content-type"] == "application/problem+json") }
      return "\(answer.status)"
    }
    #expect(try await server.send(.get, "/v1/customers?limit=1").status == 200)
  }

  @Test func `malformed bodies are answered below 500 by the API itself`() async throws {
    let server = try await TestServer.suite()
    for item in try Self.table() where item.kind == "json" {
      for path in ["/v1/customers", "/v1/customers/query", "/v1/sessions", "/v1/api_keys", "/v1/customers/batch", "/v1/orders/aggregate"] {
        let answer = try await server.send(.post, path, body: item.content, headers: ["content-type": "application/json"], checked: false)
        #expect((400..<500).contains(answer.status), "\(answer.status) for \(path) \(item.name)")
      }
    }
  }

  @Test(arguments: [7, 1923, 2026])
  func `requests damaged at random are answered below 500 or hung up on`(_ seed: UInt64) async throws {
    var random = Generator(state: seed)
    let whole = [
      "GET /echo/name?a=b&c=%C4%B0 HTTP/1.1\r\nHost: t\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n",
      "POST /collect HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nContent-Length: 14\r\nConnection: close\r\n\r\n{\"a\":[1,\"b\"]}\n",
      "POST /upload HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
      "GET /secret HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer mhp_abc_def\r\nX-Request-Id: 0190a3b0-0000-7000-8000-000000000000\r\n\r\n",
    ].map { Array($0.utf8) }
    var inputs: [[UInt8]] = []
    for _ in 0..<60 { inputs.append(Self.damage(whole.randomElement(using: &random) ?? [], &random)) }
    let all = inputs
    try await Self.run { (server) async throws in
      try await withThrowingTaskGroup(of: Void.self) { group in
        for (number, input) in all.enumerated() {
          if number >= 32 { try await group.next() }
          group.addTask {
            let statuses = try await Self.statuses(input, server)
            #expect(statuses.allSatisfy { $0 < 500 }, "\(statuses) for \(String(decoding: input, as: UTF8.self))")
          }
        }
        try await group.waitForAll()
      }
      #expect(try await server.get("/echo").status == 200)
    }
  }

  /// One to four small damages: bytes changed, removed, doubled, inserted, or the end cut off.
  private static func damage(_ whole: [UInt8], _ random: inout Generator) -> [UInt8] {
    var bytes = whole
    for _ in 0..<Int.random(in: 1...4, using: &random) where !bytes.isEmpty {
      let place = Int.random(in: 0..<bytes.count, using: &random)
      switch Int.random(in: 0..<5, using: &random) {
      case 0: bytes[place] = UInt8.random(in: 0...255, using: &random)
      case 1: bytes.remove(at: place)
      case 2: bytes.insert(bytes[place], at: place)
      case 3: bytes.insert([0, 9, 10, 13, 32, 58, 255].randomElement(using: &random) ?? 0, at: place)
      default: bytes.removeSubrange(place...)
      }
    }
    return bytes
  }

  /// A generator that gives the same numbers in every run (SplitMix64).
  private struct Generator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
      state &+= 0x9e37_79b9_7f4a_7c15
      var z = state
      z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
      z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
      return z ^ (z >> 31)
    }
  }
}
