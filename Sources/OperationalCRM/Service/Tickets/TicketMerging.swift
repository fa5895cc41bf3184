import CRMCore
import Foundation
import PostgresClient

private struct Merging: OperationInput {
  let intoID: UUID

  init(_ fields: inout InputReader) {
    intoID = fields.id("into_id", "The ticket of the same customer that stands for both from now on.")
  }
}

private struct Splitting: OperationInput {
  let subject: String
  let description: String?
  let type: TicketType?
  let priority: TicketPriority?

  init(_ fields: inout InputReader) {
    subject = fields.text("subject", "What the new ticket is about.", maximum: 300)
    description = fields.optionalText("description", "What the customer said or wants.", maximum: 100_000)
    type = fields.optionalOption("type", "Its type; that of this ticket when left out.", of: TicketType.self)
    priority = fields.optionalOption("priority", "Its priority; that of this ticket when left out.", of: TicketPriority.self)
  }
}

extension BusinessOperation {
  static let mergeTicket = BusinessOperation(
    "merge_ticket", .post, "/v1/tickets/{id}/merge", of: "tickets", access: .write(.service), "Merge a ticket into another one of the same customer",
    description: "This ticket is closed and what is said in its conversation counts for the other one; unmerge parts them exactly.",
    input: Merging.self, answer: .record("tickets")
  ) { run, input in
    let id = try run.id()
    guard id != input.intoID else {
      throw Problem.invalid([.init("/into_id", code: "same", Phrase("A ticket cannot be merged with itself.", tr: "Bir talep kendisiyle birleştirilemez."))])
    }
    // In the order of their ids, so that two merges at once do not wait for each other.
    let pair = try await [id, input.intoID].sorted { $0.lowercase < $1.lowercase }.asyncMap { try await LockedTicket.standing($0, run.tx) }
    guard let merged = pair.first(where: { $0.id == id }), let standing = pair.first(where: { $0.id == input.intoID }),
      merged.customerID == standing.customerID
    else {
      throw Problem.invalid([
        .init("/into_id", code: "customer", Phrase("Both tickets must be of one customer.", tr: "İki talep de aynı müşterinin olmalıdır."))
      ])
    }
    guard merged.status.isOver || !standing.status.isOver else {
      throw Problem(
        409, "ticket-over",
        Phrase(
          "The ticket that is to stand for both is resolved or closed, so nobody would answer; reopen it first.",
          tr: "İkisinin yerine geçecek talep çözülmüş ya da kapanmış; kimse yanıtlamazdı. Önce onu yeniden açın."))
    }
    // One that was closed already stays so as it was, and is so again when they are parted.
    try await run.tx.run(
      """
      UPDATE crm.ticket AS t SET merged_into_id = \(standing.id), status = 'closed',
             status_reason = CASE WHEN t.status = 'closed' THEN t.status_reason ELSE 'merged' END,
             status_since = CASE WHEN t.status = 'closed' THEN t.status_since ELSE clock_timestamp() END
       WHERE t.customer_id = \(merged.customerID) AND t.id = \(merged.id)
      """)
    return .record(standing.id)
  }

  static let unmergeTicket = BusinessOperation(
    "unmerge_ticket", .post, "/v1/tickets/{id}/unmerge", of: "tickets", access: .write(.service), "Part a ticket from the one it was merged into",
    input: NoInput.self, answer: .record("tickets")
  ) { run, _ in
    let ticket = try await LockedTicket.locked(try run.id(), run.tx)
    guard ticket.mergedIntoID != nil else {
      throw Problem(409, "ticket-not-merged", Phrase("This ticket is not merged.", tr: "Bu talep birleştirilmemiş."))
    }
    try await run.tx.run(
      """
      UPDATE crm.ticket AS t SET merged_into_id = NULL, status = s.status,
             status_reason = CASE WHEN s.is_back THEN 'unmerged' ELSE t.status_reason END,
             status_since = CASE WHEN s.is_back THEN clock_timestamp() ELSE t.status_since END
        FROM (SELECT CASE WHEN now.reason = 'merged' THEN earlier.status ELSE 'closed' END AS status, now.reason IS NOT DISTINCT FROM 'merged' AS is_back
                FROM crm.ticket_stay AS now
                JOIN crm.ticket_stay AS earlier ON earlier.customer_id = now.customer_id AND earlier.ticket_id = now.ticket_id AND earlier.ends_at IS NOT NULL
               WHERE now.customer_id = \(ticket.customerID) AND now.ticket_id = \(ticket.id) AND now.ends_at IS NULL
               ORDER BY earlier.ends_at DESC, earlier.starts_at DESC LIMIT 1) AS s
       WHERE t.customer_id = \(ticket.customerID) AND t.id = \(ticket.id)
      """)
    return .record(ticket.id)
  }

  static let splitTicket = BusinessOperation(
    "split_ticket", .post, "/v1/tickets/{id}/split", of: "tickets", access: .write(.service), "Make a ticket of its own out of a part of this one",
    description: "The new ticket keeps the customer, the contact, the product, the order and the conversation; it is routed and promised by itself.",
    input: Splitting.self, answer: .record("tickets", status: 201)
  ) { run, input in
    let ticket = try await LockedTicket.standing(try run.id(), run.tx)
    let made = UUID.v7()
    try await run.tx.run(
      """
      INSERT INTO crm.ticket (customer_id, id, subject, description, type, priority, channel, language, contact_id, product_id, order_id, conversation_id,
        split_from_id, department_id, visibility)
      SELECT t.customer_id, \(made), \(input.subject), \(input.description), coalesce(\(input.type?.rawValue), t.type),
        coalesce(\(input.priority?.rawValue), t.priority), t.channel, t.language, t.contact_id, t.product_id, t.order_id, t.conversation_id, t.id,
        t.department_id, t.visibility
      FROM crm.ticket AS t WHERE t.customer_id = \(ticket.customerID) AND t.id = \(ticket.id)
      """)
    return .record(made)
  }
}

extension Sequence {
  /// The elements transformed one after another.
  fileprivate func asyncMap<Value>(_ transform: (Element) async throws -> Value) async rethrows -> [Value] {
    var values: [Value] = []
    for element in self { values.append(try await transform(element)) }
    return values
  }
}
