import CRMCore
import Foundation
import PostgresClient

/// Files that came with a message.
struct ReceivedFiles {
  let database: Database

  /// Stores the bytes before the message is taken in; what is not named afterwards is swept away later.
  /// - Returns: what was stored, and the names of files that are larger than files may be.
  func store(_ files: [ReceivedFile]) async throws -> (stored: [NewAttachment], tooLarge: [String]) {
    var stored: [NewAttachment] = []
    var tooLarge: [String] = []
    for file in files {
      do {
        stored.append(NewAttachment(name: file.name, stored: try await database.files.store(file.bytes), contentID: file.contentID))
      } catch let problem as Problem where problem.status == 413 {
        tooLarge.append("\(file.name) (\(file.bytes.count) bytes)")
      }
    }
    return (stored, tooLarge)
  }
}

/// Files that go out with a message.
struct SentFiles {
  /// A row names a file that is not in the folder; the message does not leave without it.
  private struct MissingFile: Error, CustomStringConvertible {
    let name: String
    var description: String { "the file \(name) is not in the folder of files" }
  }

  let lease: JobLease

  private struct Row: RowDecodable {
    let name, mediaType, sha256: String

    init(row: PostgresRow) throws {
      name = try row.decode("name")
      mediaType = try row.decode("media_type")
      sha256 = try row.decode("sha256")
    }
  }

  func files(ofCustomer customer: UUID, interaction: UUID) async throws -> [MessageToSend.File] {
    let rows = try await lease.transaction(as: .system("send messages"), deadline: .after(.seconds(30))) { tx in
      try await tx.all(
        Row.self,
        "SELECT a.name, a.media_type, a.sha256 FROM crm.attachment AS a WHERE a.customer_id = \(customer) AND a.interaction_id = \(interaction) ORDER BY a.id")
    }
    var files: [MessageToSend.File] = []
    for row in rows {
      guard let bytes = try await lease.database.files.bytes(row.sha256) else { throw MissingFile(name: row.name) }
      files.append(.init(name: row.name, mediaType: row.mediaType, bytes: bytes))
    }
    return files
  }
}
