import CRMCore
import Foundation
import Logging
import NIOCore
import NIOHTTP1

/// Runs the exchanges of one connection (in HTTP/2: of one stream), strictly one after another: takes a request in, has it answered,
/// writes the answer. All its state belongs to the event loop of its channel.
///
/// How requests come in is in `ExchangeHandler+Requests`, how they are handled in `+Handling`, how answers go out in `+Answers`.
final class ExchangeHandler: ChannelDuplexHandler, RemovableChannelHandler, Timed {
  typealias InboundIn = HTTPServerRequestPart
  typealias InboundOut = Never
  typealias OutboundIn = Never
  typealias OutboundOut = Any

  enum Wire {
    case http1
    case http2
  }

  enum Phase {
    /// Between requests; part of a head may have come.
    case idle
    /// The caller is being looked up; input waits.
    case authenticating
    /// The body is being collected.
    case receiving
    /// The answer is known; the rest of a small body is dropped first, so that the connection can stay.
    case discarding(Response)
    /// The handler is at work.
    case handling
    /// The answer is being written and not all of it has left.
    case answering
    /// All is said; input is dropped until the connection is closed.
    case lingering
    case closed
  }

  let server: ServerContext
  let wire: Wire
  var phase = Phase.idle
  var exchange: Exchange?
  var context: ChannelHandlerContext?
  /// Input that came before it was wanted.
  var waiting = CircularBuffer<HTTPServerRequestPart>()
  /// What the decoder said of input behind the current request.
  var decodingProblem: Problem?
  var clock: ConnectionClock?
  var remoteAddress: String?
  var isQuiescing = false
  /// Whether a request was answered on this connection.
  private var hasServed = false

  /// Bytes of the answer that have not left yet.
  var outstanding = 0
  /// Resumed when a streamed answer has room for more.
  var roomWaiter: CheckedContinuation<Void, any Error>?

  /// Whether changes are being handed out already.
  var isPumping = false
  /// When the client was last sent anything.
  var lastSent = NIODeadline.now()

  private var readWithheld = false
  private var sawPart = false
  private var isTakingWaiting = false
  private var idleSince = NIODeadline.now()
  private var headStarted: NIODeadline?
  private var lastTick = NIODeadline.now()
  /// When bytes of the answer last left.
  var lastProgress = NIODeadline.now()
  var lingerDue: NIODeadline?

  init(server: ServerContext, wire: Wire) {
    self.server = server
    self.wire = wire
  }

  // MARK: - The channel's events

  func handlerAdded(context: ChannelHandlerContext) {
    self.context = context
    if context.channel.isActive { begin(context) }
  }

  func handlerRemoved(context: ChannelHandlerContext) {
    clock?.remove(self)
    self.context = nil
  }

  func channelActive(context: ChannelHandlerContext) {
    begin(context)
    context.fireChannelActive()
  }

  private func begin(_ context: ChannelHandlerContext) {
    guard clock == nil else { return }
    clock = server.clock(of: context.eventLoop)
    clock?.add(self)
    remoteAddress = context.channel.remoteAddress?.ipAddress
    idleSince = .now()
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    sawPart = true
    let part = unwrapInboundIn(data)
    if takesInput { take(part) } else { waiting.append(part) }
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    if case .idle = phase, !sawPart, headStarted == nil { headStarted = .now() }
    sawPart = false
  }

  func read(context: ChannelHandlerContext) {
    if wantsInput { context.read() } else { readWithheld = true }
  }

  func channelInactive(context: ChannelHandlerContext) {
    abandon()
    context.fireChannelInactive()
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    guard let parserError = error as? HTTPParserError else {
      server.logger.debug("connection failed", metadata: ["error": "\(error)"])
      context.close(promise: nil)
      return
    }
    let problem =
      switch parserError {
      case .headerOverflow: RequestFields.tooLarge(server.configuration.limits)
      case .invalidURL: RequestTarget.malformed
      default: Problem.badRequest("malformed-request", Phrase("The request is not valid HTTP.", tr: "İstek geçerli bir HTTP isteği değil."))
      }
    refuseInput(problem)
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if event is ChannelShouldQuiesceEvent {
      isQuiescing = true
      // A connection that is new, or on which a request has begun to come in, is not hung up on yet.
      if case .idle = phase, wire == .http1, hasServed, headStarted == nil { context.close(promise: nil) }
    } else {
      context.fireUserInboundEventTriggered(event)
    }
  }

  // MARK: - Input

  /// Whether parts are worked on as they come.
  private var takesInput: Bool {
    switch phase {
    case .idle, .receiving, .discarding, .lingering: true
    case .handling, .answering: exchange?.upload != nil && exchange?.inputEnded == false
    case .authenticating, .closed: false
    }
  }

  /// Whether the connection should be read. While a handler works it is, as long as nothing is waiting: that is how it is noticed
  /// that the client has gone.
  private var wantsInput: Bool {
    guard waiting.isEmpty else { return false }
    if let upload = exchange?.upload, exchange?.inputEnded == false { return upload.hasRoom }
    return true
  }

  func resumeReading() {
    guard readWithheld, wantsInput, let context else { return }
    readWithheld = false
    context.read()
  }

  /// Works on input that had to wait, as far as the phase allows.
  func takeWaiting() {
    guard !isTakingWaiting else { return }
    isTakingWaiting = true
    while takesInput, let part = waiting.popFirst() { take(part) }
    isTakingWaiting = false
    if let problem = decodingProblem, waiting.isEmpty, takesInput {
      decodingProblem = nil
      refuseInput(problem)
    }
    resumeReading()
  }

  /// Ready for the next request.
  func becomeIdle() {
    hasServed = true
    exchange = nil
    phase = .idle
    headStarted = nil
    idleSince = .now()
    takeWaiting()
  }

  func headArrived() {
    headStarted = nil
  }

  /// The client has gone: whoever works for it is told to stop.
  private func abandon() {
    phase = .closed
    waiting.removeAll()
    clock?.remove(self)
    roomWaiter?.resume(throwing: ClientGone())
    roomWaiter = nil
    if let exchange {
      exchange.upload?.end(.failure(ClientGone()))
      exchange.cancel()
      record(exchange, aborted: true)
    }
    exchange = nil
  }

  func cutOff() { context?.close(mode: .all, promise: nil) }

  // MARK: - Deadlines

  func tick(now: NIODeadline) {
    let deadlines = server.configuration.deadlines
    let elapsed = now - lastTick
    lastTick = now
    switch phase {
    case .idle:
      if let headStarted, now - headStarted > deadlines.headers.amount {
        refuseInput(
          Problem(
            408, "slow-headers",
            Phrase("The request's header fields took too long to arrive.", tr: "İsteğin başlık alanlarının gelmesi çok uzun sürdü.")))
      } else if headStarted == nil, now - idleSince > (isQuiescing ? deadlines.linger : deadlines.idle).amount, wire == .http1 {
        context?.close(promise: nil)
      }
    case .receiving, .discarding:
      checkBody(now)
    case .handling, .authenticating:
      if let exchange, exchange.upload != nil, !exchange.inputEnded {
        if readWithheld { exchange.excuse(elapsed) } else { checkBody(now) }
      }
      checkHandler(now)
    case .answering:
      if outstanding == 0 {
        lastProgress = now
        checkHandler(now)
        if let exchange, exchange.live != nil { tickLive(exchange, now) }
      } else if now - lastProgress > deadlines.stalledReader.amount {
        server.logger.info("a client left its answer unread", metadata: ["request_id": "\(exchange?.id.lowercase ?? "")"])
        context?.close(mode: .all, promise: nil)
      }
    case .lingering:
      if let lingerDue, now > lingerDue { context?.close(promise: nil) }
    case .closed:
      break
    }
  }

  private func checkBody(_ now: NIODeadline) {
    guard let exchange, exchange.isBodyOverdue(at: now, deadlines: server.configuration.deadlines) else { return }
    let problem = Problem(
      408, "slow-body", Phrase("The request's body took too long to arrive.", tr: "İsteğin gövdesinin gelmesi çok uzun sürdü."))
    exchange.keepsConnection = false
    if let upload = exchange.upload {
      upload.end(.failure(problem))
    } else {
      answer(problem: problem)
    }
  }

  private func checkHandler(_ now: NIODeadline) {
    guard let exchange, let due = exchange.handlerDue, now > due else { return }
    if let grace = exchange.graceDue {
      guard now > grace else { return }
      guard case .handling = phase else {
        context?.close(mode: .all, promise: nil)
        return
      }
      exchange.handlerDue = nil
      exchange.keepsConnection = false
      let isSafe = exchange.work == nil || exchange.request?.method == .get || exchange.request?.method == .head
      answer(problem: isSafe ? .timeout : .outcomeUnknown)
    } else {
      exchange.graceDue = now + server.configuration.deadlines.handlerGrace.amount
      exchange.cancel()
    }
  }
}

/// The connection ended before the answer did.
struct ClientGone: Error {}
