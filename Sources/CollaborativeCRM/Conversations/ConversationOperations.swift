import CRMCore
import Foundation
import PostgresClient

extension BusinessOperation {
  private struct Assignment: OperationInput {
    let userID: UUID?
    let teamID: UUID?
    init(_ fields: inout InputReader) {
      userID = fields.optionalID("user_id", "The colleague who is to answer; nobody if left out.")
      teamID = fields.optionalID("team_id", "The team that is to answer; as it was if left out.")
    }
  }

  /// Says who is to answer. Whoever is named is told.
  static let assignConversation = BusinessOperation(
    "assign_conversation", .post, "/v1/conversations/{id}/assign", of: "conversations", access: .write(.customers),
    "Say who is to answer a conversation",
    description: "Whoever is named must be able to read it, and is told of it. Without user_id it is given back to the team.",
    input: Assignment.self, answer: .record("conversations")
  ) { run, input in
    let conversation = try await LockedConversation.locked(run)
    try await run.tx.run(
      """
      UPDATE crm.conversation SET team_id = coalesce(\(input.teamID), team_id),
        assignee_id = CASE WHEN \(input.userID)::uuid IS NOT NULL THEN
          coalesce((SELECT u.id FROM crm.app_user AS u WHERE u.id = \(input.userID) AND u.active), crm.missing_reference('user_id')) END
       WHERE customer_id = \(conversation.customerID) AND id = \(conversation.id)
      """)
    if let user = input.userID {
      guard try await run.tx.value(Bool.self, "SELECT crm.is_seen_by(\(user), 'conversations', \(conversation.id))") else {
        throw Problem.invalid([
          .init(
            "/user_id", code: "reference",
            Phrase("This colleague may not read this conversation; share it with them first.", tr: "Bu kişi bu görüşmeyi okuyamaz; önce onunla paylaşın."))
        ])
      }
      try await run.tx.run(
        """
        SELECT crm.notify(\(user), 'assigned', 'conversations', \(conversation.id), \("Yours to answer: " + conversation.title),
          \("Yanıtlamanız bekleniyor: " + conversation.title))
        """)
    }
    return .record(conversation.id)
  }

  private struct Snooze: OperationInput {
    let until: Date
    init(_ fields: inout InputReader) {
      until = fields.instant("until", "When it comes back by itself.")
      if until <= Date() || until > Date().addingTimeInterval(366 * 86_400) {
        fields.refuse("until", code: "range", Phrase("Give a time within the next year.", tr: "Önümüzdeki bir yıl içinde bir zaman verin."))
      }
    }
  }

  /// Puts a conversation away until a time; a message that comes in brings it back at once.
  static let snoozeConversation = BusinessOperation(
    "snooze_conversation", .post, "/v1/conversations/{id}/snooze", of: "conversations", access: .write(.customers), "Put a conversation away until a time",
    description: "It comes back by itself then, and at once when the customer writes. Whoever is to answer is told.",
    input: Snooze.self, answer: .record("conversations")
  ) { run, input in
    let conversation = try await LockedConversation.locked(run)
    guard conversation.state != .done else {
      throw Problem(409, "conversation-done", Phrase("This conversation is done. Reopen it first.", tr: "Bu görüşme tamamlanmış. Önce yeniden açın."))
    }
    return try await run.move(conversation, to: .snoozed, until: input.until)
  }

  /// Nothing is left to do.
  static let closeConversation = BusinessOperation(
    "close_conversation", .post, "/v1/conversations/{id}/close", of: "conversations", access: .write(.customers), "Say that a conversation is done",
    description: "A message that comes in opens it again.", input: NoInput.self, answer: .record("conversations")
  ) { run, _ in
    try await run.move(try await LockedConversation.locked(run), to: .done)
  }

  static let reopenConversation = BusinessOperation(
    "reopen_conversation", .post, "/v1/conversations/{id}/reopen", of: "conversations", access: .write(.customers),
    "Take a conversation up again that was done, waiting or put away", input: NoInput.self, answer: .record("conversations")
  ) { run, _ in
    try await run.move(try await LockedConversation.locked(run), to: .open)
  }
}

extension BusinessOperation.Run {
  fileprivate func move(_ conversation: LockedConversation, to state: LockedConversation.State, until: Date? = nil) async throws -> BusinessOperation.Outcome {
    try await tx.run(
      """
      UPDATE crm.conversation SET state = \(state.rawValue), snoozed_until = \(until)
       WHERE customer_id = \(conversation.customerID) AND id = \(conversation.id)
      """)
    return .record(conversation.id)
  }
}

/// Conversations that were put away come back when their time has come.
extension JobHandler {
  static let wakeConversations = JobHandler("conversations.wake") { lease in
    try await lease.complete(as: .system("wake conversations"), deadline: .after(.seconds(60))) { tx in
      try await tx.run("SELECT crm.wake_conversations(now())")
      try await tx.run("DELETE FROM crm.conversation_presence WHERE until < now() - interval '1 hour'")
    }
  }
}

extension Schedule {
  static let wakeConversations = Schedule("snoozed conversations", kind: "conversations.wake", .every(.seconds(60)))
}
