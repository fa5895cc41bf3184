package import CRMCore

extension Concept {
  /// Who was to be reached and who was held out, what reached them, and what they did.
  static let campaigns = Concept(
    resources: [.campaigns, .campaignMembers, .campaignTouches, .campaignResponses, .campaignSendings],
    operations: [.assignCampaign, .sendCampaign, .stopCampaignSending], jobs: [.sendCampaign])
}

extension Resource {
  /// An effort to move customers to something. How its customers are divided is said when it is made and never changed.
  package static let campaigns = Resource(
    "campaigns", singular: "campaign", table: "crm.campaign", area: .marketing,
    create: [
      "code", "name", "kind", "status", "starts_on", "ends_on", "budget", "cost", "currency", "assignment", "holdout_percent", "arms", "note", "department_id",
      "owner_id", "visibility",
    ],
    change: ["code", "name", "kind", "status", "starts_on", "ends_on", "budget", "cost", "currency", "note", "department_id", "owner_id", "visibility"],
    search: ["name", "code"], order: "-starts_on")

  /// A customer whom a campaign is to reach, or whom it leaves out to compare with. Where the division is by hash, what is sent as arm and held_out does not count.
  package static let campaignMembers = Resource(
    "campaign_members", singular: "campaign_member", table: "crm.campaign_member", area: .marketing,
    create: ["customer_id", "campaign_id", "held_out", "arm", "assigned_at"], expand: ["customer", "campaign"])
}
