package import CRMCore

extension Concept {
  /// What is offered to customers, and what they answer.
  static let quotes = Concept(
    resources: [.quotes, .quoteLines, .quoteApprovals, .quoteAnswers],
    operations: [
      .createQuote, .discardQuote, .addQuoteLines, .changeQuoteLine, .removeQuoteLine, .submitQuote, .approveQuote, .rejectQuote, .reopenQuote, .sendQuote,
      .reviseQuote,
      .acceptQuote, .declineQuote,
    ],
    endpoints: { database, model in [.quotePDF(database)] + PublicQuote(database: database, catalogue: model.catalogue).endpoints },
    jobs: [.quoteExpiry], schedules: [.quoteExpiry])
}

extension Resource {
  /// An offer to a customer in one of its versions: made, sent and answered by operations.
  package static let quotes = Resource(
    "quotes", singular: "quote", table: "crm.quote", area: .sales,
    change: ["contact_id", "valid_until", "terms", "note", "department_id", "owner_id", "visibility"],
    expand: [
      "customer", "contact", "opportunity", "supersedes", "price_book", .many("lines", of: "quote_lines", by: "quote_id"),
      .many("approvals", of: "quote_approvals", by: "quote_id"),
      .many("orders", of: "orders", by: "quote_id"), .many("answers", of: "quote_answers", by: "quote_id"),
    ],
    search: ["number", "customer.name"], order: "-created_at")

  /// One product on a quote; written by operations, and only while the quote is a draft.
  package static let quoteLines = Resource(
    "quote_lines", singular: "quote_line", table: "crm.quote_line", area: .sales, expand: ["quote", "product"], search: ["description", "product.name"])

  /// A request to give more discount than the seller may.
  package static let quoteApprovals = Resource(
    "quote_approvals", singular: "quote_approval", table: "crm.quote_approval", area: .sales, expand: ["quote"], order: "-requested_at")

  /// How a customer answered.
  package static let quoteAnswers = Resource(
    "quote_answers", singular: "quote_answer", table: "crm.quote_answer", area: .sales, expand: ["quote"], order: "-answered_at")
}
