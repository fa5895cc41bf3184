package import CRMCore

extension Concept {
  /// What people allowed and refused, what is sent to them, and what was not.
  static let consent = Concept(
    resources: [.consentEvents, .consentPurposes, .suppressions, .outboundMessages, .messageRefusals, .holidays],
    operations: [.sendMessage, .suppressAddress, .liftSuppression], reads: [.consentsOfCustomer, .consentProof])
}

extension Resource {
  /// What somebody allowed or refused, with its evidence. Events are added, never changed.
  package static let consentEvents = Resource(
    "consent_events", singular: "consent_event", table: "crm.consent_event", area: .customers,
    create: [
      "customer_id", "contact_id", "channel", "address", "recipient_type", "brand_id", "purpose", "status", "consented_at", "valid_until", "source",
      "text_version", "document_hash", "remote_address", "user_agent", "note",
    ], expand: ["customer", "contact", "brand"], order: "-consented_at", dated: "consented_at")

  /// What people can allow or refuse to be contacted for.
  package static let consentPurposes = Resource(
    "consent_purposes", singular: "consent_purpose", table: "crm.consent_purpose", area: .marketing,
    create: ["code", "name", "name_tr", "description", "description_tr", "is_commercial", "is_offered"],
    change: ["name", "name_tr", "description", "description_tr", "is_offered"], search: ["name", "name_tr", "code"], order: "code")

  /// Addresses that are not written to, as keyed hashes.
  package static let suppressions = Resource(
    "suppressions", singular: "suppression", table: "crm.suppression", area: .customers, expand: ["brand"], order: "-suppressed_at", dated: "suppressed_at")

  /// Messages to customers, waiting or sent.
  package static let outboundMessages = Resource(
    "outbound_messages", singular: "outbound_message", table: "crm.outbound_message", area: .customers,
    expand: ["customer", "contact", "brand", "campaign", "channel_account"], search: ["subject"], order: "-created_at")

  /// What the gate did not let through, and why.
  package static let messageRefusals = Resource(
    "message_refusals", singular: "message_refusal", table: "crm.message_refusal", area: .customers, expand: ["customer", "contact", "brand", "campaign"],
    order: "-refused_at", dated: "refused_at")

  /// Public holidays and half days, which business days and calendars leave out.
  package static let holidays = Resource(
    "holidays", singular: "holiday", table: "crm.holiday", area: .admin, create: ["country", "day", "closes_at", "name", "name_tr"],
    change: ["closes_at", "name", "name_tr"], deletable: true, search: ["name", "name_tr"], order: "day")
}
