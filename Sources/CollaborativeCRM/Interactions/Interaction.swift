package import CRMCore

extension Concept {
  /// Every contact with a customer on every channel.
  static let interactions = Concept(
    resources: [.interactions], jobs: [.interactionPartitions], schedules: [.interactionPartitions])
}

extension Resource {
  /// A message, a call, a meeting, a letter. What comes by a channel is received; what colleagues did elsewhere is written down.
  package static let interactions = Resource(
    "interactions", singular: "interaction", table: "crm.interaction", area: .customers,
    create: [
      "customer_id", "occurred_at", "contact_id", "conversation_id", "channel", "direction", "kind", "channel_account_id", "external_id", "in_reply_to",
      "sender", "recipients", "subject", "body_text", "body_html", "participants", "sentiment", "cost", "currency", "status", "department_id", "owner_id",
      "visibility",
    ],
    change: ["contact_id", "sentiment", "cost", "currency", "participants"],
    expand: ["customer", "contact", "conversation", "channel_account", "owner", .many("attachments", of: "attachments", by: "interaction_id")],
    search: ["subject"], order: "-occurred_at", dated: "occurred_at")
}
