import CRMCore
package import Foundation
package import PostgresClient

/// Takes one message in that came through an account: as an interaction in its conversation, once however often it comes.
package struct MessageIntake: Sendable {
  package let accountID: UUID

  package struct Taken: Sendable {
    package let customerID, conversationID, interactionID: UUID
    package let isNew: Bool
  }

  private struct Known: RowDecodable {
    let digest: String
    init(row: PostgresRow) throws { digest = try row.decode("digest") }
  }

  @discardableResult
  package func take(_ message: ReceivedMessage, _ files: [NewAttachment], _ tx: PostgresTransaction) async throws -> Taken {
    // Two different messages with one id are two messages, whoever made that mistake.
    var externalID = String(message.externalID.prefix(900))
    let known = try await tx.first(
      Known.self, "SELECT digest FROM crm.received_message WHERE channel_account_id = \(accountID) AND external_id = \(externalID)")
    let isAnother = if let known { known.digest != message.digest } else { try await isOfOurs(externalID, message.sender, tx) }
    if isAnother { externalID += "#\(message.digest.prefix(16))" }
    let row = try await tx.one(
      Row.self,
      """
      SELECT r.customer_id, r.conversation_id, r.interaction_id, r.is_new FROM crm.receive_interaction(\(accountID), \(externalID), \(message.inReplyTo),
        \(message.references), \(message.sender), \(message.senderName), \(message.recipients), \(message.subject), \(message.text), \(message.html),
        \(message.occurredAt), \(message.kind), \(message.replyTo)) AS r
      """)
    if row.isNew {
      try await tx.run(
        """
        INSERT INTO crm.received_message (channel_account_id, external_id, digest, size, interaction_id, defects)
        VALUES (\(accountID), \(externalID), \(message.digest), \(message.size), \(row.interactionID), \(message.defects))
        """)
      for file in files { _ = try await file.insert(customer: row.customerID, conversation: row.conversationID, interaction: row.interactionID, tx) }
    }
    for report in message.reports { try await take(report, tx) }
    return Taken(customerID: row.customerID, conversationID: row.conversationID, interactionID: row.interactionID, isNew: row.isNew)
  }

  /// Whether a message of ours went out under this id, and somebody else sends another one under it.
  private func isOfOurs(_ externalID: String, _ sender: String?, _ tx: PostgresTransaction) async throws -> Bool {
    try await tx.value(
      Bool.self,
      """
      SELECT EXISTS (
        SELECT FROM crm.interaction_key AS k JOIN crm.interaction AS i ON i.customer_id = k.customer_id AND i.id = k.interaction_id AND i.occurred_at = k.occurred_at
          JOIN crm.channel_account AS a ON a.id = k.channel_account_id
         WHERE k.channel_account_id = \(accountID) AND k.external_id = \(externalID) AND i.direction = 'out'
           AND crm.search_key(a.address) IS DISTINCT FROM crm.search_key(\(sender)))
      """)
  }

  /// Notes what is reported of a message of ours.
  package func take(_ report: DeliveryReportOfOurs, _ tx: PostgresTransaction) async throws {
    try await tx.run(
      """
      SELECT crm.report_delivery(\(accountID), \(report.eventID), \(report.messageID), \(report.providerID), \(report.outcome), \(report.reason), \(report.at),
        \(report.cause))
      """)
  }

  private struct Row: RowDecodable {
    let customerID, conversationID, interactionID: UUID
    let isNew: Bool

    init(row: PostgresRow) throws {
      customerID = try row.decode("customer_id")
      conversationID = try row.decode("conversation_id")
      interactionID = try row.decode("interaction_id")
      isNew = try row.decode("is_new")
    }
  }
}
