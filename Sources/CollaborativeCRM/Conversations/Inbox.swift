import CRMCore
import Foundation
import PostgresClient

extension ReadOperation {
  private static let counts = ["mine", "mine_unread", "unassigned", "unassigned_unread", "following_unread", "waiting", "snoozed"]

  /// How much there is to do: of what the caller may see.
  static let inboxCounts = ReadOperation(
    "inbox_counts", "/v1/inbox/counts", tag: "conversations", access: .read(.customers), "How many conversations wait, and how many you have not read",
    description: """
      mine: open and yours to answer. unassigned: open and nobody's. waiting and snoozed: yours. A conversation is unread when a message that nobody answered \
      arrived after you last read it.
      """,
    input: NoInput.self, row: Dictionary(uniqueKeysWithValues: counts.map { ($0, AnswerField.count) }), reading: [.customers]
  ) { request, _ in
    """
    SELECT mine.mine, mine.mine_unread, waiting.unassigned, waiting.unread AS unassigned_unread, followed.following_unread, mine.waiting, mine.snoozed
      FROM (
        SELECT count(*) FILTER (WHERE a.state = 'open') AS mine, count(*) FILTER (WHERE a.state = 'open' AND \(isUnread)) AS mine_unread,
               count(*) FILTER (WHERE a.state = 'waiting') AS waiting, count(*) FILTER (WHERE a.state = 'snoozed') AS snoozed
          FROM crm.conversation AS a
          LEFT JOIN crm.conversation_reader AS r ON r.customer_id = a.customer_id AND r.conversation_id = a.id AND r.user_id = \(request.caller.userID)
         WHERE a.assignee_id = \(request.caller.userID) AND a.state IN ('open', 'waiting', 'snoozed')
      ) AS mine
      CROSS JOIN crm.count_unassigned() AS waiting
      CROSS JOIN (
        SELECT count(*) AS following_unread FROM crm.conversation_reader AS r JOIN crm.conversation AS a ON a.customer_id = r.customer_id AND a.id = r.conversation_id
         WHERE r.user_id = \(request.caller.userID) AND r.follows AND \(isUnread)
      ) AS followed
    """
  }

  /// Whether a conversation `a` has a message that nobody answered and that the reader `r` has not read.
  private static let isUnread: SQL =
    "coalesce(a.last_direction = 'in' AND coalesce(a.last_arrived_at, a.last_interaction_at) > coalesce(r.read_at, '-infinity'), false)"

  /// The conversations that are a user's to answer, nobody's, or followed by them, each once; each part comes from an index of its own.
  private static func concerning(_ user: UUID?) -> SQL {
    let columns: SQL = "a.id, a.customer_id, a.subject, a.state, a.assignee_id, a.last_interaction_at, a.last_direction, a.last_arrived_at"
    return """
      SELECT c.id, c.customer_id, c.subject, c.state, c.assignee_id, c.last_interaction_at, coalesce(r.follows, false) AS follows,
             coalesce(c.last_direction = 'in' AND coalesce(c.last_arrived_at, c.last_interaction_at) > coalesce(r.read_at, '-infinity'), false) AS is_unread
        FROM (
          SELECT \(columns) FROM crm.conversation AS a WHERE a.assignee_id = \(user) AND a.state IN ('open', 'waiting', 'snoozed')
          UNION ALL
          SELECT \(columns) FROM crm.conversation AS a WHERE a.assignee_id IS NULL AND a.state = 'open'
          UNION ALL
          SELECT \(columns) FROM crm.conversation_reader AS f JOIN crm.conversation AS a ON a.customer_id = f.customer_id AND a.id = f.conversation_id
           WHERE f.user_id = \(user) AND f.follows AND NOT (coalesce(a.assignee_id = \(user), false) AND a.state <> 'done')
             AND NOT (a.assignee_id IS NULL AND a.state = 'open')
        ) AS c
        LEFT JOIN crm.conversation_reader AS r ON r.customer_id = c.customer_id AND r.conversation_id = c.id AND r.user_id = \(user)
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
    SELECT w.id, w.customer_id, w.subject, w.state, w.assignee_id, w.last_interaction_at, w.follows
      FROM (\(concerning(request.caller.userID))) AS w WHERE w.is_unread
     ORDER BY w.last_interaction_at DESC, w.id DESC LIMIT 500
    """
  }
}
