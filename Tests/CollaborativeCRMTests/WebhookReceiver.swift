import CRMCore
import Foundation
import MuhatapTestKit
import NIOHTTP1
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

  private let listener: HTTPListener
  private let state: State

  fileprivate final class State: Sendable {
    let messages = Mutex<[Message]>([])
    let behaviour: Mutex<Behaviour>
    init(_ behaviour: @escaping Behaviour) { self.behaviour = Mutex(behaviour) }
  }

  init(_ behaviour: @escaping Behaviour = { _ in (204, nil) }) async throws {
    let state = State(behaviour)
    self.state = state
    listener = try await HTTPListener { head, body in
      let message = Message(headers: Dictionary(head.headers.map { ($0.name.lowercased(), $0.value) }, uniquingKeysWith: { $1 }), body: body)
      state.messages.withLock { $0.append(message) }
      let answer = state.behaviour.withLock { $0 }(message)
      return HTTPListener.Answer(status: answer.status, headers: HTTPHeaders(answer.location.map { [("location", $0)] } ?? []))
    }
  }

  var port: Int { listener.port }
  var messages: [Message] { state.messages.withLock { $0 } }
  func behave(_ behaviour: @escaping Behaviour) { state.behaviour.withLock { $0 = behaviour } }
  func forget() { state.messages.withLock { $0 = [] } }
  func close() async throws { try await listener.close() }
}
