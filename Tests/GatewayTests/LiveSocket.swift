import CRMCore
import Foundation
import Gateway
import MuhatapTestKit

/// A client of the WebSocket, frame by frame.
final class LiveSocket: Sendable {
  private let connection: RawConnection

  init(_ server: TestServer, as person: String) async throws {
    guard let port = server.application.server.port else { throw RawConnection.Failure(description: "no port") }
    connection = try RawConnection(port: port)
    try await connection.send(
      """
      GET /v1/events HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer \(try await server.key(of: person))\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
      Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n
      """)
    let head = try await connection.take { bytes in bytes.firstRange(of: Array("\r\n\r\n".utf8))?.upperBound }
    let text = String(decoding: head, as: UTF8.self)
    // The key and its answer are the example of RFC 6455 §1.3.
    guard text.hasPrefix("HTTP/1.1 101 "), text.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") else { throw RawConnection.Failure(description: text) }
  }

  func frame() async throws -> (opcode: UInt8, data: [UInt8]) {
    let bytes = try await connection.take { bytes in
      guard bytes.count >= 2 else { return nil }
      let (header, length) = Self.length(bytes)
      return header <= bytes.count && bytes.count >= header + length ? header + length : nil
    }
    let data = Array(bytes.dropFirst(Self.length(bytes).header))
    if bytes[0] & 15 == 9 { try await send(opcode: 10, String(decoding: data, as: UTF8.self)) }
    return (bytes[0] & 15, data)
  }

  private static func length(_ bytes: [UInt8]) -> (header: Int, length: Int) {
    switch bytes[1] & 127 {
    case 126: bytes.count >= 4 ? (4, Int(bytes[2]) << 8 | Int(bytes[3])) : (4, 0)
    case 127: bytes.count >= 10 ? (10, bytes[2..<10].reduce(0) { $0 << 8 | Int($1) }) : (10, 0)
    case let length: (2, Int(length))
    }
  }

  /// The next text message.
  func message() async throws -> JSON {
    while true {
      let frame = try await frame()
      if frame.opcode == 1 { return try JSONDecoder().decode(JSON.self, from: Data(frame.data)) }
      if frame.opcode == 8 { throw RawConnection.Failure(description: "closed") }
    }
  }

  func send(opcode: UInt8, _ text: String) async throws {
    let mask: [UInt8] = [1, 2, 3, 4]
    let data = text.utf8.enumerated().map { $1 ^ mask[$0 % 4] }
    try await connection.send([0x80 | opcode, 0x80 | UInt8(data.count)] + mask + data)
  }
}
