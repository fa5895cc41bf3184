package import CRMCore

extension Concept {
  /// What sellers are to sell, and what they are paid for it.
  static let commissions = Concept(
    resources: [
      .commissionPlans, .commissionTiers, .commissionMembers, .salesTargets, .invoiceShares, .commissionSettlements, .commissionSettlementLines,
    ],
    operations: [.shareInvoice, .settleCommissions], reads: [.commissionPreview, .commissionEntries])
}

extension Resource {
  /// How sellers are paid for what they sell.
  package static let commissionPlans = Resource(
    "commission_plans", singular: "commission_plan", table: "crm.commission_plan", area: .finance,
    create: ["code", "name", "basis", "percent", "accrues_on", "valid_from", "valid_until"], change: ["name", "valid_until"],
    expand: [.many("tiers", of: "commission_tiers", by: "plan_id"), .many("members", of: "commission_members", by: "plan_id")], search: ["code", "name"],
    order: "code")

  /// An accelerator of a plan.
  package static let commissionTiers = Resource(
    "commission_tiers", singular: "commission_tier", table: "crm.commission_tier", area: .finance, create: ["plan_id", "from_attainment", "percent"],
    change: ["from_attainment", "percent"], deletable: true, expand: ["plan"], order: "from_attainment")

  /// That a seller is paid by a plan.
  package static let commissionMembers = Resource(
    "commission_members", singular: "commission_member", table: "crm.commission_member", area: .finance,
    create: ["plan_id", "user_id", "valid_from", "valid_until"], change: ["valid_until"], expand: ["plan", "user"])

  /// What a seller is to invoice in a month.
  package static let salesTargets = Resource(
    "sales_targets", singular: "sales_target", table: "crm.sales_target", area: .finance, create: ["user_id", "month", "currency", "amount"],
    change: ["amount"], deletable: true, expand: ["user"], order: "-month")

  /// A seller's share in an invoice.
  package static let invoiceShares = Resource(
    "invoice_shares", singular: "invoice_share", table: "crm.invoice_share", area: .finance, expand: ["invoice", "user"])

  /// The commissions of a plan paid for a month; never changed.
  package static let commissionSettlements = Resource(
    "commission_settlements", singular: "commission_settlement", table: "crm.commission_settlement", area: .finance,
    expand: ["plan", .many("lines", of: "commission_settlement_lines", by: "settlement_id")], order: "-month")

  /// What a settlement pays a seller for one invoice, payment or credit note.
  package static let commissionSettlementLines = Resource(
    "commission_settlement_lines", singular: "commission_settlement_line", table: "crm.commission_settlement_line", area: .finance,
    expand: ["settlement", "owner", "invoice", "allocation"], order: "day")
}
