import AsyncHTTPClient
package import CRMCore
import Foundation
import NIOCore
import NIOHTTP1

/// A provider of text messages with the habits of real ones; see Tests/clients/message_provider.py. It ends with this object, or with the tests.
package final class MessageProvider: Sendable {
  package let address: String
  private let ready: URL

  package static let key = "anahtar"
  package static let signingSecret = "gizli-imza"

  private init(address: String, ready: URL) {
    self.address = address
    self.ready = ready
  }

  package static func start() async throws -> MessageProvider {
    let ready = FileManager.default.temporaryDirectory.appending(path: "muhatap-provider-\(UUID().uuidString)")
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = [
      "python3", Command.repository.appending(path: "Tests/clients/message_provider.py").path, ready.path, "\(ProcessInfo.processInfo.processIdentifier)",
    ]
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = FileHandle.nullDevice
    try process.run()
    for _ in 0..<2_400 where !FileManager.default.fileExists(atPath: ready.path) { try await Task.sleep(for: .milliseconds(50)) }
    return MessageProvider(address: "http://127.0.0.1:\(try String(contentsOf: ready, encoding: .utf8))", ready: ready)
  }

  deinit { try? FileManager.default.removeItem(at: ready) }

  @discardableResult
  package func ask(_ method: String, _ path: String, _ body: JSON? = nil) async throws -> JSON {
    var request = HTTPClientRequest(url: address + path)
    request.method = .init(rawValue: method)
    if let body { request.body = .bytes(try body.encoded()) }
    let response = try await HTTPClient.shared.execute(request, timeout: .seconds(60))
    let bytes = try await response.body.collect(upTo: 16 << 20)
    return try JSONDecoder().decode(JSON.self, from: Data(bytes.readableBytesView))
  }
}
