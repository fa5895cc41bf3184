import CRMCore

extension Concept {
  /// Forms on the company's pages, and what is sent with them.
  static let webForms = Concept(
    resources: [.webForms, .formSubmissions], endpoints: { database, model in FormPages(database: database, catalogue: model.catalogue).endpoints })
}

extension Resource {
  /// A form: its fields, where it may stand, and what becomes of what is sent.
  static let webForms = Resource(
    "web_forms", singular: "web_form", table: "crm.web_form", area: .marketing,
    create: [
      "code", "name", "target", "fields", "origins", "channel_account_id", "double_opt_in", "consent_text", "consent_purpose", "brand_id", "honeypot",
      "hourly_limit",
      "is_active", "department_id", "owner_id", "visibility",
    ],
    change: [
      "name", "target", "fields", "origins", "channel_account_id", "double_opt_in", "consent_text", "consent_purpose", "brand_id", "honeypot", "hourly_limit",
      "is_active",
      "owner_id", "visibility",
    ], expand: ["channel_account", "brand"], search: ["name", "code"])

  /// What somebody sent with a form, and what became of it.
  static let formSubmissions = Resource(
    "form_submissions", singular: "form_submission", table: "crm.form_submission", area: .marketing, expand: ["form", "lead", "customer"],
    order: "-created_at")
}
