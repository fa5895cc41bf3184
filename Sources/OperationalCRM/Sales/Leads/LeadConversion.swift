import CRMCore
import Foundation
import PostgresClient

/// What a lead is converted into, as far as somebody has to say it.
struct LeadConversion: OperationInput {
  let customerID: UUID?
  let contactID: UUID?
  let withOpportunity: Bool
  let opportunityName: String?
  let amount: Decimal?
  let currency: String?
  let closeOn: CalendarDate?
  let forceDuplicate: Bool

  init(_ fields: inout InputReader) {
    customerID = fields.optionalID("customer_id", "The customer it already is; a new one is made if left out.")
    contactID = fields.optionalID("contact_id", "The contact the person already is, at customer_id.")
    withOpportunity = fields.flag("opportunity", "Whether to open an opportunity.", default: true)
    opportunityName = fields.optionalText("opportunity_name", "What the opportunity is about; the interest or the name if left out.", maximum: 300)
    amount = fields.optionalDecimal("amount", "What the opportunity would bring.", scale: 2, in: 0...9_999_999_999_999_999)
    currency = fields.optionalText("currency", "Currency of the amount; TRY if left out.", maximum: 3)
    closeOn = fields.optionalDay("close_on", "The day it is expected to be decided.")
    forceDuplicate = fields.flag("force_duplicate", "Make a new customer although it seems to be known already.")
    if contactID != nil, customerID == nil {
      fields.refuse("customer_id", code: "required", Phrase("A contact is named with its customer.", tr: "Kişi, müşterisiyle birlikte belirtilir."))
    }
  }
}

/// A lead with all that its customer, contact and opportunity are made of.
private struct ConvertedLead: RowDecodable {
  let name: String?
  let companyName: String?
  let taxNumber: String?
  let email: String?
  let phone: String?
  let interest: String?
  let customerID: UUID?
  let contactID: UUID?

  init(row: PostgresRow) throws {
    name = try row.decode(String?.self, "name")
    companyName = try row.decode(String?.self, "company_name")
    taxNumber = try row.decode(String?.self, "tax_number")
    email = try row.decode(String?.self, "email")
    phone = try row.decode(String?.self, "phone")
    interest = try row.decode(String?.self, "interest")
    customerID = try row.decode(UUID?.self, "customer_id")
    contactID = try row.decode(UUID?.self, "contact_id")
  }

  static func find(_ id: UUID, _ tx: PostgresTransaction) async throws -> ConvertedLead {
    try await tx.one(
      ConvertedLead.self,
      "SELECT l.name, l.company_name, l.tax_number, l.email, l.phone, l.interest, l.customer_id, l.contact_id FROM crm.lead AS l WHERE l.id = \(id)")
  }

  var query: DuplicateQuery {
    DuplicateQuery(name: name, companyName: companyName, taxNumber: taxNumber, emails: email.map { [$0] } ?? [], phones: phone.map { [$0] } ?? [])
  }
}

extension BusinessOperation {
  private static let conversionSchema: JSON = [
    "type": "object", "required": ["lead_id", "customer_id", "contact_id", "opportunity_id"],
    "properties": [
      "lead_id": ["type": "string", "format": "uuid"], "customer_id": ["type": "string", "format": "uuid"],
      "contact_id": ["type": ["string", "null"], "format": "uuid", "description": "Null for a person, who is the customer."],
      "opportunity_id": ["type": ["string", "null"], "format": "uuid"],
    ],
  ]

  /// Makes a lead a customer with a contact and an opportunity.
  static let convertLead = BusinessOperation(
    "convert_lead", .post, "/v1/leads/{id}/convert", of: "leads", access: .write(.sales), "Make a lead a customer, a contact and an opportunity",
    description:
      "One transaction. Converting a converted lead again changes nothing and answers the same ids. If a customer seems to be the same already, the problem possible-duplicate lists the candidates: name one in customer_id, or send force_duplicate.",
    input: LeadConversion.self, answer: .json(conversionSchema)
  ) { run, input in
    let id = try run.id()
    let tx = run.tx
    let locked = try await LockedLead.find(id, tx)
    let lead = try await ConvertedLead.find(id, tx)
    if locked.status == .converted {
      return try await converted(id, lead.customerID, lead.contactID, tx)
    }
    if locked.status == .disqualified {
      throw Problem(
        409, "lead-disqualified", Phrase("This lead is disqualified. Qualify it first.", tr: "Bu aday elenmiş. Önce nitelikli olarak işaretleyin."))
    }
    if input.customerID == nil, !input.forceDuplicate {
      let likely = try await tx.all(DuplicateCandidate.self, lead.query.statement(among: [.customers])).filter { $0.score >= DuplicateCandidate.suspicion }
      if !likely.isEmpty { throw try Problem.possibleDuplicate(likely, run.request.language) }
    }
    let customer = try await customer(of: id, input, tx)
    let contact = lead.companyName == nil ? nil : try await contact(of: id, lead, at: customer, input, tx)
    try await tx.run(
      """
      INSERT INTO crm.contact_point (customer_id, contact_id, kind, value, is_primary)
      SELECT \(customer), \(contact), p.kind, p.value, true
        FROM crm.lead AS l CROSS JOIN LATERAL (VALUES ('email', l.email), ('phone', l.phone)) AS p (kind, value)
       WHERE l.id = \(id) AND p.value IS NOT NULL
      ON CONFLICT ON CONSTRAINT contact_point_value_unique DO NOTHING
      """)
    try await tx.run(
      """
      UPDATE crm.lead SET status = 'converted', converted_at = now(), qualified_at = coalesce(qualified_at, now()), customer_id = \(customer), contact_id = \(contact)
      WHERE id = \(id)
      """)
    // What was done about the lead is now about the customer.
    try await tx.run("UPDATE crm.activity SET customer_id = \(customer) WHERE lead_id = \(id) AND customer_id IS NULL")
    if input.withOpportunity {
      let name = input.opportunityName ?? lead.interest.map { String($0.prefix(300)) } ?? lead.companyName ?? lead.name
      try await tx.run(
        """
        INSERT INTO crm.opportunity (customer_id, id, name, contact_id, lead_id, amount, currency, close_on, department_id, owner_id, visibility)
        SELECT \(customer), \(UUID.v7()), \(name), \(contact), l.id, \(input.amount), \(input.currency ?? "TRY"), \(input.closeOn),
               l.department_id, l.owner_id, l.visibility
          FROM crm.lead AS l WHERE l.id = \(id)
        """)
    }
    return try await converted(id, customer, contact, tx)
  }

  private static func converted(_ lead: UUID, _ customer: UUID?, _ contact: UUID?, _ tx: PostgresTransaction) async throws -> Outcome {
    let opportunities = try await tx.result(
      "SELECT o.id FROM crm.opportunity AS o WHERE o.customer_id = \(customer) AND o.lead_id = \(lead) ORDER BY o.id LIMIT 1")
    let opportunity = try opportunities.rows.first?.decode(UUID.self, at: 0)
    func text(_ id: UUID?) -> JSON { id.map { .string($0.lowercase) } ?? .null }
    return .json(["lead_id": text(lead), "customer_id": text(customer), "contact_id": text(contact), "opportunity_id": text(opportunity)])
  }

  private static func customer(of lead: UUID, _ input: LeadConversion, _ tx: PostgresTransaction) async throws -> UUID {
    if let known = input.customerID {
      return try await tx.value(
        UUID.self, "SELECT coalesce((SELECT c.id FROM crm.customer AS c WHERE c.id = \(known)), crm.missing_reference('customer_id'))")
    }
    let made = try await tx.value(
      UUID.self,
      """
      INSERT INTO crm.customer (id, kind, name, tax_number, website, department_id, owner_id, visibility)
      SELECT \(UUID.v7()), CASE WHEN l.company_name IS NULL THEN 'person' ELSE 'organisation' END, coalesce(l.company_name, l.name), l.tax_number, l.website,
             l.department_id, l.owner_id, l.visibility
        FROM crm.lead AS l WHERE l.id = \(lead)
      RETURNING id
      """)
    try await tx.run(
      """
      INSERT INTO crm.address (customer_id, kind, province_code, city)
      SELECT \(made), 'other', l.province_code, coalesce(l.city, p.name)
        FROM crm.lead AS l LEFT JOIN crm.province AS p ON p.code = l.province_code
       WHERE l.id = \(lead) AND (l.province_code IS NOT NULL OR l.city IS NOT NULL)
      """)
    return made
  }

  /// The person at an organisation: the one named, the one of the same name or e-mail address who is there already, or a new one.
  private static func contact(of id: UUID, _ lead: ConvertedLead, at customer: UUID, _ input: LeadConversion, _ tx: PostgresTransaction) async throws -> UUID? {
    if let known = input.contactID {
      return try await tx.value(
        UUID.self,
        "SELECT coalesce((SELECT c.id FROM crm.contact AS c WHERE c.customer_id = \(customer) AND c.id = \(known)), crm.missing_reference('contact_id'))")
    }
    guard let name = lead.name else { return nil }
    let there = try await tx.result(
      """
      SELECT c.id FROM crm.contact AS c
       WHERE c.customer_id = \(customer) AND (c.search_key = crm.search_key(\(name)) OR EXISTS (
         SELECT 1 FROM crm.contact_point AS p
          WHERE p.customer_id = c.customer_id AND p.contact_id = c.id AND p.kind = 'email' AND p.value_key = crm.search_key(\(lead.email))))
       ORDER BY c.id LIMIT 1
      """)
    if let contact = there.rows.first { return try contact.decode(UUID.self, at: 0) }
    return try await tx.value(
      UUID.self,
      """
      INSERT INTO crm.contact (customer_id, id, name, job_title)
      SELECT \(customer), \(UUID.v7()), l.name, l.job_title FROM crm.lead AS l WHERE l.id = \(id) RETURNING id
      """)
  }
}
