import CRMCore
import Foundation
import PostgresClient

/// What each has of their own in a conversation: how far they have read, whether they follow it, whether they are there now.
extension BusinessOperation {
  private struct ReadMark: OperationInput {
    let unread: Bool
    init(_ fields: inout InputReader) { unread = fields.flag("unread", "Mark it as unread instead.") }
  }

  static let readConversation = BusinessOperation(
    "read_conversation", .post, "/v1/conversations/{id}/read", of: "conversations", access: .read(.customers), "Mark a conversation as read by you",
    input: ReadMark.self, answer: .empty
  ) { run, input in
    let conversation = try await LockedConversation.read(run)
    // Up to what this caller sees now: what is being taken in at the same time stays unread.
    let seen: SQL =
      "coalesce((SELECT c.last_arrived_at FROM crm.conversation AS c WHERE c.customer_id = \(conversation.customerID) AND c.id = \(conversation.id)), now())"
    try await run.keep(conversation, readAt: input.unread ? "NULL" : seen, follows: nil)
    return .empty
  }

  private struct Following: OperationInput {
    let follow: Bool
    init(_ fields: inout InputReader) { follow = fields.flag("follow", "false to follow it no longer.", default: true) }
  }

  static let followConversation = BusinessOperation(
    "follow_conversation", .post, "/v1/conversations/{id}/follow", of: "conversations", access: .read(.customers),
    "Be told of every message that comes in", input: Following.self, answer: .empty
  ) { run, input in
    let conversation = try await LockedConversation.read(run)
    try await run.keep(conversation, readAt: nil, follows: input.follow)
    return .empty
  }

  private enum Attendance: String, CaseIterable {
    case reading, answering, left
  }

  private struct Heartbeat: OperationInput {
    let activity: Attendance
    init(_ fields: inout InputReader) {
      activity = fields.option("activity", "What you are doing; left when you close it.", of: Attendance.self, placeholder: .reading)
    }
  }

  /// The collision warning: who else is reading or answering.
  static let attendConversation = BusinessOperation(
    "attend_conversation", .post, "/v1/conversations/{id}/attend", of: "conversations", access: .read(.customers),
    "Say that you are reading or answering a conversation, and see who else is",
    description: "Holds for 45 seconds; send it again every 30 while the conversation is open.", input: Heartbeat.self,
    answer: .json([
      "type": "object", "required": ["others"],
      "properties": [
        "others": [
          "type": "array",
          "items": [
            "type": "object", "required": ["user_id", "name", "activity", "since"],
            "properties": [
              "user_id": AnswerField.id, "name": AnswerField.text, "activity": ["type": "string", "enum": ["reading", "answering"]],
              "since": AnswerField.instant,
            ],
          ],
        ]
      ],
    ])
  ) { run, input in
    let conversation = try await LockedConversation.read(run)
    guard run.caller.userID != nil else { throw Problem.unauthenticated }
    let others = try await run.tx.result(
      """
      SELECT p.user_id, p.name, p.doing, p.since
        FROM crm.attend_conversation(\(conversation.id), \(input.activity == .left ? nil : input.activity.rawValue), now()) AS p
      """)
    return .json([
      "others": .array(
        try others.rows.map { other in
          [
            "user_id": .string(try other.decode(UUID.self, "user_id").lowercase), "name": .string(try other.decode("name")),
            "activity": .string(try other.decode("doing")), "since": .string(try other.decode(Date.self, "since").formatted(.iso8601)),
          ]
        })
    ])
  }

  private struct Draft: OperationInput {
    let subject: String?
    let text: String
    init(_ fields: inout InputReader) {
      subject = fields.optionalText("subject", "The subject, where the channel has one.", maximum: 900)
      text = fields.optionalText("text", "What it says so far.", maximum: 100_000) ?? ""
    }
  }

  static let saveDraft = BusinessOperation(
    "save_draft", .put, "/v1/conversations/{id}/draft", of: "conversations", access: .read(.customers), "Keep what you have begun to write",
    description: "One in each conversation, seen by you alone; an answer discards it.", input: Draft.self, answer: .empty
  ) { run, input in
    let conversation = try await LockedConversation.read(run)
    guard let user = run.caller.userID else { throw Problem.unauthenticated }
    try await run.tx.run(
      """
      INSERT INTO crm.draft (customer_id, conversation_id, user_id, subject, body_text)
      VALUES (\(conversation.customerID), \(conversation.id), \(user), \(input.subject), \(input.text))
      ON CONFLICT ON CONSTRAINT draft_user_id_once DO UPDATE SET subject = excluded.subject, body_text = excluded.body_text
      """)
    return .empty
  }

  static let discardDraft = BusinessOperation(
    "discard_draft", .delete, "/v1/conversations/{id}/draft", of: "conversations", access: .read(.customers), "Discard what you have begun to write",
    input: NoInput.self, answer: .empty
  ) { run, _ in
    let conversation = try await LockedConversation.read(run)
    let discarded = try await run.tx.run(
      "DELETE FROM crm.draft WHERE customer_id = \(conversation.customerID) AND conversation_id = \(conversation.id) AND user_id = \(run.caller.userID)")
    guard discarded == 1 else { throw Problem.notFound }
    return .empty
  }
}

extension BusinessOperation.Run {
  /// - Parameters:
  ///   - readAt: the new mark; nil leaves it.
  ///   - follows: nil leaves it.
  fileprivate func keep(_ conversation: LockedConversation, readAt: SQL?, follows: Bool?) async throws {
    guard let user = caller.userID else { throw Problem.unauthenticated }
    try await tx.run(
      """
      INSERT INTO crm.conversation_reader AS r (customer_id, conversation_id, user_id, read_at, follows)
      VALUES (\(conversation.customerID), \(conversation.id), \(user), \(readAt ?? "NULL"), coalesce(\(follows), false))
      ON CONFLICT ON CONSTRAINT conversation_reader_user_id_once DO UPDATE SET read_at = \(readAt ?? "r.read_at"), follows = coalesce(\(follows), r.follows)
      """)
  }
}
