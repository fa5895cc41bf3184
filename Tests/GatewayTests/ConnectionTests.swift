import CRMCore
import Foundation
import Gateway
import Testing

/// How a connection is used for one request after another.
@Suite struct ConnectionTests {
  @Test func `a connection answers one request after another`() async throws {
    try await BareServer.run { (server) async throws in
      let connection = try server.connect()
      for number in 0..<5 {
        try await connection.send("GET /echo?n=\(number) HTTP/1.1\r\nHost: test\r\n\r\n")
        let answer = try await connection.answer()
        #expect(answer.status == 200)
        #expect(answer.text.contains("[\"n\",\"\(number)\"]"))
        #expect(answer["connection"] == nil)
      }
    }
  }

  @Test func `pipelined requests are answered in their order`() async throws {
    try await BareServer.run { (server) async throws in
      let connection = try server.connect()
      try await connection.send(
        ["/sleep/200", "/echo?n=1", "/stream/3", "/bytes/100000", "/echo?n=2"].map { "GET \($0) HTTP/1.1\r\nHost: test\r\n\r\n" }.joined())
      #expect(try await connection.answer().text == #"{"slept":true}"#)
      #expect(try await connection.answer().text.contains("[\"n\",\"1\"]"))
      #expect(try await connection.answer().text == "{\"line\":0}\n{\"line\":1}\n{\"line\":2}\n")
      #expect(try await connection.answer().body.count == 100_002)
      #expect(try await connection.answer().text.contains("[\"n\",\"2\"]"))
    }
  }

  @Test func `a thousand pipelined requests are all answered`() async throws {
    try await BareServer.run { (server) async throws in
      let connection = try server.connect()
      async let sent: Void = connection.send(String(repeating: "GET /bytes/2000 HTTP/1.1\r\nHost: test\r\n\r\n", count: 1000))
      for _ in 0..<1000 { #expect(try await connection.answer().status == 200) }
      try await sent
    }
  }

  @Test func `Connection close is honoured and said`() async throws {
    try await BareServer.run { (server) async throws in
      let connection = try server.connect()
      try await connection.send("GET /echo HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
      let bytes = String(decoding: try await connection.readToEnd(), as: UTF8.self)
      #expect(bytes.hasPrefix("HTTP/1.1 200 OK\r\n"))
      #expect(bytes.contains("\r\nconnection: close\r\n"))
    }
  }

  @Test func `HTTP 1_0 closes unless keep-alive is asked for`() async throws {
    try await BareServer.run { (server) async throws in
      let closing = try server.connect()
      try await closing.send("GET /echo HTTP/1.0\r\n\r\n")
      #expect(String(decoding: try await closing.readToEnd(), as: UTF8.self).hasPrefix("HTTP/1.1 200"))
      let staying = try server.connect()
      for _ in 0..<2 {
        try await staying.send("GET /echo HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        let answer = try await staying.answer()
        #expect(answer.status == 200)
        #expect(answer["connection"] == "keep-alive")
      }
    }
  }

  @Test func `a streamed answer ends with the connection for HTTP 1_0`() async throws {
    try await BareServer.run { (server) async throws in
      let connection = try server.connect()
      try await connection.send("GET /stream/2 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
      let bytes = String(decoding: try await connection.readToEnd(), as: UTF8.self)
      #expect(bytes.hasSuffix("\r\n\r\n{\"line\":0}\n{\"line\":1}\n"))
      #expect(!bytes.contains("chunked"))
    }
  }

  @Test func `HEAD has the fields of GET and no body`() async throws {
    try await BareServer.run { (server) async throws in
      let connection = try server.connect()
      for line in ["HEAD /bytes/1000", "HEAD /stream/5", "GET /echo"] {
        try await connection.send("\(line) HTTP/1.1\r\nHost: test\r\n\r\n")
      }
      let head = try await connection.answer(isHead: true)
      #expect(head.status == 200)
      #expect(head["content-length"] == "1002")
      #expect(try await connection.answer(isHead: true).status == 200)
      #expect(try await connection.answer().text.contains("/echo"))
    }
  }

  @Test func `a client that expects 100-continue is told to go on`() async throws {
    try await BareServer.run { (server) async throws in
      let connection = try server.connect()
      try await connection.send("POST /collect HTTP/1.1\r\nHost: test\r\nContent-Length: 7\r\nExpect: 100-continue\r\n\r\n")
      #expect(try await connection.answer().status == 100)
      try await connection.send("{\"a\":1}")
      #expect(try await connection.answer().text == #"{"got":{"a":1}}"#)
    }
  }

  @Test func `a client that expects 100-continue gets a refusal before it sends the body`() async throws {
    try await BareServer.run { (server) async throws in
      let connection = try server.connect()
      try await connection.send("POST /nowhere HTTP/1.1\r\nHost: test\r\nContent-Length: 7\r\nExpect: 100-continue\r\n\r\n")
      let answer = try await connection.answer()
      #expect(answer.status == 404)
      #expect(answer["connection"] == "close")
    }
  }

  @Test func `an unread small body does not end the connection`() async throws {
    try await BareServer.run { (server) async throws in
      let connection = try server.connect()
      try await connection.send("POST /nowhere HTTP/1.1\r\nHost: test\r\nContent-Length: 7\r\n\r\n{\"a\":1}GET /echo HTTP/1.1\r\nHost: test\r\n\r\n")
      #expect(try await connection.answer().status == 404)
      #expect(try await connection.answer().status == 200)
    }
  }

  @Test func `a request for an upgrade is answered and the connection closed`() async throws {
    try await BareServer.run { (server) async throws in
      let connection = try server.connect()
      try await connection.send("GET /echo HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
      #expect(String(decoding: try await connection.readToEnd(), as: UTF8.self).hasPrefix("HTTP/1.1 200"))
    }
  }

  @Test func `an operation is cancelled when its client goes away`() async throws {
    let (started, starting) = AsyncStream.makeStream(of: Void.self)
    let (cancelled, cancellation) = AsyncStream.makeStream(of: Bool.self)
    let endpoint = Endpoint(
      .get, "/wait", access: .open, documentation: BareServer.documentation("wait"),
      handler: .operation { _ in
        starting.finish()
        try? await Task.sleep(for: .seconds(50))
        cancellation.yield(Task.isCancelled)
        cancellation.finish()
        return Response(status: 204)
      })
    try await BareServer.run(endpoints: [endpoint]) { (server) async throws in
      let connection = try server.connect()
      try await connection.send("GET /wait HTTP/1.1\r\nHost: test\r\n\r\n")
      for await _ in started {}
      connection.close()
      var iterator = cancelled.makeAsyncIterator()
      #expect(await iterator.next() == true)
    }
  }
}
