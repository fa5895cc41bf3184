import NIOCore
import NIOHTTP2

/// Says with the last bytes of an answer by HTTP/2 that it ends there, in one frame. Clients such as curl are done with an answer as soon as they
/// have the length it announced, and reset a stream of which the end only comes afterwards; connections that reset many streams are closed as an attack.
final class LastFrame: ChannelOutboundHandler {
  typealias OutboundIn = HTTP2Frame.FramePayload
  typealias OutboundOut = HTTP2Frame.FramePayload

  /// What was written last and not yet flushed: the end may follow.
  private var held: (payload: HTTP2Frame.FramePayload, promise: EventLoopPromise<Void>?)?

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    let payload = unwrapOutboundIn(data)
    guard let earlier = held else {
      held = (payload, promise)
      return
    }
    if Self.isBareEnd(payload), let last = Self.ending(earlier.payload) {
      held = nil
      if let promise, let earlier = earlier.promise { promise.futureResult.cascade(to: earlier) }
      context.write(wrapOutboundOut(last), promise: promise ?? earlier.promise)
    } else {
      context.write(wrapOutboundOut(earlier.payload), promise: earlier.promise)
      held = (payload, promise)
    }
  }

  func flush(context: ChannelHandlerContext) {
    release(context)
    context.flush()
  }

  func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
    release(context)
    context.close(mode: mode, promise: promise)
  }

  func handlerRemoved(context: ChannelHandlerContext) {
    held?.promise?.fail(ChannelError.ioOnClosedChannel)
    held = nil
  }

  private func release(_ context: ChannelHandlerContext) {
    guard let earlier = held else { return }
    held = nil
    context.write(wrapOutboundOut(earlier.payload), promise: earlier.promise)
  }

  private static func isBareEnd(_ payload: HTTP2Frame.FramePayload) -> Bool {
    if case .data(let data) = payload { data.endStream && data.data.readableBytes == 0 } else { false }
  }

  private static func ending(_ payload: HTTP2Frame.FramePayload) -> HTTP2Frame.FramePayload? {
    switch payload {
    case .data(var data):
      data.endStream = true
      return .data(data)
    case .headers(var headers):
      headers.endStream = true
      return .headers(headers)
    default: return nil
    }
  }
}
