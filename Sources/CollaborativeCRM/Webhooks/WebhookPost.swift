import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1

/// The way to a receiver: its address was looked up and checked once, and every connection of the session goes there and nowhere else.
struct WebhookPost: Sendable {
  enum Answer: Sendable {
    case answered(Int)
    case failed(String)
  }

  private let target: Result<OutgoingTarget, OutgoingTarget.Refusal>
  private let client: HTTPClient?
  private let patience: TimeAmount

  static func begin(_ url: String, _ configuration: WebhookSender.Configuration) async -> WebhookPost {
    let patience = TimeAmount(configuration.patience)
    do {
      let target = try await OutgoingTarget.resolve(url, allowsLoopback: configuration.allowsLoopback)
      var settings = HTTPClient.Configuration(redirectConfiguration: .disallow, timeout: .init(connect: .seconds(5), read: patience))
      settings.dnsOverride = [target.host: target.address]
      settings.maximumUsesPerConnection = 1_000
      return WebhookPost(target: .success(target), client: HTTPClient(eventLoopGroupProvider: .singleton, configuration: settings), patience: patience)
    } catch let refusal as OutgoingTarget.Refusal {
      return WebhookPost(target: .failure(refusal), client: nil, patience: patience)
    } catch {
      return WebhookPost(target: .failure(.malformed), client: nil, patience: patience)
    }
  }

  func end() async throws { try await client?.shutdown() }

  func send(_ body: [UInt8], id: String, timestamp: Int, signature: String) async -> Answer {
    let url: String
    switch target {
    case .success(let target): url = target.url
    case .failure(let refusal): return .failed("\(refusal)")
    }
    guard let client else { return .failed("\(OutgoingTarget.Refusal.malformed)") }
    var request = HTTPClientRequest(url: url)
    request.method = .POST
    request.headers = HTTPHeaders([
      ("content-type", "application/json"), ("user-agent", "Muhatap-Webhooks/1"), ("webhook-id", id), ("webhook-timestamp", "\(timestamp)"),
      ("webhook-signature", signature),
    ])
    request.body = .bytes(ByteBuffer(bytes: body))
    do {
      // The body of the answer says nothing that is needed; it is not read.
      return .answered(Int(try await client.execute(request, timeout: patience).status.code))
    } catch {
      return .failed(Self.words(for: error))
    }
  }

  private static func words(for error: any Error) -> String {
    switch error as? HTTPClientError {
    case .connectTimeout?, .deadlineExceeded?, .readTimeout?: "no answer in time"
    case .remoteConnectionClosed?: "the receiver closed the connection"
    default: error is HTTPClientError ? "\(error)" : "no connection to the receiver"
    }
  }
}
