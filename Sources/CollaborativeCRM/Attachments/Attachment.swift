package import CRMCore
package import Foundation
package import PostgresClient

extension Concept {
  /// Files that come and go with interactions.
  static let attachments = Concept(
    resources: [.attachments], operations: [.discardAttachment],
    endpoints: { database, model in
      [.uploadAttachment(to: .conversation, database, model), .uploadAttachment(to: .interaction, database, model), .downloadAttachment(database)]
    }, jobs: [.attachmentSweep], schedules: [.attachmentSweep])
}

extension Resource {
  /// A file. Its bytes are uploaded to a conversation or an interaction, and downloaded from /v1/attachments/{id}/content.
  package static let attachments = Resource(
    "attachments", singular: "attachment", table: "crm.attachment", area: .customers, expand: ["customer", "conversation"], search: ["name"])
}

/// A file that is being attached.
package struct NewAttachment: Sendable {
  package let name: String
  package let stored: FileFolder.Stored
  /// By what name a mail's HTML refers to it.
  package let contentID: String?

  package init(name: String, stored: FileFolder.Stored, contentID: String? = nil) {
    self.name = Self.safe(name)
    self.stored = stored
    self.contentID = contentID
  }

  /// A name without folders and control characters: what a stranger called a file is not trusted.
  static func safe(_ name: String) -> String {
    let last = name.split(whereSeparator: { $0 == "/" || $0 == "\\" }).last.map(String.init) ?? ""
    let clean = String(
      String.UnicodeScalarView(last.unicodeScalars.filter { $0.properties.generalCategory != .control && $0.properties.generalCategory != .format }))
    let short = clean.trimmingCharacters(in: .whitespaces)
    return short.isEmpty ? "file" : String(short.prefix(255))
  }

  /// Notes the file in the same transaction as what it belongs to.
  /// - Parameters:
  ///   - interaction: nil for a file that waits in its conversation to be sent.
  package func insert(customer: UUID, conversation: UUID?, interaction: UUID?, _ tx: PostgresTransaction) async throws -> UUID {
    let id = UUID.v7()
    try await tx.run(
      """
      INSERT INTO crm.attachment (customer_id, id, conversation_id, interaction_id, name, media_type, size, sha256, content_id)
      VALUES (\(customer), \(id), \(conversation), \(interaction), \(name), \(stored.mediaType), \(stored.size), \(stored.sha256), \(contentID))
      """)
    return id
  }
}

extension BusinessOperation {
  /// Takes back a file that was uploaded but not sent.
  static let discardAttachment = BusinessOperation(
    "discard_attachment", .delete, "/v1/attachments/{id}", of: "attachments", access: .write(.customers), "Take back a file that was not sent yet",
    input: NoInput.self, answer: .empty
  ) { run, _ in
    let id = try run.id()
    if try await run.tx.run("DELETE FROM crm.attachment WHERE id = \(id) AND interaction_id IS NULL") == 1 { return .empty }
    guard try await run.tx.result("SELECT 1 FROM crm.attachment AS a WHERE a.id = \(id) AND a.interaction_id IS NOT NULL").count == 1 else {
      throw Problem.notFound
    }
    throw Problem(409, "attachment-sent", Phrase("This file came or went with a message and stays.", tr: "Bu dosya bir mesajla geldi ya da gitti; silinmez."))
  }
}

/// Files that no row names any more are removed after a day: uploads that were never kept, and what was erased.
extension JobHandler {
  static let attachmentSweep = JobHandler("attachments.sweep") { lease in
    let database = lease.database
    _ = try await database.files.sweep(before: Date().addingTimeInterval(-86_400)) { names in
      let found = try await database.read(
        as: .system("sweep files"), areas: [.customers], lane: .jobs, deadline: .after(.seconds(60)),
        "SELECT DISTINCT a.sha256 FROM crm.attachment AS a WHERE a.sha256 = ANY (\(names))")
      return Set(try found.rows.map { try $0.decode(String.self, at: 0) })
    }
  }
}

extension Schedule {
  static let attachmentSweep = Schedule("files that nothing names", kind: "attachments.sweep", .every(.seconds(86_400)))
}
