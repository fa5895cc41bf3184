import CRMCore
import Foundation
import Logging
import NIOCore
import NIOHTTP1

/// How answers go out.
extension ExchangeHandler {
  /// Answers larger than this leave in pieces, so that a client which stops reading is noticed.
  private static let pieceSize = 64 << 10
  private static let continueLine = ByteBuffer(string: "HTTP/1.1 100 Continue\r\n\r\n")

  func sendContinue() {
    guard let context else { return }
    switch wire {
    case .http1: context.writeAndFlush(NIOAny(Self.continueLine), promise: nil)
    case .http2:
      context.writeAndFlush(NIOAny(HTTPServerResponsePart.head(HTTPResponseHead(version: .http2, status: .continue))), promise: nil)
    }
  }

  /// Writes the answer to the current exchange.
  func answer(_ response: Response) {
    guard let exchange else { return }
    exchange.status = response.status
    exchange.handlerDue = nil
    if let upload = exchange.upload, !exchange.inputEnded { upload.end(.failure(ClientGone())) }
    switch response.body {
    case .empty: answer(response, bytes: [], exchange)
    case .bytes(let bytes): answer(response, bytes: bytes, exchange)
    case .stream(let stream): answer(response, stream: stream, exchange)
    }
  }

  func closesAfter(_ exchange: Exchange) -> Bool {
    wire == .http1 && (!exchange.keepsConnection || !exchange.inputEnded || isQuiescing || server.draining.isRaised)
  }

  // MARK: - Whole answers

  private func answer(_ response: Response, bytes: [UInt8], _ exchange: Exchange) {
    guard let context else { return }
    var body = bytes
    var isCompressed = false
    if exchange.acceptsGzip, bytes.count >= server.configuration.gzipFrom, Gzip.suits(response), let compressed = Gzip.compress(bytes) {
      body = compressed
      isCompressed = true
    }
    let hasNoBody = response.status == 204 || response.status == 304 || response.status < 200
    let length = hasNoBody ? ResponseHeads.Length.none : .bytes(body.count)
    if exchange.isHead || hasNoBody { body = [] }
    exchange.bytesSent = body.count
    let closes = closesAfter(exchange)
    exchange.keepsConnection = !closes
    phase = .answering
    lastProgress = .now()
    switch wire {
    case .http1:
      var buffer = context.channel.allocator.buffer(capacity: 640 + body.count)
      server.heads.write(
        response, length: length, gzip: isCompressed, exchange: exchange, closes: closes, date: clock?.date ?? [], into: &buffer)
      buffer.writeBytes(body)
      let isQuick = buffer.readableBytes <= Self.pieceSize && !closes
      if isQuick {
        context.writeAndFlush(NIOAny(buffer), promise: nil)
        if context.channel.isWritable { finish(exchange) } else { awaitFlush(exchange, context) }
      } else {
        while let piece = buffer.readSlice(length: min(Self.pieceSize, buffer.readableBytes)), piece.readableBytes > 0 {
          write(NIOAny(piece), size: piece.readableBytes, isLast: buffer.readableBytes == 0, exchange, context)
        }
        context.flush()
      }
    case .http2:
      let head = server.heads.head(response, length: length, gzip: isCompressed, exchange: exchange, date: clock?.date ?? [])
      context.write(NIOAny(HTTPServerResponsePart.head(head)), promise: nil)
      var buffer = ByteBuffer(bytes: body)
      while let piece = buffer.readSlice(length: min(Self.pieceSize, buffer.readableBytes)), piece.readableBytes > 0 {
        write(NIOAny(HTTPServerResponsePart.body(.byteBuffer(piece))), size: piece.readableBytes, isLast: false, exchange, context)
      }
      write(NIOAny(HTTPServerResponsePart.end(nil)), size: 1, isLast: true, exchange, context)
      context.flush()
    }
  }

  /// Writes a piece and keeps count of what has not left yet.
  func write(_ data: NIOAny, size: Int, isLast: Bool, _ exchange: Exchange, _ context: ChannelHandlerContext) {
    outstanding += size
    let promise = context.eventLoop.makePromise(of: Void.self)
    let bound = NIOLoopBound((self, exchange), eventLoop: context.eventLoop)
    promise.futureResult.whenComplete { result in
      let (handler, exchange) = bound.value
      guard handler.exchange === exchange else { return }
      handler.outstanding -= size
      handler.lastProgress = .now()
      if exchange.isStreaming { handler.awaitNextPiece(of: exchange) }
      if case .failure = result { return }  // The channel closes, and says so itself.
      if handler.outstanding <= handler.server.configuration.limits.streamWindow {
        handler.roomWaiter?.resume()
        handler.roomWaiter = nil
      }
      if isLast { handler.finish(exchange) } else if exchange.live != nil { handler.pumpLive(exchange) }
    }
    context.write(data, promise: promise)
  }

  /// The kernel took less than was written: the next request has to wait until the client has read some.
  private func awaitFlush(_ exchange: Exchange, _ context: ChannelHandlerContext) {
    write(NIOAny(ByteBuffer()), size: 1, isLast: true, exchange, context)
    context.flush()
  }

  // MARK: - Streamed answers

  private func answer(_ response: Response, stream: @escaping Response.Stream, _ exchange: Exchange) {
    guard let context else { return }
    let closes = closesAfter(exchange) || (exchange.isHTTP10 && wire == .http1)
    let isCompressed = exchange.acceptsGzip && Gzip.suits(response)
    exchange.keepsConnection = !closes
    phase = .answering
    lastProgress = .now()
    switch wire {
    case .http1:
      var buffer = context.channel.allocator.buffer(capacity: 640)
      server.heads.write(
        response, length: .unknown, gzip: isCompressed, exchange: exchange, closes: closes, date: clock?.date ?? [], into: &buffer)
      write(NIOAny(buffer), size: buffer.readableBytes, isLast: exchange.isHead, exchange, context)
    case .http2:
      let head = server.heads.head(response, length: .unknown, gzip: isCompressed, exchange: exchange, date: clock?.date ?? [])
      context.write(NIOAny(HTTPServerResponsePart.head(head)), promise: nil)
      if exchange.isHead { write(NIOAny(HTTPServerResponsePart.end(nil)), size: 1, isLast: true, exchange, context) }
    }
    context.flush()
    if exchange.isHead { return }
    exchange.isStreaming = true
    awaitNextPiece(of: exchange)
    let loop = context.eventLoop
    let bound = NIOLoopBound((self, exchange), eventLoop: loop)
    let writer = StreamWriter(compressing: isCompressed) { bytes, continuation in
      loop.execute {
        let (handler, exchange) = bound.value
        handler.send(bytes, exchange, continuation)
      }
    }
    exchange.work = Task {
      let result: Result<Void, any Error>
      do {
        try await stream { try await writer.write($0) }
        try await writer.finish()
        result = .success(())
      } catch {
        result = .failure(error)
      }
      loop.execute {
        let (handler, exchange) = bound.value
        handler.streamEnded(exchange, result)
      }
    }
  }

  /// The source of a streamed answer has this long for its next piece, counted from when the client took the one before: an answer
  /// may take as long as it takes to read, as long as it moves.
  private func awaitNextPiece(of exchange: Exchange) {
    exchange.handlerDue = .now() + server.configuration.deadlines.streamPause.amount
  }

  /// Sends one piece of a streamed answer. The continuation is resumed when the client has room for more: at most `streamWindow` bytes
  /// wait for it, and whoever produces them is paused meanwhile.
  private func send(_ bytes: [UInt8], _ exchange: Exchange, _ continuation: CheckedContinuation<Void, any Error>) {
    guard self.exchange === exchange, case .answering = phase, let context else {
      continuation.resume(throwing: ClientGone())
      return
    }
    sendPiece(bytes, exchange, context)
    if outstanding <= server.configuration.limits.streamWindow { continuation.resume() } else { roomWaiter = continuation }
  }

  /// Sends one piece of a body whose length is not known beforehand: a chunk in HTTP/1.1, a DATA frame in HTTP/2, the bytes alone in HTTP/1.0.
  func sendPiece(_ bytes: [UInt8], _ exchange: Exchange, _ context: ChannelHandlerContext) {
    exchange.bytesSent += bytes.count
    switch wire {
    case .http1:
      var buffer = context.channel.allocator.buffer(capacity: bytes.count + 16)
      if !exchange.isHTTP10 { buffer.writeString("\(String(bytes.count, radix: 16))\r\n") }
      buffer.writeBytes(bytes)
      if !exchange.isHTTP10 { buffer.writeStaticString("\r\n") }
      write(NIOAny(buffer), size: bytes.count, isLast: false, exchange, context)
    case .http2:
      write(
        NIOAny(HTTPServerResponsePart.body(.byteBuffer(ByteBuffer(bytes: bytes)))), size: bytes.count, isLast: false, exchange, context)
    }
    context.flush()
  }

  private func streamEnded(_ exchange: Exchange, _ result: Result<Void, any Error>) {
    exchange.work = nil
    guard self.exchange === exchange, case .answering = phase, let context else { return }
    if case .failure(let failure) = result {
      // The status has left already: an answer cut short is how HTTP says that it is not whole.
      server.logger.error(
        "streamed answer broken off",
        metadata: ["request_id": "\(exchange.id.lowercase)", "route": "\(exchange.route?.endpoint.path ?? "")", "error": "\(String(reflecting: failure))"])
      context.close(mode: .all, promise: nil)
      return
    }
    switch wire {
    case .http1:
      write(NIOAny(ByteBuffer(string: exchange.isHTTP10 ? "" : "0\r\n\r\n")), size: 1, isLast: true, exchange, context)
    case .http2:
      write(NIOAny(HTTPServerResponsePart.end(nil)), size: 1, isLast: true, exchange, context)
    }
    context.flush()
  }

  // MARK: - After the answer

  private func finish(_ exchange: Exchange) {
    record(exchange, aborted: false)
    if !exchange.isWorkedFor { exchange.leave() }
    guard let context else { return }
    if wire == .http2 {
      phase = .closed
      if !exchange.inputEnded { context.close(promise: nil) }
      self.exchange = nil
    } else if exchange.keepsConnection {
      becomeIdle()
    } else if exchange.inputEnded, waiting.isEmpty, decodingProblem == nil {
      self.exchange = nil
      phase = .closed
      context.close(promise: nil)
    } else {
      // Closing with unread input would reset the connection, and the client might lose the answer.
      self.exchange = nil
      phase = .lingering
      lingerDue = .now() + server.configuration.deadlines.linger.amount
      waiting.removeAll()
      context.close(mode: .output, promise: nil)
      resumeReading()
    }
  }

  /// Counts the exchange and logs it.
  func record(_ exchange: Exchange, aborted: Bool) {
    let elapsed = (NIODeadline.now() - exchange.started).nanoseconds
    let status = aborted ? 499 : exchange.status
    (exchange.route?.metrics ?? server.metrics.unrouted).record(status: status, nanoseconds: elapsed)
    guard server.logger.logLevel <= .info else { return }
    let entry = AccessLogEntry(
      method: exchange.method, route: exchange.route?.endpoint.path ?? "", status: status, microseconds: elapsed / 1000,
      bytes: exchange.bytesSent, requestID: exchange.id, client: exchange.request?.remoteAddress ?? remoteAddress,
      user: exchange.request?.caller.userID)
    server.logger.info("request", metadata: ["request": .stringConvertible(entry)])
  }
}
