package import CRMCore
import Foundation
import PostgresClient

extension Concept {
  /// Threads with customers, and the inbox in which people work through them.
  static let conversations = Concept(
    resources: [.conversations, .inboxViews, .internalNotes],
    operations: [
      .assignConversation, .snoozeConversation, .closeConversation, .reopenConversation, .replyToConversation, .noteOnConversation, .attendConversation,
      .readConversation, .followConversation, .saveDraft, .discardDraft,
    ],
    reads: [.inboxCounts, .drafts, .unreadConversations], jobs: [.wakeConversations], schedules: [.wakeConversations])
}

extension Resource {
  /// A thread with a customer on one channel. State and assignee are moved by operations and by what arrives.
  package static let conversations = Resource(
    "conversations", singular: "conversation", table: "crm.conversation", area: .customers,
    create: ["customer_id", "contact_id", "channel", "channel_account_id", "subject", "priority", "tags", "department_id", "owner_id", "visibility"],
    change: ["contact_id", "subject", "priority", "tags", "team_id", "department_id", "owner_id", "visibility"],
    expand: [
      "customer", "contact", "assignee", "owner", "channel_account", .many("interactions", of: "interactions", by: "conversation_id"),
      .many("internal_notes", of: "internal_notes", by: "conversation_id"),
    ],
    search: ["subject", "customer.name"], order: "-last_interaction_at")

  /// A way of looking at the inbox that a department shares.
  package static let inboxViews = Resource(
    "inbox_views", singular: "inbox_view", table: "crm.inbox_view", area: .customers,
    create: ["name", "query", "position", "department_id", "owner_id", "visibility"],
    change: ["name", "query", "position", "department_id", "owner_id", "visibility"], deletable: true, search: ["name"], order: "position")

  /// What colleagues of the service note among themselves. Written by operations.
  package static let internalNotes = Resource(
    "internal_notes", singular: "internal_note", table: "crm.internal_note", area: .service, expand: ["customer", "conversation", "author"])
}

/// A conversation whose state is judged: nobody else changes it until the transaction ends.
struct LockedConversation: RowDecodable {
  enum State: String, PostgresDecodable, Sendable {
    case open, waiting, snoozed, done
  }

  let id: UUID
  let customerID: UUID
  let contactID: UUID?
  let channel: String
  let accountID: UUID?
  let subject: String?
  let state: State

  init(row: PostgresRow) throws {
    id = try row.decode(UUID.self, "id")
    customerID = try row.decode(UUID.self, "customer_id")
    contactID = try row.decode(UUID?.self, "contact_id")
    channel = try row.decode(String.self, "channel")
    accountID = try row.decode(UUID?.self, "channel_account_id")
    subject = try row.decode(String?.self, "subject")
    state = try row.decode(State.self, "state")
  }

  /// What the conversation is called in notices.
  var title: String { subject ?? "–" }

  private static let columns: SQL = "c.id, c.customer_id, c.contact_id, c.channel, c.channel_account_id, c.subject, c.state"

  /// - Throws: 404 if the caller may not read the conversation, 403 if they may not change it.
  static func locked(_ run: BusinessOperation.Run) async throws -> LockedConversation {
    let id = try run.id()
    guard let conversation = try await run.tx.first(LockedConversation.self, "SELECT \(columns) FROM crm.conversation AS c WHERE c.id = \(id) FOR UPDATE")
    else {
      _ = try await read(run)
      throw Problem.forbidden(
        Phrase(
          "You may see this conversation but not change it. Whoever may can share it with you for writing.",
          tr: "Bu görüşmeyi görebilirsiniz ama değiştiremezsiniz. Değiştirebilen biri sizinle yazma yetkisiyle paylaşabilir."))
    }
    return conversation
  }

  /// The conversation as it stands, for what only needs to see it.
  static func read(_ run: BusinessOperation.Run) async throws -> LockedConversation {
    let id = try run.id()
    guard let conversation = try await run.tx.first(LockedConversation.self, "SELECT \(columns) FROM crm.conversation AS c WHERE c.id = \(id)") else {
      throw Problem.notFound
    }
    return conversation
  }
}
