import AsyncHTTPClient
import CRMCore
import Crypto
import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix

/// Text messages and social networks by the HTTP protocol that docs/channels.md describes; a provider with a protocol of its own is reached through a small
/// service that speaks this one.
struct HTTPMessaging: ChannelAdapter {
  let capabilities: Set<ChannelCapability>

  private let account: AccountSettings
  private let base: String
  private let key: String
  /// Nothing is followed elsewhere: the key is meant for this address alone.
  private static let client = HTTPClient(
    eventLoopGroup: .singletonMultiThreadedEventLoopGroup, configuration: HTTPClient.Configuration(redirectConfiguration: .disallow))
  private static let answerLimit = 4 << 20

  init(_ account: AccountSettings) throws {
    let base = try account.needed("url")
    guard base.hasPrefix("https://") || base.hasPrefix("http://127.0.0.1:") || base.hasPrefix("http://localhost:") else {
      throw AccountSettings.Incomplete(description: "\"url\" of the account \(account.code) has to begin with https://")
    }
    self.account = account
    self.base = base.hasSuffix("/") ? String(base.dropLast()) : base
    key = try account.secret("key")
    capabilities = account.channel == "social" ? [.send, .receive, .status, .threads] : [.send, .receive, .status]
  }

  private struct Unavailable: Error, CustomStringConvertible {
    let description: String
  }

  private func request(_ method: String, _ path: String, key idempotency: String? = nil, body: JSON? = nil) async throws -> (status: Int, body: JSON) {
    var request = HTTPClientRequest(url: base + path)
    request.method = .init(rawValue: method)
    request.headers.add(name: "authorization", value: "Bearer \(key)")
    request.headers.add(name: "accept", value: "application/json")
    if let idempotency { request.headers.add(name: "idempotency-key", value: idempotency) }
    if let body {
      request.headers.add(name: "content-type", value: "application/json")
      request.body = .bytes(try body.encoded())
    }
    let response = try await Self.client.execute(request, timeout: .seconds(30))
    let bytes = try await response.body.collect(upTo: Self.answerLimit)
    let status = Int(response.status.code)
    if status == 408 || status == 425 || status == 429 || status >= 500 { throw Unavailable(description: "the provider answered \(status)") }
    return (status, (try? JSONDecoder().decode(JSON.self, from: Data(bytes.readableBytesView))) ?? .null)
  }

  // Sending

  func send(_ message: MessageToSend) async throws -> String {
    var body: [String: JSON] = [
      "to": .string(message.address), "text": .string(message.text), "reference": .string(message.id.lowercase),
      "from": (account.address ?? message.senderName).map(JSON.string) ?? .null,
    ]
    if let inReplyTo = message.inReplyTo, capabilities.contains(.threads) { body["in_reply_to"] = .string(inReplyTo) }
    let key = message.id.lowercase + (message.deferrals > 0 ? "-\(message.deferrals)" : "")
    let answer = try await request("POST", "/messages", key: key, body: .object(body))
    if answer.status == 401 || answer.status == 403 { throw Unavailable(description: "the provider does not accept the key (\(answer.status))") }
    // Another address is meant, or none is there: that says nothing of the message.
    if (300..<400).contains(answer.status) || answer.status == 404 || answer.status == 405 {
      throw Unavailable(description: "the provider takes no messages at this address (\(answer.status))")
    }
    guard (200..<300).contains(answer.status) else {
      throw MessageRefusal(
        "the provider refused it (\(answer.status)): \(answer.body["error"]?["message"]?.string?.prefix(300) ?? "")",
        isOfRecipient: Self.cause(answer.body["error"]) == "recipient")
    }
    guard let id = answer.body["id"]?.string, !id.isEmpty, id.count <= 200 else { throw Unavailable(description: "the provider's answer has no id") }
    return id
  }

  func status(of providerID: String) async throws -> DeliveryOutcome? {
    let answer = try await request("GET", "/messages/\(providerID.percentEncoded)")
    // One that the provider has forgotten keeps nobody from asking about the others.
    if answer.status == 404 || answer.status == 410 { return nil }
    guard answer.status == 200 else { throw Unavailable(description: "the provider answered \(answer.status) about a message") }
    switch answer.body["state"]?.string {
    case "delivered": return .delivered(at: Self.instant(answer.body["at"]) ?? Date())
    case "failed": return .failed(reason: answer.body["reason"]?.string, cause: Self.cause(answer.body))
    default: return nil
    }
  }

  /// What a provider says of why it failed, as far as it is one of our words.
  static func cause(_ item: JSON?) -> String? { item?["cause"]?.string.flatMap { ["recipient", "temporary"].contains($0) ? $0 : nil } }

  // Receiving

  func receive(after position: ChannelPosition?, passesOver: Bool) async throws -> ReceivedMessages {
    var marker = ""
    if case .marker(let known) = position { marker = known }
    let answer = try await request("GET", "/inbox?limit=100&after=\(marker.percentEncoded)")
    guard answer.status == 200, let items = answer.body["messages"]?.array else {
      throw Unavailable(description: "the provider answered \(answer.status) about its inbox")
    }
    let messages = items.compactMap { Self.message($0) }
    guard messages.count == items.count else { throw Unavailable(description: "the provider's inbox holds a message without id, sender or marker") }
    return ReceivedMessages(
      messages: messages, position: messages.last?.position ?? .marker(marker), isLast: answer.body["more"] != .bool(true) || messages.isEmpty)
  }

  /// A message as a provider gives it, in its inbox or as an event; nil when it lacks what it needs.
  static func message(_ item: JSON) -> ReceivedMessage? {
    func text(_ name: String) -> String? { item[name]?.string?.withoutNUL }
    guard let id = text("id"), !id.isEmpty, id.utf8.count <= 900, let sender = text("from"), !sender.isEmpty else { return nil }
    let said = text("text") ?? ""
    let digest = SHA256.hash(data: Data("\(id)\n\(sender)\n\(said)".utf8)).hexadecimal
    return ReceivedMessage(
      externalID: id, digest: digest, size: said.utf8.count, inReplyTo: text("in_reply_to"), references: text("thread").map { [$0] } ?? [], sender: sender,
      senderName: text("name"), recipients: text("to").map { [$0] } ?? [], subject: nil, text: String(said.prefix(100_000)), html: nil,
      occurredAt: min(instant(item["at"]) ?? Date(), Date()), kind: "message", files: [], defects: [], reports: [],
      position: .marker(item["marker"]?.string ?? id))
  }

  static func instant(_ value: JSON?) -> Date? {
    value?.string.flatMap { Date(instant: $0) }
  }
}
