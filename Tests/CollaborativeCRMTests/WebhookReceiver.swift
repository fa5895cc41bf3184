import CRMCore
import Foundation
import MuhatapTestKit
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// A receiver of webhooks on this machine, which answers as the test says and keeps what it was sent.
final class WebhookReceiver: Sendable {
  struct Message: Sendable {
    let headers: [String: String]
    let body: [UInt8]
    var json: JSON { (try? JSONDecoder().decode(JSON.self, from: Data(body))) ?? .null }
    var id: String { headers["webhook-id"] ?? "" }
    var record: String { json["data"]?["id"]?.string ?? "" }
  }

  /// What is answered to a message: the status, and a place to be sent on to.
  typealias Behaviour = @Sendable (Message) -> (status: Int, location: String?)

  private let channel: any Channel
  private let state: State

  fileprivate final class State: Sendable {
    let messages = Mutex<[Message]>([])
    let behaviour: Mutex<Behaviour>
    init(_ behaviour: @escaping Behaviour) { self.behaviour = Mutex(behaviour) }
  }

  init(_ behaviour: @escaping Behaviour = { _ in (204, nil) }) async throws {
    let state = State(behaviour)
    self.state = state
    channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.configureHTTPServerPipeline()
          try channel.pipeline.syncOperations.addHandler(Handler(state))
        }
      }
      .bind(host: "127.0.0.1", port: 0).get()
  }

  var port: Int { channel.localAddress?.port ?? 0 }
  var messages: [Message] { state.messages.withLock { $0 } }
  func behave(_ behaviour: @escaping Behaviour) { state.behaviour.withLock { $0 = behaviour } }
  func forget() { state.messages.withLock { $0 = [] } }
  func close() async throws { try await channel.close() }

  private final class Handler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart
    private let state: State
    private var head: HTTPRequestHead?
    private var body: [UInt8] = []

    init(_ state: State) { self.state = state }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
      switch unwrapInboundIn(data) {
      case .head(let head):
        self.head = head
        body = []
      case .body(let buffer): body += buffer.readableBytesView
      case .end:
        let headers = Dictionary((head?.headers ?? [:]).map { ($0.name.lowercased(), $0.value) }, uniquingKeysWith: { $1 })
        let message = Message(headers: headers, body: body)
        state.messages.withLock { $0.append(message) }
        let answer = state.behaviour.withLock { $0 }(message)
        var fields = HTTPHeaders([("content-length", "0")])
        if let location = answer.location { fields.add(name: "location", value: location) }
        context.write(wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: .init(statusCode: answer.status), headers: fields))), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
      }
    }
  }
}
