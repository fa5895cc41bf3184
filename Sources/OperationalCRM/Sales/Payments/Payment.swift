package import CRMCore

extension Concept {
  /// What is due, and what was paid.
  static let payments = Concept(
    resources: [.paymentTerms, .instalments, .payments, .paymentAllocations], operations: [.recordPayment, .allocatePayment],
    reads: [.ageing, .ageingTotal])
}

extension Resource {
  /// How long a customer has to pay, and in how many parts.
  package static let paymentTerms = Resource(
    "payment_terms", singular: "payment_term", table: "crm.payment_term", area: .finance,
    create: ["code", "name_en", "name_tr", "first_due_days", "end_of_month", "instalments", "interval_months", "active"],
    change: ["name_en", "name_tr", "active"], search: ["code", "name_tr", "name_en"], order: "code")

  /// A part of an issued invoice that is due on one day; made and settled by the database alone.
  package static let instalments = Resource(
    "instalments", singular: "instalment", table: "crm.instalment", area: .finance,
    expand: ["invoice", .many("allocations", of: "payment_allocations", by: "instalment_id")], order: "due_on")

  /// Money that moved. A wrong one is deleted, after its allocations, and entered anew.
  package static let payments = Resource(
    "payments", singular: "payment", table: "crm.payment", area: .finance, deletable: true,
    expand: ["customer", .many("allocations", of: "payment_allocations", by: "payment_id")], search: ["reference", "customer.name"], order: "-paid_on")

  /// What of an instalment a payment or a credit note settles; deleting one releases it.
  package static let paymentAllocations = Resource(
    "payment_allocations", singular: "payment_allocation", table: "crm.payment_allocation", area: .finance, deletable: true,
    expand: ["instalment", "payment", "credit_note"])
}
