package import CRMCore

extension Concept {
  /// What customers pay again and again, and when it has to be renewed.
  static let contracts = Concept(
    resources: [.contracts, .contractLines, .contractRenewals], operations: [.activateContract, .cancelContract, .renewContract],
    reads: [.recurringRevenue], jobs: [.contractRenewals], schedules: [.contractRenewals])
}

extension Resource {
  /// An agreement by which a customer pays again and again. Its state and its terms are moved by operations.
  package static let contracts = Resource(
    "contracts", singular: "contract", table: "crm.contract", area: .sales,
    create: [
      "customer_id", "name", "opportunity_id", "contact_id", "currency", "starts_on", "term_months", "auto_renew", "renewal_notice_days", "note",
      "department_id", "owner_id", "visibility",
    ],
    change: ["name", "contact_id", "auto_renew", "renewal_notice_days", "note", "department_id", "owner_id", "visibility"],
    expand: [
      "customer", "contact", "opportunity", .many("lines", of: "contract_lines", by: "contract_id"),
      .many("renewals", of: "contract_renewals", by: "contract_id"),
    ],
    search: ["name", "number", "customer.name"], order: "-created_at")

  /// Something that a contract is paid for again and again.
  package static let contractLines = Resource(
    "contract_lines", singular: "contract_line", table: "crm.contract_line", area: .sales,
    create: ["customer_id", "contract_id", "line_number", "product_id", "description", "quantity", "unit_price", "discount_percent", "period"],
    change: ["line_number", "product_id", "description", "quantity", "unit_price", "discount_percent", "period"],
    deletable: true, expand: ["contract", "product"], search: ["product.name"])

  /// The opportunity to renew a contract at the end of a term; made by a job.
  package static let contractRenewals = Resource(
    "contract_renewals", singular: "contract_renewal", table: "crm.contract_renewal", area: .sales, expand: ["contract", "opportunity"],
    order: "-created_at")
}
