import CRMCore
import Foundation
import NIOCore
import NIOHTTP1

/// How changes are told as they happen: as server-sent events on the exchange's own connection, or on a WebSocket that takes the connection over.
extension ExchangeHandler {
  func startLive(_ make: @escaping @Sendable (Request) async throws -> LiveWish, _ exchange: Exchange, _ request: Request, _ loop: any EventLoop) {
    phase = .handling
    let bound = NIOLoopBound((self, exchange), eventLoop: loop)
    exchange.work = Task {
      let result: Result<LiveWish, any Error>
      do { result = .success(try await make(request)) } catch { result = .failure(error) }
      loop.execute {
        let (handler, exchange) = bound.value
        exchange.work = nil
        guard handler.isCurrent(exchange) else { return }
        do {
          try handler.listen(try result.get(), exchange, request, loop)
        } catch {
          handler.fail(error)
        }
      }
    }
  }

  private func listen(_ wish: LiveWish, _ exchange: Exchange, _ request: Request, _ loop: any EventLoop) throws {
    guard let feed = server.live else { throw Problem.busy }
    if server.draining.isRaised { throw Problem.draining }
    let caller = wish.listener ?? request.caller
    if let upgrade = try WebSocketUpgrade(request, wire: wire) {
      try take(upgrade, wish, caller, feed, exchange)
      return
    }
    if exchange.isHead {
      answer(Response(status: 200, headers: Self.eventStream))
      return
    }
    let bound = NIOLoopBound((self, exchange), eventLoop: loop)
    let live = try feed.subscribe(wish, as: caller, form: .events) {
      loop.execute {
        let (handler, exchange) = bound.value
        handler.pumpLive(exchange)
      }
    }
    begin(live, exchange, headers: wish.headers)
  }

  // Proxies that buffer would hold events back; this field asks nginx and those that follow it not to.
  private static let eventStream = [(name: "content-type", value: "text/event-stream"), (name: "x-accel-buffering", value: "no")]

  private func begin(_ live: LiveSubscription, _ exchange: Exchange, headers: [(name: String, value: String)]) {
    guard let context else { return }
    let response = Response(status: 200, headers: Self.eventStream + headers)
    exchange.status = 200
    exchange.handlerDue = nil
    exchange.keepsConnection = false
    exchange.live = live
    // It would be in flight for hours; what bounds these is the feed's own limit.
    exchange.leave()
    phase = .answering
    lastProgress = .now()
    lastSent = .now()
    switch wire {
    case .http1:
      var buffer = context.channel.allocator.buffer(capacity: 640)
      server.heads.write(response, length: .unknown, gzip: false, exchange: exchange, closes: true, date: clock?.date ?? [], into: &buffer)
      write(NIOAny(buffer), size: buffer.readableBytes, isLast: false, exchange, context)
    case .http2:
      let head = server.heads.head(response, length: .unknown, gzip: false, exchange: exchange, date: clock?.date ?? [])
      write(NIOAny(HTTPServerResponsePart.head(head)), size: 1, isLast: false, exchange, context)
    }
    context.flush()
    pumpLive(exchange)
  }

  /// Hands out what there is while the client has room. What it has no room for stays where it is: in the log.
  func pumpLive(_ exchange: Exchange) {
    guard self.exchange === exchange, case .answering = phase, let live = exchange.live, let context, !isPumping else { return }
    isPumping = true
    defer { isPumping = false }
    while outstanding <= server.configuration.limits.streamWindow, exchange.live != nil {
      switch live.take() {
      case .nothing: return
      case .bytes(let bytes): sendLive(bytes, exchange, context)
      case .ended(let bytes):
        exchange.live = nil
        sendLive(bytes, exchange, context)
        switch wire {
        case .http1: write(NIOAny(ByteBuffer(string: exchange.isHTTP10 ? "" : "0\r\n\r\n")), size: 1, isLast: true, exchange, context)
        case .http2: write(NIOAny(HTTPServerResponsePart.end(nil)), size: 1, isLast: true, exchange, context)
        }
        context.flush()
      }
    }
  }

  private func sendLive(_ bytes: [UInt8], _ exchange: Exchange, _ context: ChannelHandlerContext) {
    guard !bytes.isEmpty else { return }
    lastSent = .now()
    sendPiece(bytes, exchange, context)
  }

  /// Shows a client to which nothing else was sent that the connection lives.
  func tickLive(_ exchange: Exchange, _ now: NIODeadline) {
    guard let live = exchange.live, let context, now - lastSent > server.configuration.deadlines.heartbeat.amount else { return }
    sendLive(live.heartbeat(), exchange, context)
  }

  // MARK: - WebSocket

  private func take(_ upgrade: WebSocketUpgrade, _ wish: LiveWish, _ caller: Caller, _ feed: LiveFeed, _ exchange: Exchange) throws {
    guard let context else { return }
    let socket = LiveSocketHandler(server: server)
    let loop = context.eventLoop
    let bound = NIOLoopBound(socket, eventLoop: loop)
    let live = try feed.subscribe(wish, as: caller, form: .lines) { loop.execute { bound.value.pump() } }
    socket.live = live
    exchange.status = 101
    record(exchange, aborted: false)
    exchange.leave()
    self.exchange = nil
    phase = .closed
    context.writeAndFlush(NIOAny(upgrade.answer), promise: nil)
    try upgrade.replaceHandlers(of: context, with: socket, removing: self)
  }
}
