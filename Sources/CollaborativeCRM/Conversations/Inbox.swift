import CRMCore
import Foundation
import PostgresClient

extension ReadOperation {
  private static let counts = ["mine", "mine_unread", "unassigned", "unassigned_unread", "following_unread", "waiting", "snoozed"]

  /// How much there is to do: of what the caller may see.
  static let inboxCounts = ReadOperation(
    "inbox_counts", "/v1/inbox/counts", tag: "conversations", access: .read(.customers), "How many conversations wait, and how many you have not read",
    description: """
      mine: open and yours to answer. unassigned: open and nobody's. waiting and snoozed: yours. A conversation is unread when its latest message came in \
      after you last read it.
      """,
    input: NoInput.self, row: Dictionary(uniqueKeysWithValues: counts.map { ($0, AnswerField.count) }), reading: [.customers]
  ) { request, _ in
    """
    SELECT count(*) FILTER (WHERE c.state = 'open' AND c.assignee_id = me.id) AS mine,
           count(*) FILTER (WHERE c.state = 'open' AND c.assignee_id = me.id AND c.last_direction = 'in' AND c.last_interaction_at > coalesce(r.read_at, '-infinity')) AS mine_unread,
           count(*) FILTER (WHERE c.state = 'open' AND c.assignee_id IS NULL) AS unassigned,
           count(*) FILTER (WHERE c.state = 'open' AND c.assignee_id IS NULL AND c.last_direction = 'in' AND c.last_interaction_at > coalesce(r.read_at, '-infinity')) AS unassigned_unread,
           count(*) FILTER (WHERE r.follows AND c.last_direction = 'in' AND c.last_interaction_at > coalesce(r.read_at, '-infinity')) AS following_unread,
           count(*) FILTER (WHERE c.state = 'waiting' AND c.assignee_id = me.id) AS waiting,
           count(*) FILTER (WHERE c.state = 'snoozed' AND c.assignee_id = me.id) AS snoozed
      FROM (SELECT \(request.caller.userID)::uuid AS id) AS me
      JOIN crm.conversation AS c ON c.assignee_id = me.id AND c.state <> 'done' OR c.assignee_id IS NULL AND c.state = 'open'
        OR c.id IN (SELECT f.conversation_id FROM crm.conversation_reader AS f WHERE f.user_id = \(request.caller.userID) AND f.follows)
      LEFT JOIN crm.conversation_reader AS r ON r.customer_id = c.customer_id AND r.conversation_id = c.id AND r.user_id = me.id
    """
  }

  static let drafts = ReadOperation(
    "list_drafts", "/v1/drafts", tag: "conversations", access: .read(.customers), "What you have begun to write, latest first", input: NoInput.self,
    row: [
      "conversation_id": AnswerField.id, "customer_id": AnswerField.id, "subject": AnswerField.optional(AnswerField.text), "text": AnswerField.text,
      "updated_at": AnswerField.instant,
    ], reading: [.customers]
  ) { request, _ in
    """
    SELECT d.conversation_id, d.customer_id, d.subject, d.body_text AS text, d.updated_at
      FROM crm.draft AS d JOIN crm.conversation AS c ON c.customer_id = d.customer_id AND c.id = d.conversation_id
     WHERE d.user_id = \(request.caller.userID) ORDER BY d.updated_at DESC, d.id LIMIT 500
    """
  }

  /// What is unread among what the caller may see, so that a list can show it in bold.
  static let unreadConversations = ReadOperation(
    "unread_conversations", "/v1/inbox/unread", tag: "conversations", access: .read(.customers),
    "The conversations with messages that you have not read, latest first", description: "Those that are yours to answer, nobody's, or that you follow.",
    input: NoInput.self,
    row: [
      "id": AnswerField.id, "customer_id": AnswerField.id, "subject": AnswerField.optional(AnswerField.text), "state": AnswerField.text,
      "assignee_id": AnswerField.optional(AnswerField.id), "last_interaction_at": AnswerField.instant, "follows": AnswerField.flag,
    ], reading: [.customers]
  ) { request, _ in
    """
    SELECT c.id, c.customer_id, c.subject, c.state, c.assignee_id, c.last_interaction_at, coalesce(r.follows, false) AS follows
      FROM crm.conversation AS c
      LEFT JOIN crm.conversation_reader AS r ON r.customer_id = c.customer_id AND r.conversation_id = c.id AND r.user_id = \(request.caller.userID)
     WHERE (c.assignee_id = \(request.caller.userID) AND c.state <> 'done' OR c.assignee_id IS NULL AND c.state = 'open' OR r.follows)
       AND c.last_direction = 'in' AND c.last_interaction_at > coalesce(r.read_at, '-infinity')
     ORDER BY c.last_interaction_at DESC, c.id DESC LIMIT 500
    """
  }
}
