import CRMCore
import Crypto
import Foundation
import NIOCore
import NIOHTTP1
import NIOWebSocket

/// A request to go on as a WebSocket (RFC 6455 §4.2).
struct WebSocketUpgrade {
  /// The answer that begins it.
  let answer: ByteBuffer
  /// The largest frame a client may send: nothing but control frames is expected of it.
  private static let largestFrame = 4 << 10
  private static let magic = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

  /// - Returns: nil if the request does not ask for one.
  /// - Throws: a problem when it asks wrongly.
  init?(_ request: Request, wire: ExchangeHandler.Wire) throws(Problem) {
    guard request.headers["upgrade"]?.lowercased() == "websocket" else { return nil }
    guard wire == .http1, request.method == .get, request.headers["connection"]?.lowercased().contains("upgrade") == true,
      request.headers["sec-websocket-version"] == "13", let key = request.headers["sec-websocket-key"], Data(base64Encoded: key)?.count == 16
    else {
      throw Problem(
        426, "upgrade-required",
        Phrase("Ask for a WebSocket of version 13 by HTTP/1.1 (RFC 6455).", tr: "HTTP/1.1 ile 13. sürüm bir WebSocket isteyin (RFC 6455)."))
    }
    let accept = Data(Insecure.SHA1.hash(data: Array("\(key)\(Self.magic)".utf8))).base64EncodedString()
    answer = ByteBuffer(
      string: """
        HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: \(accept)\r\n\
        x-request-id: \(request.id.lowercase)\r\n\r\n
        """)
  }

  /// The connection speaks WebSocket from now on.
  func replaceHandlers(of context: ChannelHandlerContext, with socket: LiveSocketHandler, removing handler: ExchangeHandler) throws {
    let pipeline = context.pipeline.syncOperations
    let decoder = try pipeline.handler(type: ByteToMessageHandler<HTTPRequestDecoder>.self)
    try pipeline.addHandlers(
      [
        WebSocketFrameEncoder(), ByteToMessageHandler(WebSocketFrameDecoder(maxFrameSize: Self.largestFrame)), WebSocketProtocolErrorHandler(isServer: true),
        socket,
      ],
      position: .after(handler))
    _ = pipeline.removeHandler(handler)
    _ = pipeline.removeHandler(decoder)
  }
}
