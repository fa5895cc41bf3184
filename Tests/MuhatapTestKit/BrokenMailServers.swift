import Foundation

/// Mail servers that fail in the ways real ones do; see Tests/clients/broken_mail_servers.py. They end with this object, or with the tests.
package final class BrokenMailServers: Sendable {
  private let ports: [String: Int]
  private let ready: URL

  /// The servers did not come up, or there is none of this name.
  package struct NotReady: Error {}

  package init() async throws {
    ready = FileManager.default.temporaryDirectory.appending(path: "muhatap-broken-mail-\(UUID().uuidString)")
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = [
      "python3", Command.repository.appending(path: "Tests/clients/broken_mail_servers.py").path, ready.path, "\(ProcessInfo.processInfo.processIdentifier)",
    ]
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = FileHandle.nullDevice
    try process.run()
    for _ in 0..<2_400 where !FileManager.default.fileExists(atPath: ready.path) { try await Task.sleep(for: .milliseconds(50)) }
    ports = try JSONDecoder().decode([String: Int].self, from: Data(contentsOf: ready))
  }

  deinit { try? FileManager.default.removeItem(at: ready) }

  /// - Parameter name: such as `smtp_hang_data`.
  package func port(_ name: String) throws -> Int {
    guard let port = ports[name] else { throw NotReady() }
    return port
  }
}
