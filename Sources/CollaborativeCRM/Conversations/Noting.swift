import CRMCore
import Foundation
import PostgresClient

private struct Note: OperationInput {
  let text: String
  let mentions: [UUID]
  init(_ fields: inout InputReader) {
    text = fields.text("text", "What colleagues should know; the customer never sees it.", maximum: 20_000)
    mentions = fields.ids("mentions", "Users named in it, who are told. They must be able to read it.", maximum: 100)
  }
}

extension BusinessOperation {
  /// Notes something among colleagues of the service.
  static let noteOnConversation = BusinessOperation(
    "note_on_conversation", .post, "/v1/conversations/{id}/notes", of: "internal_notes", access: .write(.service),
    "Note something about a conversation among colleagues",
    description: "For who sees it as the service does, takes part in it where it is private, or is shared it for writing.", input: Note.self,
    answer: .record("internal_notes", status: 201)
  ) { run, input in
    let conversation = try await LockedConversation.read(run)
    guard try await run.tx.value(Bool.self, "SELECT crm.may_note_on(\(conversation.customerID), \(conversation.id))") else {
      throw Problem.forbidden(
        Phrase(
          "You may see this conversation but note nothing about it. Whoever may change it can share it with you for writing.",
          tr: "Bu görüşmeyi görebilirsiniz ama hakkında not yazamazsınız. Değiştirebilen biri sizinle yazma yetkisiyle paylaşabilir."))
    }
    let id = UUID.v7()
    try await run.tx.run(
      """
      INSERT INTO crm.internal_note (customer_id, id, conversation_id, text, mentions)
      VALUES (\(conversation.customerID), \(id), \(conversation.id), \(input.text), \(input.mentions)::uuid[])
      """)
    try await Mention.tell(input.mentions, of: "internal_notes", id, about: conversation.title, run.tx)
    return .record(id)
  }
}
