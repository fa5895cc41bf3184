package import CRMCore

extension Resource {
  /// One time that a campaign reached for a customer: the ledger that attribution reads.
  package static let campaignTouches = Resource(
    "campaign_touches", singular: "campaign_touch", table: "crm.campaign_touch", area: .marketing,
    create: ["customer_id", "campaign_id", "channel", "touched_at", "delivered", "opened_at", "clicked_at", "cost", "currency"],
    change: ["delivered", "opened_at", "clicked_at", "cost", "currency"], expand: ["customer", "campaign"], order: "-touched_at")

  /// Something a customer did that can be laid to a campaign.
  package static let campaignResponses = Resource(
    "campaign_responses", singular: "campaign_response", table: "crm.campaign_response", area: .marketing,
    create: ["customer_id", "campaign_id", "kind", "responded_at", "reference"], change: ["kind", "responded_at", "reference"], deletable: true,
    expand: ["customer", "campaign"], order: "-responded_at")
}
