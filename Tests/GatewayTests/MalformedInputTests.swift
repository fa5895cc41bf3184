import CRMCore
import Foundation
import Gateway
import MuhatapTestKit
import Testing

/// Whatever is sent, the server answers without blaming itself, and goes on.
@Suite(.serialized) struct MalformedInputTests {
  /// The entries of a fixture, as bytes.
  private static func fixture(_ name: String) throws -> [[UInt8]] {
    let url = try #require(Bundle.module.url(forResource: name, withExtension: "txt", subdirectory: "Fixtures"))
    return try String(contentsOf: url, encoding: .utf8).split(separator: "\n").filter { !$0.hasPrefix("#") }.map { unescape(String($0)) }
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
        $0.deadlines.headers = .milliseconds(200)
        $0.deadlines.body = .milliseconds(200)
        $0.deadlines.idle = .milliseconds(300)
        $0.deadlines.linger = .milliseconds(200)
      }, database: Database(pool: TestDatabase.suite().app), body)
  }

  @Test func `every malformed request of the collection is answered below 500 or hung up on`() async throws {
    let inputs = try Self.fixture("malformed-http")
    #expect(inputs.count >= 130)
    try await Self.run { (server) async throws in
      try await withThrowingTaskGroup(of: Void.self) { group in
        for (number, input) in inputs.enumerated() {
          if number >= 16 { try await group.next() }
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

  @Test func `every malformed body of the collection is refused as such`() async throws {
    let inputs = try Self.fixture("malformed-json")
    #expect(inputs.count >= 90)
    try await BareServer.run { (server) async throws in
      for input in inputs {
        let connection = try server.connect()
        try await connection.send(
          Array("POST /collect HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nContent-Length: \(input.count)\r\n\r\n".utf8) + input)
        let answer = try await connection.answer()
        // A few are odd and yet JSON, such as a repeated member.
        #expect(answer.status == 400 || answer.status == 200, "\(answer.status) for \(String(decoding: input, as: UTF8.self))")
        if answer.status == 400 { #expect(answer["content-type"] == "application/problem+json") }
      }
      let deep = String(repeating: "[", count: 100_000) + String(repeating: "]", count: 100_000)
      let nested = try await server.post("/collect", deep)
      #expect(nested.status == 400)
      let quoted = try await server.post("/collect", "\"\(String(repeating: "[", count: 1000))\"")
      #expect(quoted.status == 200)
    }
  }

  @Test func `malformed bodies and addresses are answered below 500 by the API itself`() async throws {
    let bodies = try Self.fixture("malformed-json")
    let server = try await TestServer.suite()
    for body in bodies {
      for path in ["/v1/customers", "/v1/customers/query", "/v1/sessions", "/v1/api_keys"] {
        let answer = try await server.send(.post, path, body: body, headers: ["content-type": "application/json"])
        #expect((400..<500).contains(answer.status), "\(answer.status) for \(path) \(String(decoding: body, as: UTF8.self))")
      }
    }
    let queries = [
      "name=eq.%00", "name=eq.\u{FFFD}", "limit=-1", "limit=99999999999999999999", "limit=1e3", "order=", "order=-", "order=-name,-name", "select=,",
      "select=*", "cursor=a", "cursor=%F0%9F%98%80", "or=(", "or=()", "or=(((((((((((((((((((((", "not.and=(a.eq.1)", "name=eq", "name=.", "name=",
      "=", "name=in.()", "name=in.(", "id=eq.x", "created_at=gte.tomorrow", "created_at=gte.infinity", "count=all", "expand=expand", "a.b.c.d.e=eq.1",
      "name=like.%25%25%25", "version=eq.99999999999999999999", "version=eq.NaN", "custom.x=eq.1", "%00=eq.1",
    ]
    for query in queries {
      let answer = try await server.send(.get, "/v1/customers?\(query)")
      #expect(answer.status < 500, "\(answer.status) for \(query)")
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
          if number >= 16 { try await group.next() }
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
