import CRMCore
import Foundation
import PostgresClient

extension Concept {
  /// Opening one record to a person or a department.
  static let sharing = Concept(operations: [.shareRecord, .endShare], reads: [.shares, .sharedWithMe])
}

private enum ShareAccess: String, CaseIterable {
  case read, write
}

private struct NewShare: OperationInput {
  let about: RecordReference
  let userID: UUID?
  let departmentID: UUID?
  let access: ShareAccess
  let reason: String
  let endsAt: Date?
  init(_ fields: inout InputReader) {
    about = RecordReference(&fields)
    userID = fields.optionalID("user_id", "The person it is opened to.")
    departmentID = fields.optionalID("department_id", "The department it is opened to, with those below it.")
    access = fields.optionalOption("access", "read, or write (which includes reading); read if left out.", of: ShareAccess.self) ?? .read
    reason = fields.text("reason", "Why it is shared.", maximum: 500)
    endsAt = fields.optionalInstant("ends_at", "Until when; without an end if left out.")
    if (userID == nil) == (departmentID == nil) {
      fields.refuse("user_id", code: "required", Phrase("Give a user or a department.", tr: "Bir kullanıcı ya da bir departman verin."))
    }
  }
}

private let shareRow: [String: JSON] = [
  "id": AnswerField.id, "access": ["type": "string", "enum": ["read", "write"]], "reason": AnswerField.text,
  "ends_at": AnswerField.optional(AnswerField.instant), "created_at": AnswerField.instant, "created_by": AnswerField.optional(AnswerField.id),
]

extension ReadOperation {
  static let shares = ReadOperation(
    "list_shares", "/v1/shares", tag: "shares", access: .signedIn, "With whom a record is shared", input: RecordReference.self,
    row: shareRow.merging([
      "user_id": AnswerField.optional(AnswerField.id), "department_id": AnswerField.optional(AnswerField.id), "shared_with": AnswerField.text,
    ]) { $1 }, reading: Set(Area.allCases), mustExist: RecordReference.presence
  ) { _, about in
    """
    SELECT s.id, s.user_id, s.department_id, s.shared_with, s.access, s.reason, s.ends_at, s.created_at, s.created_by
      FROM crm.shares_of(\(about.resource), \(about.record)) AS s
    """
  }

  static let sharedWithMe = ReadOperation(
    "shared_with_me", "/v1/shared_with_me", tag: "shares", access: .signedIn, "What is shared with you or your department, latest first",
    input: NoInput.self, row: shareRow.merging(["resource": AnswerField.text, "record_id": AnswerField.id]) { $1 }, reading: Set(Area.allCases)
  ) { _, _ in
    "SELECT s.id, s.resource, s.record_id, s.access, s.reason, s.ends_at, s.created_at, s.created_by FROM crm.shared_with_me() AS s"
  }
}

extension BusinessOperation {
  static let shareRecord = BusinessOperation(
    "share_record", .post, "/v1/shares", of: "conversations", access: .signedIn, "Open one record to a person or a department",
    description: """
      For who may change the record. It is opened with what it has of its own at the time: a customer's contacts, an order's lines, a conversation's \
      interactions. Whoever reads nothing in the record's area still sees nothing. Writing changes what the record says, not whose it is.
      """,
    input: NewShare.self, answer: .json(["type": "object", "required": ["id"], "properties": ["id": AnswerField.id]], status: 201)
  ) { run, input in
    let id = try await run.tx.value(
      UUID.self,
      """
      SELECT crm.share_record(\(input.about.resource), \(input.about.record), \(input.userID), \(input.departmentID), \(input.access.rawValue), \(input.reason),
        \(input.endsAt))
      """)
    return .json(["id": .string(id.lowercase)])
  }

  static let endShare = BusinessOperation(
    "end_share", .delete, "/v1/shares/{id}", of: "conversations", access: .signedIn, "End a share",
    description: "For who may change the record, and for the person it is for.", input: NoInput.self, answer: .empty
  ) { run, _ in
    guard try await run.tx.value(Bool.self, "SELECT crm.end_share(\(try run.id()))") else { throw Problem.notFound }
    return .empty
  }
}
