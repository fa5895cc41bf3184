package import Foundation

/// The corpus that Tests/clients/mail_corpus.py writes, in a folder that goes with it.
package final class MailCorpus: Sendable {
  package struct Entry: Decodable, Sendable {
    package struct File: Decodable, Sendable, Hashable {
      package let name: String
      package let sha256: String

      package init(name: String, sha256: String) {
        self.name = name
        self.sha256 = sha256
      }
    }

    package let file: String
    package let kind: String
    package let text: String?
    package let subject: String?
    package let expected: String?
    package let attachments: [File]?
  }

  package let folder: URL
  package let entries: [Entry]

  package init(count: Int) async throws {
    folder = FileManager.default.temporaryDirectory.appending(path: "muhatap-mails-\(UUID().uuidString)")
    try await Command("python3", ["Tests/clients/mail_corpus.py", folder.path, "\(count)"]).run()
    entries = try JSONDecoder().decode([Entry].self, from: Data(contentsOf: folder.appending(path: "manifest.json")))
  }

  deinit { try? FileManager.default.removeItem(at: folder) }

  package func bytes(of entry: Entry) throws -> [UInt8] { Array(try Data(contentsOf: folder.appending(path: entry.file))) }
}
