import Foundation
import Gateway
import Testing

/// Requests that two servers in a row might read differently are refused, and the connection ends.
@Suite struct SmugglingTests {
  @Test(arguments: [
    "POST /collect HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST /collect HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    "POST /collect HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\nnull",
    "POST /collect HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nnull ",
    "POST /collect HTTP/1.1\r\nHost: t\r\nContent-Length: 4, 4\r\n\r\nnull",
    "POST /collect HTTP/1.1\r\nHost: t\r\nContent-Length: +4\r\n\r\nnull",
    "POST /collect HTTP/1.1\r\nHost: t\r\nContent-Length: -4\r\n\r\nnull",
    "POST /collect HTTP/1.1\r\nHost: t\r\nContent-Length: 0x4\r\n\r\nnull",
    "POST /collect HTTP/1.1\r\nHost: t\r\nContent-Length: 4 4\r\n\r\nnull",
    "POST /collect HTTP/1.1\r\nHost: t\r\nContent-Length: 99999999999999999999\r\n\r\nnull",
    "POST /collect HTTP/1.1\r\nHost: t\r\nContent-Length:\r\n\r\nnull",
    "POST /collect HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "POST /collect HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "POST /collect HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "POST /collect HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST /collect HTTP/1.1\r\nHost: t\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "POST /collect HTTP/1.0\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST /collect HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nnull\r\n0\r\n\r\n",
    "POST /collect HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n-4\r\nnull\r\n0\r\n\r\n",
    "POST /collect HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nnullX\r\n0\r\n\r\n",
    "POST /collect HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nnull\r\n0\r\n\r\n",
    "GET /echo HTTP/1.1\r\nHost: t\r\nX-Folded: a\r\n b\r\n\r\n",
    "GET /echo HTTP/1.1\r\nHost: t\r\nX-Folded: a\r\n\tb\r\n\r\n",
    "GET /echo HTTP/1.1\r\nHost: t\r\nX-Nul: a\0b\r\n\r\n",
    "GET /echo HTTP/1.1\r\nHost: t\r\nX-Control: a\u{1}b\r\n\r\n",
    "GET /echo HTTP/1.1\r\nHost: t\r\nX Name: a\r\n\r\n",
    "GET /echo HTTP/1.1\r\nHost: t\r\n: a\r\n\r\n",
    "GET /echo HTTP/1.1\r\nHost: t\r\nno-colon\r\n\r\n",
    "GET /echo HTTP/1.1\r\nHost: t\r\n Leading: a\r\n\r\n",
    "GET /echo HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "GET /echo HTTP/1.1\r\n\r\n",
    "GET /echo HTTP/1.1\nHost: t\n\n",
    "GET /echo HTTP/2.0\r\nHost: t\r\n\r\n",
    "GET /echo HTTP/1.9\r\nHost: t\r\n\r\n",
    "GET /echo HTTP/1.1 \r\nHost: t\r\n\r\n",
    "GET /echo\r\nHost: t\r\n\r\n",
    "GE T /echo HTTP/1.1\r\nHost: t\r\n\r\n",
  ])
  func `an ambiguous request is refused with 400 and the connection closed`(_ request: String) async throws {
    try await BareServer.run { (server) async throws in
      let connection = try server.connect()
      // What follows must never be taken for a request of its own.
      try await connection.send(request + "GET /echo?smuggled HTTP/1.1\r\nHost: t\r\n\r\n")
      let answer = try await connection.answer()
      #expect(answer.status == 400)
      #expect(answer["connection"] == "close")
      #expect(try await connection.readToEnd().isEmpty)
    }
  }

  @Test func `bytes in header fields that are no UTF-8 are refused`() async throws {
    try await BareServer.run { (server) async throws in
      let connection = try server.connect()
      try await connection.send(Array("GET /echo HTTP/1.1\r\nHost: t\r\nX-Bytes: ".utf8) + [0xff, 0xfe] + Array("\r\n\r\n".utf8))
      #expect(try await connection.answer().status == 400)
    }
  }

  @Test func `a well-formed request before a malformed one is still answered`() async throws {
    try await BareServer.run { (server) async throws in
      let connection = try server.connect()
      try await connection.send("GET /sleep/100 HTTP/1.1\r\nHost: t\r\n\r\nGARBAGE\r\n\r\n")
      #expect(try await connection.answer().text == #"{"slept":true}"#)
      #expect(try await connection.answer().status == 400)
    }
  }

  @Test func `a malformed body behind an unknown credential ends the connection too`() async throws {
    try await BareServer.run { (server) async throws in
      let connection = try server.connect()
      try await connection.send(
        "POST /secret HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer mhp_a_b\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
      let bytes = try await connection.readToEnd()
      #expect(!bytes.isEmpty)
    }
  }

  @Test func `chunked bodies with extensions and trailers are read`() async throws {
    try await BareServer.run { (server) async throws in
      let request = "POST /collect HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n2;name=value\r\n{\"\r\n5\r\na\":1}\r\n0\r\nX-Trailer: a\r\n\r\n"
      let answer = try await server.send(request)
      #expect(answer.text == #"{"got":{"a":1}}"#)
    }
  }
}
