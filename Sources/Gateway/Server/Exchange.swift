import CRMCore
import Foundation
import NIOCore
import NIOHTTP1
import PostgresClient

/// One request on its way to its answer. It belongs to the event loop of its connection; whoever still works for it keeps it alive,
/// and it counts as in flight until nobody does.
final class Exchange {
  let id: UUID
  let started = NIODeadline.now()
  let method: String
  let target: String
  let isHead: Bool
  let isHTTP10: Bool
  let acceptsGzip: Bool
  let language: Language
  /// Whether the connection may be used again once this is answered.
  var keepsConnection: Bool
  /// Whether the client waits for `100 Continue` before it sends the body.
  var awaitsContinue: Bool
  /// Whether the whole request has arrived.
  var inputEnded = false

  var route: Router.Route?
  var request: Request?
  var body: [UInt8] = []
  var bodyReceived = 0
  var bodyStarted: NIODeadline
  var lastBodyAt: NIODeadline
  /// The body as an endpoint that streams it reads it.
  var upload: UploadStream?

  /// The handler, or the writing of a streamed answer.
  var work: Task<Void, Never>?
  /// The changes it is told of as they happen.
  var live: LiveSubscription?
  /// A read that the pool is still busy with.
  var execution: PostgresPool.Execution?
  /// When the handler must be done.
  var handlerDue: NIODeadline?
  /// Set once the handler was told to stop: when it is no longer waited for.
  var graceDue: NIODeadline?

  /// Whether its answer is being streamed.
  var isStreaming = false
  var status = 0
  var bytesSent = 0

  private let inFlight: InFlight
  private var isCounted = false

  init(_ head: HTTPRequestHead, id: UUID, fields: RequestFields?, language: Language, inFlight: InFlight) {
    self.id = id
    method = head.method.rawValue
    target = head.uri
    isHead = head.method == .HEAD
    isHTTP10 = head.version == .http1_0
    acceptsGzip = fields?.acceptsGzip ?? false
    awaitsContinue = fields?.expectsContinue ?? false
    keepsConnection = fields.map { head.isKeepAlive && !$0.asksForUpgrade } ?? false
    self.language = language
    self.inFlight = inFlight
    bodyStarted = started
    lastBodyAt = started
  }

  deinit { leave() }

  /// Counts the exchange among those in flight; false when there are too many.
  func enter(isForOperators: Bool) -> Bool {
    isCounted = inFlight.enter(isForOperators: isForOperators)
    return isCounted
  }

  /// Whether somebody will still answer to the event loop.
  var isWorkedFor: Bool { work != nil || execution != nil }

  /// Tells whoever works for it to stop; what is being committed is committed all the same.
  func cancel() {
    work?.cancel()
    execution?.cancel()
    live?.cancel()
  }

  /// No longer counts it.
  func leave() {
    if isCounted { inFlight.leave() }
    isCounted = false
  }

  /// Whether the client sends its body too slowly.
  func isBodyOverdue(at now: NIODeadline, deadlines: Deadlines) -> Bool {
    let earned = TimeAmount.milliseconds(Int64(bodyReceived) * 1000 / Int64(max(deadlines.bodyRate, 1)))
    return now - lastBodyAt > deadlines.body.amount || now - bodyStarted > deadlines.body.amount + earned
  }

  /// Takes time during which the gateway itself did not read out of the client's account.
  func excuse(_ pause: TimeAmount) {
    bodyStarted = bodyStarted + pause
    lastBodyAt = lastBodyAt + pause
  }
}
