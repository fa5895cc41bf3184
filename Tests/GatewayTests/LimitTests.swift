import CRMCore
import Foundation
import Gateway
import Testing

/// What one client may send or ask at once.
@Suite struct LimitTests {
  @Test func `an address of 8 KiB is taken and a longer one is refused`() async throws {
    try await BareServer.run { (server) async throws in
      let fitting = "/echo?q=" + String(repeating: "a", count: 8192 - 8)
      #expect(try await server.get(fitting).status == 200)
      let answer = try await server.get(fitting + "a")
      #expect(answer.status == 414)
      #expect(answer.json["code"] as? String == "address-too-long")
    }
  }

  @Test func `header fields beyond 32 KiB are refused`() async throws {
    try await BareServer.run { (server) async throws in
      for (count, status) in [(32_000, 200), (33_000, 431), (200_000, 431)] {
        let filler = "X-Filler: " + String(repeating: "a", count: count)
        let answer = try await server.get("/echo", [filler])
        #expect(answer.status == status)
      }
    }
  }

  @Test func `too many header fields are refused`() async throws {
    try await BareServer.run { (server) async throws in
      let many = (0..<200).map { "X-\($0): a\r\n" }.joined()
      let answer = try await server.send("GET /echo HTTP/1.1\r\nHost: test\r\n\(many)\r\n")
      #expect(answer.status == 431)
    }
  }

  @Test func `a JSON body of 1 MiB is taken and a larger one is refused, announced or not`() async throws {
    try await BareServer.run { (server) async throws in
      let fitting = "\"" + String(repeating: "a", count: (1 << 20) - 2) + "\""
      #expect(try await server.post("/collect", fitting).status == 200)
      let announced = try await server.post("/collect", fitting + " ")
      #expect(announced.status == 413)
      #expect(announced["connection"] == "close")
      let chunk = String(repeating: "a", count: 65536)
      let chunked = String(repeating: "10000\r\n\(chunk)\r\n", count: 17) + "0\r\n\r\n"
      let unannounced = try await server.send("POST /collect HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n\(chunked)")
      #expect(unannounced.status == 413)
    }
  }

  @Test func `an upload beyond its limit is refused, announced or not`() async throws {
    try await BareServer.run({ $0.limits.upload = 100_000 }) { (server) async throws in
      let body = String(repeating: "a", count: 100_000)
      #expect(try await server.post("/upload", body).text == #"{"bytes":100000}"#)
      let longer = body + "a"
      #expect(try await server.post("/upload", longer).status == 413)
      let chunked = "186A1\r\n\(body)a\r\n0\r\n\r\n"
      let unannounced = try await server.send("POST /upload HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n\(chunked)")
      #expect(unannounced.status == 413)
    }
  }

  @Test func `an upload is never held whole`() async throws {
    let endpoint = Endpoint(
      .post, "/slow", access: .open, body: .streamed, documentation: BareServer.documentation("slow"),
      handler: .operation { request in
        guard case .stream(let pieces) = request.body else { throw BareServer.Unforeseen() }
        var count = 0
        var largest = 0
        for try await piece in pieces {
          if count == 0 { try await Task.sleep(for: .milliseconds(500)) }
          count += piece.count
          largest = max(largest, piece.count)
        }
        return .json(Array("{\"bytes\":\(count),\"largest\":\(largest)}".utf8))
      })
    try await BareServer.run(endpoints: [endpoint]) { (server) async throws in
      let connection = try server.connect()
      let megabytes = 64
      let sent = Task {
        try await connection.send("POST /slow HTTP/1.1\r\nHost: test\r\nContent-Length: \(megabytes << 20)\r\n\r\n")
        for _ in 0..<megabytes { try await connection.send([UInt8](repeating: 65, count: 1 << 20)) }
        return ContinuousClock.now
      }
      let answer = try await connection.answer()
      _ = try await sent.value
      #expect(answer.json["bytes"] as? Int == megabytes << 20)
      #expect((answer.json["largest"] as? Int ?? .max) <= 1 << 20)
    }
  }

  @Test func `beyond the in-flight cap clients are told to come back, and probes still answer`() async throws {
    let (started, starting) = AsyncStream.makeStream(of: Void.self)
    let (released, releasing) = AsyncStream.makeStream(of: Void.self)
    let endpoint = Endpoint(
      .get, "/hold", access: .open, documentation: BareServer.documentation("hold"),
      handler: .operation { _ in
        starting.yield()
        for await _ in released {}
        return Response(status: 204)
      })
    try await BareServer.run({ $0.limits.inFlight = 1 }, endpoints: BareServer.endpoints + [endpoint]) { (server) async throws in
      let busy = try server.connect()
      try await busy.send("GET /hold HTTP/1.1\r\nHost: test\r\n\r\n")
      var iterator = started.makeAsyncIterator()
      await iterator.next()
      let refused = try await server.get("/echo")
      #expect(refused.status == 503)
      #expect(refused["retry-after"] == "1")
      #expect(refused.json["code"] as? String == "busy")
      #expect(try await server.get("/livez").status == 200)
      releasing.finish()
      #expect(try await busy.answer().status == 204)
      #expect(try await server.get("/echo").status == 200)
    }
  }

  @Test func `a thousand idle connections stay open and the server answers on all of them`() async throws {
    try await BareServer.run { (server) async throws in
      let connections = try (0..<1000).map { _ in try server.connect() }
      for connection in [connections[0], connections[500], connections[999]] {
        try await connection.send("GET /echo HTTP/1.1\r\nHost: test\r\n\r\n")
        #expect(try await connection.answer().status == 200)
      }
    }
  }
}
