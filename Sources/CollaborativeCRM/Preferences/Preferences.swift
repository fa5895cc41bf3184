package import CRMCore

extension Concept {
  /// How people want to be reached, and the public pages where they say so.
  static let preferences = Concept(
    resources: [.channelPreferences, .quietHours, .frequencyCaps], operations: [.makePreferenceLink],
    endpoints: { database, model in
      PublicPreferences(database: database, catalogue: model.catalogue).endpoints + Unsubscribing(database: database).endpoints
        + OptInConfirmation(database: database).endpoints
    })
}

extension Resource {
  /// By which way a customer or a contact prefers to be reached, and by which not.
  package static let channelPreferences = Resource(
    "channel_preferences", singular: "channel_preference", table: "crm.channel_preference", area: .customers,
    create: ["customer_id", "contact_id", "preferred_channel", "avoided_channels", "time_zone"],
    change: ["preferred_channel", "avoided_channels", "time_zone"],
    deletable: true, expand: ["customer", "contact"])

  /// When no commercial message goes out.
  package static let quietHours = Resource(
    "quiet_hours", singular: "quiet_hours_rule", table: "crm.quiet_hours", area: .marketing,
    create: ["channel", "brand_id", "starts", "ends", "days", "time_zone", "is_active"],
    change: ["channel", "brand_id", "starts", "ends", "days", "time_zone", "is_active"],
    deletable: true, expand: ["brand"])

  /// How many commercial messages a customer gets at most.
  package static let frequencyCaps = Resource(
    "frequency_caps", singular: "frequency_cap", table: "crm.frequency_cap", area: .marketing,
    create: ["channel", "brand_id", "messages", "hours", "is_active"],
    change: ["channel", "brand_id", "messages", "hours", "is_active"], deletable: true, expand: ["brand"])
}
