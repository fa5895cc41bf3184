import CRMCore
import CollaborativeCRM
import Foundation
import MuhatapTestKit
import NIOHTTP1
import Synchronization

/// The simulated registry behind a real HTTP listener on this machine, with its sign-in.
final class RegistryServer: Sendable {
  static let user = "carsi"
  static let password = "gizli"

  let registry: SimulatedRegistry
  private let listener: HTTPListener
  private let state: State

  fileprivate final class State: Sendable {
    struct Seen {
      var paths: [String] = []
      var signIns = 0
      var token = ""
      /// What is answered instead, so many times.
      var failures: (status: Int, times: Int) = (0, 0)
      /// Whether the answer to a batch says what each of its records is called.
      var namesRecords = true
    }

    let registry: SimulatedRegistry
    let seen = Mutex(Seen())
    init(_ registry: SimulatedRegistry) { self.registry = registry }

    func answer(_ method: HTTPMethod, _ target: String, authorization: String, _ body: [UInt8]) -> RegistryAnswer {
      let json = try? JSONDecoder().decode(JSON.self, from: Data(body))
      return seen.withLock { seen in
        if target == "/oauth2/token" { return signIn(json, &seen) }
        guard authorization == "Bearer \(seen.token)", !seen.token.isEmpty else { return RegistryAnswer(status: 401, body: [:]) }
        seen.paths.append("\(method.rawValue) \(target)")
        if seen.failures.times > 0 {
          seen.failures.times -= 1
          return RegistryAnswer(status: seen.failures.status, body: [:])
        }
        guard let path = Self.path(method, target) else { return RegistryAnswer(status: 404, body: [:]) }
        do {
          let answer = try registry.answer(RegistryRequest(path: path, body: json), now: Date())
          if case .batch = path, !seen.namesRecords { return RegistryAnswer(status: answer.status, body: ["requestId": answer.body["requestId"] ?? .null]) }
          return answer
        } catch {
          return RegistryAnswer(status: 503, body: [:])
        }
      }
    }

    private func signIn(_ body: JSON?, _ seen: inout Seen) -> RegistryAnswer {
      guard body?["username"] == .string(RegistryServer.user), body?["password"] == .string(RegistryServer.password), body?["grant_type"] == "password" else {
        return RegistryAnswer(status: 401, body: [:])
      }
      seen.signIns += 1
      seen.token = "jeton-\(seen.signIns)"
      return RegistryAnswer(status: 200, body: ["access_token": .string(seen.token), "expires_in": 7_200, "token_type": "bearer"])
    }

    private static func path(_ method: HTTPMethod, _ target: String) -> RegistryRequest.Path? {
      let parts = target.split(separator: "?", maxSplits: 1)
      let names = parts[0].split(separator: "/").map(String.init)
      guard names.count >= 5, names[0] == "sps", names[2] == "brands", names[4] == "consents" else { return nil }
      let (sender, brand) = (names[1], names[3])
      switch (method, names.count > 5 ? names[5] : nil, names.count) {
      case (.POST, nil, 5): return .consents(sender: sender, brand: brand)
      case (.POST, "request", 6): return .batch(sender: sender, brand: brand)
      case (.GET, "request", 7): return .batchResult(sender: sender, brand: brand, request: names[6])
      case (.POST, "status", 6): return .status(sender: sender, brand: brand)
      case (.GET, "changes", 6):
        let query = URLComponents(string: "/?" + (parts.count > 1 ? parts[1] : ""))?.queryItems ?? []
        guard query.contains(.init(name: "source", value: "IYS")) else { return nil }
        return .changes(sender: sender, brand: brand, after: query.first { $0.name == "after" }?.value)
      default: return nil
      }
    }
  }

  init(days: BusinessDays = BusinessDays(holidays: [])) async throws {
    registry = SimulatedRegistry(days: days)
    let state = State(registry)
    self.state = state
    listener = try await HTTPListener { head, body in
      let answer = state.answer(head.method, head.uri, authorization: head.headers.first(name: "authorization") ?? "", body)
      return HTTPListener.Answer(status: answer.status, headers: ["content-type": "application/json"], body: (try? answer.body.encoded()) ?? [])
    }
  }

  var address: String { "http://127.0.0.1:\(listener.port)" }
  /// What was asked with a good token, as `METHOD target`.
  var paths: [String] { state.seen.withLock { $0.paths } }
  var signIns: Int { state.seen.withLock { $0.signIns } }
  func forgetToken() { state.seen.withLock { $0.token = "baska" } }
  func fail(_ status: Int, times: Int) { state.seen.withLock { $0.failures = (status, times) } }
  func nameNoRecords() { state.seen.withLock { $0.namesRecords = false } }
  func close() async throws { try await listener.close() }
}
