import CRMCore
import Foundation
import PostgresClient

private struct Calling: OperationInput {
  let number: String

  init(_ fields: inout InputReader) { number = fields.text("number", "The number that calls, such as +905321234567 or 0532 123 45 67.", maximum: 40) }
}

/// Who calls: the customers and contacts whose number it is, with what is open with them.
enum ScreenPop {
  static let row: [String: JSON] = [
    "customer_id": AnswerField.id, "customer_name": AnswerField.text, "contact_id": AnswerField.optional(AnswerField.id),
    "contact_name": AnswerField.optional(AnswerField.text), "is_provisional": AnswerField.flag, "open_conversations": AnswerField.count,
    "conversation_id": AnswerField.optional(AnswerField.id), "open_tickets": AnswerField.count, "ticket_id": AnswerField.optional(AnswerField.id),
  ]

  /// As far as the caller may see. Several when a number is several people's: they are never taken for each other.
  static func statement(_ number: String) -> SQL {
    """
    SELECT c.id AS customer_id, c.name AS customer_name, k.id AS contact_id, k.name AS contact_name, c.provisional AS is_provisional,
           conversations.open AS open_conversations, conversations.latest AS conversation_id, tickets.open AS open_tickets, tickets.latest AS ticket_id
      FROM (SELECT DISTINCT p.customer_id, p.contact_id FROM crm.contact_point AS p
             WHERE p.kind IN ('phone', 'whatsapp') AND p.value_key = crm.search_key(coalesce(crm.e164(\(number)), \(number)))) AS found
      JOIN crm.customer AS c ON c.id = found.customer_id
      LEFT JOIN crm.contact AS k ON k.customer_id = found.customer_id AND k.id = found.contact_id
      CROSS JOIN LATERAL (SELECT count(*) AS open, (array_agg(v.id ORDER BY v.last_interaction_at DESC NULLS LAST, v.id DESC))[1] AS latest
        FROM crm.conversation AS v WHERE v.customer_id = c.id AND v.state <> 'done') AS conversations
      CROSS JOIN LATERAL (SELECT count(*) AS open, (array_agg(t.id ORDER BY t.created_at DESC, t.id DESC))[1] AS latest
        FROM crm.ticket AS t WHERE t.customer_id = c.id AND t.status NOT IN ('resolved', 'closed')) AS tickets
     ORDER BY c.provisional, tickets.open + conversations.open DESC, c.id, k.id LIMIT 20
    """
  }
}

extension ReadOperation {
  /// Who calls, as whoever asks may see it.
  static let screenPop = ReadOperation(
    "screen_pop", "/v1/screen_pop", tag: "interactions", access: .read(.customers),
    "Who is calling: customers, contacts, open conversations and tickets of a number",
    input: Calling.self, row: ScreenPop.row, reading: [.customers, .service]
  ) { _, input in ScreenPop.statement(input.number) }
}
