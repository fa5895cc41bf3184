import CRMCore
import Foundation
import Logging
import NIOCore
import NIOWebSocket

/// A WebSocket on which changes are told, one text frame each. All its state belongs to the event loop of its channel.
final class LiveSocketHandler: ChannelInboundHandler, Timed {
  typealias InboundIn = WebSocketFrame
  typealias OutboundOut = WebSocketFrame

  private let server: ServerContext
  var live: LiveSubscription?
  private var context: ChannelHandlerContext?
  private var clock: ConnectionClock?
  private var outstanding = 0
  private var lastProgress = NIODeadline.now()
  private var lastSent = NIODeadline.now()
  private var lastHeard = NIODeadline.now()
  private var isPumping = false
  private var isClosing = false

  init(server: ServerContext) {
    self.server = server
  }

  func handlerAdded(context: ChannelHandlerContext) {
    self.context = context
    clock = server.clock(of: context.eventLoop)
    clock?.add(self)
    // Once the upgrade is through: the encoder has to stand before this handler.
    let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
    context.eventLoop.execute { bound.value.pump() }
  }

  func handlerRemoved(context: ChannelHandlerContext) {
    clock?.remove(self)
    leave()
    self.context = nil
  }

  func channelInactive(context: ChannelHandlerContext) {
    leave()
    context.fireChannelInactive()
  }

  private func leave() {
    live?.cancel()
    live = nil
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    server.logger.debug("WebSocket failed", metadata: ["error": "\(error)"])
    context.close(promise: nil)
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    lastHeard = .now()
    let frame = unwrapInboundIn(data)
    switch frame.opcode {
    case .ping:
      // Whoever asks without reading the answers is not heard out.
      if outstanding > server.configuration.limits.streamWindow { cutOff() } else { send(.pong, frame.unmaskedData) }
    case .pong: break
    case .connectionClose: close(.normalClosure)
    default: close(.unacceptableData)
    }
  }

  /// Hands out what there is while the client has room.
  func pump() {
    guard let live, context != nil, !isPumping, !isClosing else { return }
    isPumping = true
    defer { isPumping = false }
    while outstanding <= server.configuration.limits.streamWindow, !isClosing {
      switch live.take() {
      case .nothing: return
      case .bytes(let bytes): sendLines(bytes)
      case .ended(let bytes):
        sendLines(bytes)
        close(.goingAway)
      }
    }
  }

  private func sendLines(_ bytes: [UInt8]) {
    for line in bytes.split(separator: UInt8(ascii: "\n")) { send(.text, ByteBuffer(bytes: line), flushes: false) }
    context?.flush()
  }

  private func send(_ opcode: WebSocketOpcode, _ data: ByteBuffer, flushes: Bool = true) {
    guard let context, !isClosing else { return }
    let size = data.readableBytes + 2
    outstanding += size
    lastSent = .now()
    let promise = context.eventLoop.makePromise(of: Void.self)
    let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
    promise.futureResult.whenComplete { _ in
      let handler = bound.value
      handler.outstanding -= size
      handler.lastProgress = .now()
      if handler.outstanding <= handler.server.configuration.limits.streamWindow { handler.pump() }
    }
    context.write(wrapOutboundOut(WebSocketFrame(fin: true, opcode: opcode, data: data)), promise: promise)
    if flushes { context.flush() }
  }

  private func close(_ code: WebSocketErrorCode) {
    guard let context, !isClosing else { return }
    var data = context.channel.allocator.buffer(capacity: 2)
    data.write(webSocketErrorCode: code)
    let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
    context.writeAndFlush(wrapOutboundOut(WebSocketFrame(fin: true, opcode: .connectionClose, data: data))).whenComplete { _ in
      bound.value.close(promise: nil)
    }
    isClosing = true
    leave()
  }

  func tick(now: NIODeadline) {
    let deadlines = server.configuration.deadlines
    if outstanding == 0 {
      lastProgress = now
    } else if now - lastProgress > deadlines.stalledReader.amount {
      cutOff()
      return
    }
    // A client that is there answers a ping.
    if now - lastHeard > deadlines.heartbeat.amount * 3 {
      cutOff()
    } else if now - lastSent > deadlines.heartbeat.amount, let live {
      send(.ping, ByteBuffer(), flushes: false)
      sendLines(live.heartbeat())
    }
  }

  func cutOff() { context?.close(mode: .all, promise: nil) }
}
