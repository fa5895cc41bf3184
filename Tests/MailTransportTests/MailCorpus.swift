import Foundation
import MuhatapTestKit

/// The corpus that Tests/clients/mail_corpus.py writes, in a folder that goes with it.
final class MailCorpus: Sendable {
  struct Entry: Decodable, Sendable {
    struct File: Decodable, Sendable, Hashable {
      let name: String
      let sha256: String
    }

    let file: String
    let kind: String
    let text: String?
    let subject: String?
    let expected: String?
    let attachments: [File]?
  }

  let folder: URL
  let entries: [Entry]

  init(count: Int) async throws {
    folder = FileManager.default.temporaryDirectory.appending(path: "muhatap-mails-\(UUID().uuidString)")
    try await Command("python3", ["Tests/clients/mail_corpus.py", folder.path, "\(count)"]).run()
    entries = try JSONDecoder().decode([Entry].self, from: Data(contentsOf: folder.appending(path: "manifest.json")))
  }

  deinit { try? FileManager.default.removeItem(at: folder) }

  func bytes(of entry: Entry) throws -> [UInt8] { Array(try Data(contentsOf: folder.appending(path: entry.file))) }
}
