import NIOCore
import NIOHTTP1
import NIOHTTP2
import NIOSSL
import NIOTLS

/// Builds the handlers of a new connection: TLS when configured, then HTTP/1.1 or, when the client negotiates it, HTTP/2.
struct ConnectionPipeline: Sendable {
  let server: ServerContext
  let tls: NIOSSLContext?

  func configure(_ channel: any Channel) -> EventLoopFuture<Void> {
    channel.eventLoop.makeCompletedFuture {
      guard let tls else {
        try addHTTP1(to: channel)
        return
      }
      server.clock(of: channel.eventLoop)?.keep(channel)
      let handshake = channel.eventLoop.scheduleTask(in: server.configuration.deadlines.headers.amount) { channel.close(promise: nil) }
      let negotiation = ApplicationProtocolNegotiationHandler { result, channel in
        handshake.cancel()
        return channel.eventLoop.makeCompletedFuture {
          if case .negotiated("h2") = result { try addHTTP2(to: channel) } else { try addHTTP1(to: channel) }
          // Nobody was there to hear of it while the handshake was under way.
          if server.draining.isClosing { channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent()) }
        }
      }
      try channel.pipeline.syncOperations.addHandlers([NIOSSLServerHandler(context: tls), negotiation])
      channel.closeFuture.whenComplete { _ in handshake.cancel() }
    }
  }

  private func addHTTP1(to channel: any Channel) throws {
    let limits = server.configuration.limits
    var decoding = NIOHTTPDecoderLimitConfiguration()
    decoding.maxHeaderFieldSize = limits.uri + limits.headers
    decoding.maxHeaderListSize = limits.uri + limits.headers + 1024
    decoding.maxHeaderFieldCount = limits.headerCount
    let decoder = HTTPRequestDecoder(
      leftOverBytesStrategy: .dropBytes, informationalResponseStrategy: .drop, limitConfiguration: decoding)
    try channel.pipeline.syncOperations.addHandlers([ByteToMessageHandler(decoder), ExchangeHandler(server: server, wire: .http1)])
  }

  private func addHTTP2(to channel: any Channel) throws {
    let limits = server.configuration.limits
    let deadlines = server.configuration.deadlines
    var connection = NIOHTTP2Handler.ConnectionConfiguration()
    connection.initialSettings = [
      HTTP2Setting(parameter: .maxConcurrentStreams, value: limits.http2Streams),
      HTTP2Setting(parameter: .maxHeaderListSize, value: limits.headers),
    ]
    let management = NIOHTTP2ServerConnectionManagementHandler(
      eventLoop: channel.eventLoop,
      configuration: .init(maxIdleTime: deadlines.idle.amount, maxAge: nil, maxGraceTime: deadlines.drain.amount, keepalive: nil))
    let multiplexing = NIOHTTP2Handler(
      mode: .server, eventLoop: channel.eventLoop, connectionConfiguration: connection, streamConfiguration: .init(),
      streamDelegate: management.http2StreamDelegate
    ) { stream in
      stream.eventLoop.makeCompletedFuture {
        try stream.pipeline.syncOperations.addHandlers([
          LastFrame(), HTTP2FramePayloadToHTTP1ServerCodec(), ExchangeHandler(server: server, wire: .http2),
        ])
      }
    }
    try channel.pipeline.syncOperations.addHandlers([multiplexing, management, BrokenConnection()])
  }
}

/// Closes a connection by HTTP/2 that can't go on: NIO says why to the client and leaves the rest to us.
private final class BrokenConnection: ChannelInboundHandler {
  typealias InboundIn = HTTP2Frame

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    // That is one stream's, and it has been reset.
    if error is NIOHTTP2Errors.StreamError { return }
    context.close(promise: nil)
  }
}
