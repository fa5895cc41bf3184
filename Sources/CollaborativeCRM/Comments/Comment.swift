import CRMCore
import Foundation
import PostgresClient

extension Concept {
  /// What colleagues say about records.
  static let comments = Concept(operations: [.addComment, .removeComment], reads: [.comments])
}

/// Names one record of any resource in the parameters of a question.
struct RecordReference: OperationInput {
  let resource: String
  let record: UUID
  init(_ fields: inout InputReader) {
    resource = fields.text("resource", "The record's resource, such as opportunities.", maximum: 63)
    record = fields.id("record_id", "The record.")
  }

  /// Finds nothing where the caller sees nothing.
  static func presence(_ request: Request) throws -> SQL {
    let query = request.query.filter { $0.name == "resource" || $0.name == "record_id" }
    let about = try InputReader.read(RecordReference.self, from: query)
    return "SELECT 1 FROM crm.seen_record(\(about.resource), \(about.record)) AS s WHERE s.area IS NOT NULL"
  }
}

private struct CommentPage: OperationInput {
  let about: RecordReference
  let before: UUID?
  let limit: Int
  init(_ fields: inout InputReader) {
    about = RecordReference(&fields)
    before = fields.optionalID("before", "Only what is older than this comment: the last of the page before.")
    limit = fields.optionalInteger("limit", "The most comments to show; 50 if left out.", in: 1...200) ?? 50
  }
}

private struct NewComment: OperationInput {
  let about: RecordReference
  let text: String
  let mentions: [UUID]
  init(_ fields: inout InputReader) {
    about = RecordReference(&fields)
    text = fields.text("text", "What to say.", maximum: 20_000)
    mentions = fields.ids("mentions", "Users named in it, who are told. They must be able to see the record.", maximum: 100)
  }
}

extension ReadOperation {
  static let comments = ReadOperation(
    "list_comments", "/v1/comments", tag: "comments", access: .signedIn, "What colleagues say about a record, newest first",
    description: "Seen by whoever sees the record, and by nobody else.", input: CommentPage.self,
    row: [
      "id": AnswerField.id, "author_id": AnswerField.id, "author": AnswerField.text, "text": AnswerField.text,
      "mentions": ["type": "array", "items": AnswerField.id], "created_at": AnswerField.instant,
    ], reading: Set(Area.allCases), mustExist: RecordReference.presence
  ) { _, page in
    """
    SELECT c.id, c.author_id, c.author, c.text, c.mentions, c.created_at
      FROM crm.comments_on(\(page.about.resource), \(page.about.record), \(page.before), \(page.limit)) AS c
    """
  }
}

extension BusinessOperation {
  static let addComment = BusinessOperation(
    "add_comment", .post, "/v1/comments", of: "conversations", access: .signedIn, "Say something about a record to whoever sees it",
    input: NewComment.self, answer: .json(["type": "object", "required": ["id"], "properties": ["id": AnswerField.id]], status: 201)
  ) { run, input in
    let id = try await run.tx.value(
      UUID.self, "SELECT crm.add_comment(\(input.about.resource), \(input.about.record), \(input.text), \(Array(Set(input.mentions)))::uuid[])")
    return .json(["id": .string(id.lowercase)])
  }

  static let removeComment = BusinessOperation(
    "remove_comment", .delete, "/v1/comments/{id}", of: "conversations", access: .signedIn, "Take back a comment of your own", input: NoInput.self,
    answer: .empty
  ) { run, _ in
    guard try await run.tx.value(Bool.self, "SELECT crm.remove_comment(\(try run.id()))") else { throw Problem.notFound }
    return .empty
  }
}
