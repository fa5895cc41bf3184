import CRMCore
import Foundation
import PostgresClient

struct NewLead: OperationInput {
  let name: String?
  let companyName: String?
  let jobTitle: String?
  let email: String?
  let phone: String?
  let taxNumber: String?
  let website: String?
  let provinceCode: String?
  let city: String?
  let source: LeadSource?
  let rating: LeadRating?
  let productCategoryID: UUID?
  let interest: String?
  let note: String?
  let touch: LeadTouch
  let departmentID: UUID?
  let ownerID: UUID?
  let visibility: Visibility?
  let custom: JSON?
  let forceDuplicate: Bool

  enum Visibility: String, CaseIterable, Sendable {
    case company, department, `private`
  }

  init(_ fields: inout InputReader) {
    name = fields.optionalText("name", "Name of the person.", maximum: 300)
    companyName = fields.optionalText("company_name", "Name of the organisation.", maximum: 300)
    jobTitle = fields.optionalText("job_title", "What the person does there.", maximum: 300)
    email = fields.optionalText("email", "E-mail address.", maximum: 254)
    phone = fields.optionalText("phone", "Telephone number as people write it; without a country code it is Turkish.", maximum: 40)
    taxNumber = fields.optionalText("tax_number", "Tax number (VKN) or identity number (TCKN).", maximum: 11)
    website = fields.optionalText("website", "Web address.")
    provinceCode = fields.optionalText("province_code", "Plate code of the Turkish province, such as 35.", maximum: 2)
    city = fields.optionalText("city", "City.", maximum: 200)
    source = fields.optionalOption("source", "How the lead came to us; other if left out.", of: LeadSource.self)
    rating = fields.optionalOption("rating", "How promising it is.", of: LeadRating.self)
    productCategoryID = fields.optionalID("product_category_id", "What the lead is interested in.")
    interest = fields.optionalText("interest", "What the lead is interested in, in words.", maximum: 10_000)
    note = fields.optionalText("note", "What colleagues should know.", maximum: 10_000)
    touch = LeadTouch(&fields)
    departmentID = fields.optionalID("department_id", "The department that takes it in; the caller's own if left out.")
    ownerID = fields.optionalID("owner_id", "The seller it is for; the assignment rules decide if left out.")
    visibility = fields.optionalOption("visibility", "Who reads it; company if left out.", of: Visibility.self)
    custom = fields.optionalObject("custom", "Values of custom fields.")
    forceDuplicate = fields.flag("force_duplicate", "Save it although it seems to be known already.")
    if name == nil, companyName == nil {
      fields.refuse("name", code: "required", Phrase("Give the name of the person or of the company.", tr: "Kişinin ya da şirketin adını verin."))
    }
  }

  var duplicateQuery: DuplicateQuery {
    DuplicateQuery(
      name: name, companyName: companyName, taxNumber: taxNumber, emails: email.map { [$0] } ?? [], phones: phone.map { [$0] } ?? [])
  }
}

extension NewLead {
  /// The records that the caller may read and that are probably the same.
  func likelyDuplicates(_ tx: PostgresTransaction) async throws -> [DuplicateCandidate] {
    try await tx.all(DuplicateCandidate.self, duplicateQuery.statement(among: Set(DuplicateQuery.Kind.allCases)))
      .filter { $0.score >= DuplicateCandidate.suspicion }
  }

  /// Stores the lead, which nobody takes care of yet.
  /// - Parameter pointer: where it stands in the request, such as `/leads/3`.
  func store(_ run: BusinessOperation.Run, pointer: String = "") async throws -> UUID {
    let custom = try run.custom(custom, pointer: "\(pointer)/custom")
    let department = try departmentID ?? run.department()
    let category: SQL =
      productCategoryID.map {
        "coalesce((SELECT c.id FROM crm.product_category AS c WHERE c.id = \($0)), crm.missing_reference('product_category_id'))"
      } ?? "NULL"
    let id = UUID.v7()
    try await run.tx.run(
      """
      INSERT INTO crm.lead (id, name, company_name, job_title, email, phone, tax_number, website, province_code, city, source, rating, product_category_id,
        interest, note, custom, department_id, owner_id, visibility,
        first_utm_source, first_utm_medium, first_utm_campaign, first_utm_term, first_utm_content, first_page,
        last_utm_source, last_utm_medium, last_utm_campaign, last_utm_term, last_utm_content, last_page)
      VALUES (\(id), \(name), \(companyName), \(jobTitle), \(email), coalesce(crm.e164(\(phone)), \(phone)), \(taxNumber),
        \(website), \(provinceCode), \(city), \((source ?? .other).rawValue), \(rating?.rawValue), \(category),
        \(interest), \(note), \(String(decoding: try custom.encoded(), as: UTF8.self))::jsonb, \(department), \(run.caller.userID),
        \((visibility ?? .company).rawValue),
        \(touch.source), \(touch.medium), \(touch.campaign), \(touch.term), \(touch.content), \(touch.page),
        \(touch.source), \(touch.medium), \(touch.campaign), \(touch.term), \(touch.content), \(touch.page))
      """)
    return id
  }

  /// Gives the stored lead to the seller it names, or to whom the rules choose. Whoever assigns leads waits for the others: the last thing to do.
  func assign(_ id: UUID, _ tx: PostgresTransaction) async throws { try await tx.run("SELECT crm.assign_lead(\(id), \(ownerID))") }
}

extension BusinessOperation {
  /// Takes a lead in: looks whether it is known, stores it, and gives it to a seller.
  static let createLead = BusinessOperation(
    "create_lead", .post, "/v1/leads", of: "leads", access: .write(.sales), "Take in a lead",
    description:
      "If a customer, contact or lead that the caller may read seems to be the same, nothing is stored and the problem possible-duplicate lists the candidates; force_duplicate stores it all the same. Without owner_id the assignment rules choose the seller, and lead_assignments say why.",
    input: NewLead.self, answer: .record("leads", status: 201)
  ) { run, lead in
    if !lead.forceDuplicate {
      let likely = try await lead.likelyDuplicates(run.tx)
      if !likely.isEmpty { throw try Problem.possibleDuplicate(likely, run.request.language) }
    }
    let id = try await lead.store(run)
    try await lead.assign(id, run.tx)
    return .record(id)
  }
}
