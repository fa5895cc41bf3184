import CRMCore
import Foundation
import Gateway
import Synchronization
import Testing

/// How long each part of an exchange may take.
@Suite(.serialized) struct DeadlineTests {
  @Test func `header fields that come too slowly end the connection`() async throws {
    try await BareServer.run({ $0.deadlines.headers = .milliseconds(300) }) { (server) async throws in
      let connection = try server.connect()
      let start = ContinuousClock.now
      try await connection.send("GET /echo HTTP/1.1\r\nHost: te")
      let trickle = Task {
        for letter in "st-and-more-of-a-name-that-never-ends" {
          try await Task.sleep(for: .milliseconds(50))
          try await connection.send(String(letter))
        }
      }
      let answer = try await connection.answer()
      trickle.cancel()
      #expect(answer.status == 408)
      #expect(answer.json["code"] as? String == "slow-headers")
      #expect(ContinuousClock.now - start < .seconds(30))
    }
  }

  @Test func `a body that comes too slowly ends the request`() async throws {
    try await BareServer.run({
      $0.deadlines.body = .milliseconds(300)
      $0.deadlines.bodyRate = 1000
    }) { (server) async throws in
      let connection = try server.connect()
      let start = ContinuousClock.now
      try await connection.send("POST /collect HTTP/1.1\r\nHost: test\r\nContent-Length: 1000\r\n\r\n")
      let trickle = Task {
        for _ in 0..<100 {
          try await Task.sleep(for: .milliseconds(50))
          try await connection.send("a")
        }
      }
      let answer = try await connection.answer()
      trickle.cancel()
      #expect(answer.status == 408)
      #expect(answer.json["code"] as? String == "slow-body")
      #expect(ContinuousClock.now - start < .seconds(30))
    }
  }

  @Test func `a body at the minimum rate may take longer than the deadline`() async throws {
    try await BareServer.run({
      $0.deadlines.body = .seconds(5)
      // An eighth of what is sent, because a busy machine sleeps longer than it was asked to.
      $0.deadlines.bodyRate = 250
    }) { (server) async throws in
      let connection = try server.connect()
      try await connection.send("POST /upload HTTP/1.1\r\nHost: test\r\nContent-Length: 14000\r\n\r\n")
      for _ in 0..<70 {
        try await Task.sleep(for: .milliseconds(100))
        try await connection.send(String(repeating: "a", count: 200))
      }
      #expect(try await connection.answer().text == #"{"bytes":14000}"#)
    }
  }

  @Test func `an upload that pauses too long fails`() async throws {
    try await BareServer.run({ $0.deadlines.body = .milliseconds(300) }) { (server) async throws in
      let connection = try server.connect()
      try await connection.send("POST /upload HTTP/1.1\r\nHost: test\r\nContent-Length: 4000000\r\n\r\n")
      try await connection.send(String(repeating: "a", count: 100_000))
      #expect(try await connection.answer().status == 408)
    }
  }

  @Test func `a handler that reads slowly does not count against its client`() async throws {
    let endpoint = Endpoint(
      .post, "/slow", access: .open, body: .streamed, documentation: BareServer.documentation("slow"),
      handler: .operation { request in
        guard case .stream(let pieces) = request.body else { throw BareServer.Unforeseen() }
        var count = 0
        for try await piece in pieces {
          if count == 0 { try await Task.sleep(for: .seconds(6)) }
          count += piece.count
        }
        return .json(Array("{\"bytes\":\(count)}".utf8))
      })
    try await BareServer.run({ $0.deadlines.body = .seconds(3) }, endpoints: [endpoint]) { (server) async throws in
      let connection = try server.connect()
      let sent = Task {
        try await connection.send("POST /slow HTTP/1.1\r\nHost: test\r\nContent-Length: \(16 << 20)\r\n\r\n")
        try await connection.send([UInt8](repeating: 65, count: 16 << 20))
      }
      #expect(try await connection.answer().text == "{\"bytes\":\(16 << 20)}")
      try await sent.value
    }
  }

  @Test func `a streamed answer may take longer than a handler as long as it moves`() async throws {
    let endpoint = Endpoint(
      .get, "/trickle", access: .open, documentation: BareServer.documentation("trickle"),
      handler: .operation { _ in
        Response(
          status: 200, headers: [("content-type", "application/x-ndjson")],
          body: .stream { write in
            for _ in 0..<40 {
              try await Task.sleep(for: .milliseconds(200))
              try await write([UInt8](repeating: UInt8(ascii: "a"), count: 20_000))
            }
          })
      })
    try await BareServer.run(
      {
        $0.deadlines.handler = .seconds(4)
        $0.deadlines.transfer = .seconds(4)
        $0.deadlines.streamPause = .seconds(30)
      }, endpoints: [endpoint]
    ) { (server) async throws in
      #expect(try await server.get("/trickle").body.count == 800_000)
    }
  }

  @Test func `a streamed answer whose source stops is broken off`() async throws {
    let endpoint = Endpoint(
      .get, "/stop", access: .open, documentation: BareServer.documentation("stop"),
      handler: .operation { _ in
        Response(
          status: 200, headers: [("content-type", "application/x-ndjson")],
          body: .stream { write in
            try await write([UInt8](repeating: UInt8(ascii: "a"), count: 40_000))
            try await Task.sleep(for: .seconds(50))
          })
      })
    try await BareServer.run(
      {
        $0.deadlines.streamPause = .milliseconds(300)
        $0.deadlines.handlerGrace = .milliseconds(200)
      }, endpoints: [endpoint]
    ) { (server) async throws in
      let start = ContinuousClock.now
      // Without its last chunk the answer says that it is not whole.
      await #expect(throws: RawConnection.Failure.self) { try await server.get("/stop") }
      #expect(ContinuousClock.now - start < .seconds(30))
    }
  }

  @Test func `a handler that takes too long is cancelled and its client told`() async throws {
    try await BareServer.run({ $0.deadlines.handler = .milliseconds(200) }) { (server) async throws in
      let start = ContinuousClock.now
      let answer = try await server.get("/sleep/50000")
      #expect(answer.status == 503)
      #expect(answer.json["code"] as? String == "timeout")
      #expect(ContinuousClock.now - start < .seconds(30))
    }
  }

  @Test func `a write that ignores its cancellation is answered as unknown after the grace`() async throws {
    let answered = Mutex(false)
    let endpoint = Endpoint(
      .post, "/stubborn", access: .open, documentation: BareServer.documentation("stubborn"),
      handler: .operation { _ in
        let end = ContinuousClock.now + .seconds(20)
        while ContinuousClock.now < end, !answered.withLock({ $0 }) { try? await Task.sleep(for: .milliseconds(20)); await Task.yield() }
        return Response(status: 204)
      })
    try await BareServer.run(
      {
        $0.deadlines.handler = .milliseconds(100)
        $0.deadlines.handlerGrace = .milliseconds(200)
      }, endpoints: [endpoint]
    ) { (server) async throws in
      let answer = try await server.post("/stubborn", "")
      #expect(answer.status == 503)
      #expect(answer.json["code"] as? String == "outcome-unknown")
      answered.withLock { $0 = true }
    }
  }

  @Test func `a client that stops reading loses its connection, not the server its memory`() async throws {
    let (ended, ending) = AsyncStream.makeStream(of: Int.self)
    let endpoint = Endpoint(
      .get, "/endless", access: .open, documentation: BareServer.documentation("endless"),
      handler: .operation { _ in
        Response(
          status: 200,
          body: .stream { write in
            var written = 0
            defer {
              ending.yield(written)
              ending.finish()
            }
            while true {
              try await write([UInt8](repeating: 65, count: 16384))
              written += 16384
            }
          })
      })
    try await BareServer.run({ $0.deadlines.stalledReader = .milliseconds(500) }, endpoints: [endpoint]) { (server) async throws in
      let connection = try server.connect(receiveBuffer: 4096)
      try await connection.send("GET /endless HTTP/1.1\r\nHost: test\r\n\r\n")
      var iterator = ended.makeAsyncIterator()
      let written = await iterator.next() ?? .max
      // What the kernel buffers on both sides, and the window.
      #expect(written < 16 << 20)
      connection.close()
    }
  }

  @Test func `a whole answer that is left unread ends the connection`() async throws {
    try await BareServer.run({ $0.deadlines.stalledReader = .milliseconds(400) }) { (server) async throws in
      let connection = try server.connect(receiveBuffer: 4096)
      try await connection.send("GET /bytes/30000000 HTTP/1.1\r\nHost: test\r\n\r\n")
      try await Task.sleep(for: .seconds(6))
      let bytes = try await connection.readToEnd()
      #expect(bytes.count < 30_000_000)
    }
  }

  @Test func `a slow but steady reader gets all of a long answer`() async throws {
    try await BareServer.run({ $0.deadlines.stalledReader = .seconds(40) }) { (server) async throws in
      let connection = try server.connect()
      try await connection.send("GET /stream/200000 HTTP/1.1\r\nHost: test\r\n\r\n")
      let answer = try await connection.answer()
      #expect(answer.text.hasSuffix("{\"line\":199999}\n"))
    }
  }

  @Test func `an idle connection is closed`() async throws {
    try await BareServer.run({ $0.deadlines.idle = .seconds(3) }) { (server) async throws in
      let connection = try server.connect()
      try await connection.send("GET /echo HTTP/1.1\r\nHost: test\r\n\r\n")
      #expect(try await connection.answer().status == 200)
      #expect(try await connection.readToEnd().isEmpty)
    }
  }
}
