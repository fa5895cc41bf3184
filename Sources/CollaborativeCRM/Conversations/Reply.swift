import CRMCore
import Foundation
import PostgresClient

private struct Reply: OperationInput {
  let text: String
  let subject: String?
  let address: String?
  let accountID: UUID?
  let attachmentIDs: [UUID]
  let close: Bool
  let notBefore: Date?

  init(_ fields: inout InputReader) {
    text = fields.text("text", "What to write.", maximum: 100_000)
    subject = fields.optionalText("subject", "The subject; that of the conversation if left out.", maximum: 900)
    address = fields.optionalText(
      "address", "Where it goes; where the last message asks to be answered (Reply-To), else where it came from, if left out.", maximum: 320)
    accountID = fields.optionalID("channel_account_id", "The account it goes out from; that of the conversation if left out.")
    attachmentIDs = fields.ids("attachment_ids", "Files uploaded to this conversation that go with it.", maximum: 50)
    close = fields.flag("close", "Whether the conversation is done with it.")
    notBefore = fields.optionalInstant("not_before", "Not to be sent before this instant.")
  }
}

/// Where an answer goes and where it comes from.
private struct ReplyRoute: RowDecodable {
  let address: String
  let accountID: UUID
  let sender: String?
  let brandID: UUID?
  let contactID: UUID?
  let inReplyTo: String?
  let references: [String]

  init(row: PostgresRow) throws {
    address = try row.decode(String.self, "address")
    accountID = try row.decode(UUID.self, "account_id")
    sender = try row.decode(String?.self, "sender")
    brandID = try row.decode(UUID?.self, "brand_id")
    contactID = try row.decode(UUID?.self, "contact_id")
    inReplyTo = try row.decode(String?.self, "in_reply_to")
    references = try row.decode([String].self, "references")
  }

  /// A form is answered by mail; what is only spoken or shown is not answered in writing.
  static func channel(answering channel: String) throws(Problem) -> String {
    switch channel {
    case "email", "sms", "social", "chat", "letter": return channel
    case "form": return "email"
    default:
      throw Problem(
        409, "cannot-answer", Phrase("A conversation by \(channel) is not answered in writing.", tr: "\(channel) kanalındaki görüşme yazıyla yanıtlanmaz."))
    }
  }

  /// Where the last message is to be answered, else the contact point to use first; the account of the conversation, else one of its department's.
  static func statement(_ conversation: LockedConversation, channel: String, _ reply: Reply) -> SQL {
    """
    SELECT coalesce(\(reply.address), last.address, point.value) AS address, a.id AS account_id, a.address AS sender, a.brand_id,
           coalesce(last.contact_id, c.contact_id) AS contact_id, last.external_id AS in_reply_to, coalesce(thread.ids, '{}') AS references
      FROM crm.conversation AS c
      LEFT JOIN LATERAL (SELECT crm.answer_address(i.sender, i.reply_to) AS address, i.contact_id, i.external_id FROM crm.interaction AS i
        WHERE i.customer_id = c.customer_id AND i.conversation_id = c.id AND i.direction = 'in' AND i.kind NOT IN ('auto_reply', 'bounce')
          AND (i.channel = \(channel) OR i.channel = 'form') ORDER BY i.occurred_at DESC, i.id DESC LIMIT 1) AS last ON true
      LEFT JOIN LATERAL (SELECT array_agg(r.external_id ORDER BY r.occurred_at, r.id) AS ids FROM (
        SELECT i.external_id, i.occurred_at, i.id FROM crm.interaction AS i
        WHERE i.customer_id = c.customer_id AND i.conversation_id = c.id AND i.external_id IS NOT NULL ORDER BY i.occurred_at DESC, i.id DESC LIMIT 20) AS r
      ) AS thread ON true
      LEFT JOIN LATERAL (SELECT p.value FROM crm.contact_point AS p
        WHERE p.customer_id = c.customer_id AND (p.contact_id = c.contact_id OR p.contact_id IS NULL OR c.contact_id IS NULL)
          AND p.kind = CASE \(channel) WHEN 'sms' THEN 'phone' WHEN 'social' THEN 'social' WHEN 'email' THEN 'email' END
        ORDER BY p.contact_id = c.contact_id DESC NULLS LAST, p.is_primary DESC, p.id LIMIT 1) AS point ON true
      JOIN LATERAL (SELECT x.id, x.address, x.brand_id FROM crm.channel_account AS x
        WHERE x.is_active AND x.channel = \(channel) AND (x.id = \(reply.accountID) OR \(reply.accountID)::uuid IS NULL
          AND (x.id = c.channel_account_id OR x.department_id = c.department_id))
        ORDER BY x.id = c.channel_account_id DESC NULLS LAST, x.id LIMIT 1) AS a ON true
     WHERE c.customer_id = \(conversation.customerID) AND c.id = \(conversation.id) AND coalesce(\(reply.address), last.address, point.value) IS NOT NULL
    """
  }
}

extension BusinessOperation {
  /// Answers in the thread: stores the interaction and hands the message to whatever sends on this channel.
  static let replyToConversation = BusinessOperation(
    "reply_to_conversation", .post, "/v1/conversations/{id}/reply", of: "conversations", access: .write(.customers), "Answer in a conversation",
    description: """
      The message is queued and sent by the account's channel, in the same thread; its status is then that of the interaction. A message that the gate does \
      not let through, such as one to a suppressed address, is refused: then state is refused, the reason is given, and nothing is sent. In a conversation of \
      the customer portal the answer stands at once: state is sent, and there is no message. Whom the conversation is shared with for writing answers in it as \
      long as the share lasts.
      """,
    input: Reply.self,
    answer: .json([
      "type": "object", "required": ["state", "interaction_id", "message_id", "reason"],
      "properties": [
        "state": ["type": "string", "enum": ["queued", "sent", "refused"]], "interaction_id": AnswerField.optional(AnswerField.id),
        "message_id": AnswerField.optional(AnswerField.id), "reason": AnswerField.optional(AnswerField.text),
      ],
    ])
  ) { run, input in
    let conversation = try await LockedConversation.locked(run)
    if conversation.channel == "web" { return try await run.answerInPortal(conversation, input) }
    let channel = try ReplyRoute.channel(answering: conversation.channel)
    guard let route = try await run.tx.first(ReplyRoute.self, ReplyRoute.statement(conversation, channel: channel, input)) else {
      throw Problem(
        409, "no-way-to-answer",
        Phrase(
          "There is no address to answer to, or no active account to answer from.", tr: "Yanıtlanacak bir adres ya da yanıtı gönderecek etkin bir hesap yok."))
    }
    let message = UUID.v7()
    let interaction = UUID.v7()
    let subject = input.subject ?? conversation.subject.map { Reply.answering($0) }
    let headers: JSON = route.references.isEmpty ? [:] : ["References": .string(route.references.joined(separator: " "))]
    let stored = try await run.tx.run(
      """
      INSERT INTO crm.outbound_message (customer_id, id, contact_id, conversation_id, interaction_id, channel, channel_account_id, brand_id, address, legal_class,
        subject, body_text, headers, in_reply_to, not_before, department_id, owner_id, visibility)
      SELECT c.customer_id, \(message), \(route.contactID), c.id, \(interaction), \(channel), \(route.accountID), \(route.brandID), \(route.address), 'transactional',
        \(subject), \(input.text), \(JSONText(String(decoding: try headers.encoded(), as: UTF8.self)))::jsonb, \(route.inReplyTo), coalesce(\(input.notBefore), now()), c.department_id,
        coalesce(c.owner_id, CASE WHEN c.visibility = 'private' AND (\(run.caller.userID)::uuid = ANY (c.participants) OR c.participants = '{}')
          THEN \(run.caller.userID)::uuid WHEN c.visibility = 'private' THEN c.participants[1] END), c.visibility
      FROM crm.conversation AS c WHERE c.customer_id = \(conversation.customerID) AND c.id = \(conversation.id)
      """)
    guard stored == 1 else {
      let reason = try await run.tx.value(
        String?.self, "SELECT (SELECT r.reason FROM crm.message_refusal AS r WHERE r.message_id = \(message) LIMIT 1) AS reason")
      return .json([
        "state": "refused", "interaction_id": .null, "message_id": .string(message.lowercase), "reason": reason.map(JSON.string) ?? .null,
      ])
    }
    try await run.tx.run(
      """
      INSERT INTO crm.interaction (customer_id, id, contact_id, conversation_id, channel, direction, channel_account_id, in_reply_to, sender, recipients, subject,
        body_text, participants, status, department_id)
      SELECT c.customer_id, \(interaction), \(route.contactID), c.id, \(channel), 'out', \(route.accountID), \(route.inReplyTo), \(route.sender),
        ARRAY[\(route.address)], \(subject), \(input.text), CASE WHEN \(run.caller.userID)::uuid IS NULL THEN '{}' ELSE ARRAY[\(run.caller.userID)::uuid] END,
        'queued', c.department_id
      FROM crm.conversation AS c WHERE c.customer_id = \(conversation.customerID) AND c.id = \(conversation.id)
      """)
    let attached = try await run.tx.run(
      """
      UPDATE crm.attachment SET interaction_id = \(interaction)
       WHERE customer_id = \(conversation.customerID) AND conversation_id = \(conversation.id) AND interaction_id IS NULL AND id = ANY (\(input.attachmentIDs))
      """)
    guard attached == Set(input.attachmentIDs).count else {
      throw Problem.invalid([
        .init(
          "/attachment_ids", code: "reference",
          Phrase("Name files that were uploaded to this conversation and not sent yet.", tr: "Bu görüşmeye yüklenmiş ve henüz gönderilmemiş dosyaları verin."))
      ])
    }
    try await run.settle(conversation, closing: input.close)
    return .json([
      "state": "queued", "interaction_id": .string(interaction.lowercase), "message_id": .string(message.lowercase), "reason": .null,
    ])
  }
}

extension BusinessOperation.Run {
  /// In the portal the customer reads the conversation itself: nothing is sent, and what is only for sending is refused rather than lost.
  fileprivate func answerInPortal(_ conversation: LockedConversation, _ reply: Reply) async throws -> BusinessOperation.Outcome {
    let idle = [
      ("subject", reply.subject != nil), ("address", reply.address != nil), ("channel_account_id", reply.accountID != nil),
      ("attachment_ids", !reply.attachmentIDs.isEmpty), ("not_before", reply.notBefore != nil),
    ]
    let errors = idle.filter { $0.1 }.map { name, _ in
      Problem.FieldError(
        "/\(name)", code: "not-in-portal",
        Phrase("In the customer portal an answer is text alone; leave this out.", tr: "Müşteri portalında yanıt yalnızca metindir; bunu vermeyin."))
    }
    if !errors.isEmpty { throw Problem.invalid(errors) }
    let said = try await tx.value(UUID.self, "SELECT crm.answer_in_portal(\(conversation.customerID), \(conversation.id), \(reply.text)) AS id")
    try await settle(conversation, closing: reply.close)
    return .json(["state": "sent", "interaction_id": .string(said.lowercase), "message_id": .null, "reason": .null])
  }

  /// Whoever answered has the conversation, if nobody had it, and needs no draft any more. A share ends: whom it is merely shared with does not take it over.
  fileprivate func settle(_ conversation: LockedConversation, closing: Bool) async throws {
    try await tx.run(
      """
      UPDATE crm.conversation
         SET assignee_id = coalesce(assignee_id, CASE WHEN crm.may_write('customers', department_id, owner_id) THEN \(caller.userID)::uuid END),
             state = CASE WHEN \(closing) THEN 'done' ELSE 'waiting' END, snoozed_until = NULL
       WHERE customer_id = \(conversation.customerID) AND id = \(conversation.id)
      """)
    try await tx.run(
      "DELETE FROM crm.draft WHERE customer_id = \(conversation.customerID) AND conversation_id = \(conversation.id) AND user_id = \(caller.userID)")
  }
}

extension Reply {
  /// The subject of an answer: "Re:" once, however the mail programs on the way spell it.
  static func answering(_ subject: String) -> String {
    let known = ["re:", "ynt:", "yan:", "aw:", "sv:"]
    return known.contains { subject.lowercased().hasPrefix($0) } ? subject : "Re: " + String(subject.prefix(890))
  }
}
