import CRMCore
import Foundation
import PostgresClient

/// A customer's answer to a quote, given through the link or to a colleague.
struct QuoteAnswer {
  enum Kind: String, PostgresEncodable { case accepted, declined }
  enum Channel: String, PostgresEncodable { case link, colleague }

  let kind: Kind
  let name: String
  let reason: String?
  let via: Channel
  var remoteAddress: String?
  var userAgent: String?

  /// The quote that a condition names, locked after its opportunity; nil if there is none, or none that may be changed.
  /// - Parameter condition: names the quote, called `q`.
  static func locked(_ condition: SQL, _ tx: PostgresTransaction) async throws -> QuoteState? {
    let results = try await tx.results([QuoteState.lockingOpportunity(condition), QuoteState.locking(condition)])
    return try results[1].rows.first.map { try QuoteState(row: $0) }
  }

  /// Whether the quote was answered just so before: answering again changes nothing.
  func isGiven(to quote: QuoteState) -> Bool { quote.status.rawValue == kind.rawValue }

  /// Records the answer and what follows from it. `quote` is locked and was just read.
  func give(to quote: QuoteState, tx: PostgresTransaction) async throws {
    try quote.mustBe(.sent)
    try quote.mustBeValid()
    _ = try await tx.results([
      """
      INSERT INTO crm.quote_answer (customer_id, quote_id, answer, name, reason, via, remote_address, user_agent)
      VALUES (\(quote.customerID), \(quote.id), \(kind), \(name), \(reason), \(via), \(remoteAddress), \(userAgent))
      """,
      "UPDATE crm.quote SET status = \(kind), answered_at = now() WHERE id = \(quote.id)",
    ])
    if kind == .declined { return }
    if let opportunity = quote.opportunityID { try await OpportunityWinning.win(opportunity: opportunity, customer: quote.customerID, tx: tx) }
    // Last, because it locks stock and then the counter of order numbers.
    _ = try await OrderOpening.open(quote: quote.id, customer: quote.customerID, tx: tx)
  }
}

/// Who answered, as they or a colleague wrote it.
struct QuoteAnswerInput: OperationInput {
  let name: String
  let reason: String?

  init(_ fields: inout InputReader) {
    name = fields.text("name", "Who answers at the customer.", maximum: 200)
    reason = fields.optionalText("reason", "What they say about it.").flatMap { $0.allSatisfy(\.isWhitespace) ? nil : $0 }
  }
}

extension BusinessOperation {
  static let acceptQuote = BusinessOperation(
    "accept_quote", .post, "/v1/quotes/{id}/accept", of: "quotes", access: .write(.sales), "Accept a sent quote on the customer's behalf",
    description: """
      Opens the order, reserves what is in stock and wins the opportunity, all in one transaction. Accepting a quote that is accepted already changes nothing.
      """, input: QuoteAnswerInput.self,
    answer: .record("quotes", expand: ["answers", "orders"]), extending: [.sales, .products, .purchasing]
  ) { run, input in try await answer(run, .init(kind: .accepted, name: input.name, reason: input.reason, via: .colleague)) }

  static let declineQuote = BusinessOperation(
    "decline_quote", .post, "/v1/quotes/{id}/decline", of: "quotes", access: .write(.sales), "Decline a sent quote on the customer's behalf",
    description: "Declining a quote that is declined already changes nothing.", input: QuoteAnswerInput.self,
    answer: .record("quotes", expand: ["answers"]), extending: [.sales]
  ) { run, input in try await answer(run, .init(kind: .declined, name: input.name, reason: input.reason, via: .colleague)) }

  private static func answer(_ run: Run, _ answer: QuoteAnswer) async throws -> Outcome {
    let id = try run.id()
    guard let quote = try await QuoteAnswer.locked("q.id = \(id)", run.tx) else { throw Problem.notFound }
    // The operation reaches further than its caller: whether they may change this quote is asked here.
    guard run.asker.changes(quote) else { throw run.asker.reads(quote) ? QuoteState.readOnly : Problem.notFound }
    if !answer.isGiven(to: quote) { try await answer.give(to: quote, tx: run.tx) }
    return .record(quote.id)
  }
}

extension Caller {
  fileprivate func changes(_ quote: QuoteState) -> Bool {
    guard !isSystem, let reach = reach[.sales] else { return isSystem }
    return reach.writable.contains(quote.departmentID) || quote.ownerID.map(reach.writable.contains) == true
  }

  fileprivate func reads(_ quote: QuoteState) -> Bool {
    guard !isSystem, let reach = reach[.sales] else { return isSystem }
    return quote.audience.map(reach.readable.contains) == true || quote.ownerID.map(reach.readable.contains) == true
  }
}
