import CRMCore
import Foundation
import PostgresClient

extension Concept {
  /// What people are told: in a list of their own, and in a mail when they have not looked.
  static let notices = Concept(
    operations: [.readNotices], reads: [.notices, .noticeCount], jobs: [.noticeDigest], schedules: [.noticeDigest])
}

private struct NoticeFilter: OperationInput {
  let unread: Bool
  let before: UUID?
  let limit: Int
  init(_ fields: inout InputReader) {
    unread = fields.flag("unread", "Only what was not read yet.")
    before = fields.optionalID("before", "Only what is older than this notice: the last of the page before.")
    limit = fields.optionalInteger("limit", "The most notices to show; 50 if left out.", in: 1...200) ?? 50
  }
}

extension ReadOperation {
  static let notices = ReadOperation(
    "list_notices", "/v1/notices", tag: "notices", access: .signedIn, "What you were told, newest first", input: NoticeFilter.self,
    row: [
      "id": AnswerField.id, "kind": AnswerField.text, "resource": AnswerField.optional(AnswerField.text),
      "record_id": AnswerField.optional(AnswerField.id), "text": AnswerField.text, "actor_id": AnswerField.optional(AnswerField.id),
      "created_at": AnswerField.instant, "read_at": AnswerField.optional(AnswerField.instant),
    ], reading: []
  ) { request, filter in
    """
    SELECT n.id, n.kind, n.resource, n.record_id, \(request.language == .turkish ? "n.text_tr" : "n.text_en" as SQL) AS text, n.actor_id, n.created_at, n.read_at
      FROM crm.notice AS n
     WHERE n.user_id = \(request.caller.userID) AND (n.read_at IS NULL OR NOT \(filter.unread)) AND (n.id < \(filter.before) OR \(filter.before)::uuid IS NULL)
     ORDER BY n.id DESC LIMIT \(filter.limit)
    """
  }

  static let noticeCount = ReadOperation(
    "count_notices", "/v1/notices/count", tag: "notices", access: .signedIn, "How many notices you have not read", input: NoInput.self,
    row: ["unread": AnswerField.count], reading: []
  ) { request, _ in
    "SELECT count(*) AS unread FROM crm.notice AS n WHERE n.user_id = \(request.caller.userID) AND n.read_at IS NULL"
  }
}

extension BusinessOperation {
  private struct NoticesRead: OperationInput {
    let ids: [UUID]
    init(_ fields: inout InputReader) { ids = fields.ids("ids", "Which were read; all of them if left out.") }
  }

  static let readNotices = BusinessOperation(
    "read_notices", .post, "/v1/notices/read", of: "conversations", access: .signedIn, "Say that you have read your notices", input: NoticesRead.self,
    answer: .json(["type": "object", "required": ["read"], "properties": ["read": AnswerField.count]])
  ) { run, input in
    let read = try await run.tx.run(
      """
      UPDATE crm.notice SET read_at = now()
       WHERE user_id = \(run.caller.userID) AND read_at IS NULL AND (id = ANY (\(input.ids)::uuid[]) OR \(input.ids.isEmpty))
      """)
    return .json(["read": .number(Decimal(read))])
  }
}

/// What was not read for an hour is mailed, in one message to each.
extension JobHandler {
  static let noticeDigest = JobHandler("notices.digest") { lease in
    try await lease.complete(as: .system("notice digest"), deadline: .after(.seconds(120))) { tx in
      try await tx.run("SELECT crm.digest_notices(now())")
      try await tx.run("DELETE FROM crm.notice WHERE created_at < now() - interval '1 year'")
    }
  }
}

extension Schedule {
  static let noticeDigest = Schedule("digests of notices", kind: "notices.digest", .every(.seconds(3600)))
}
