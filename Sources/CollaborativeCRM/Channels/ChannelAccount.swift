package import CRMCore

extension Concept {
  /// The brands and accounts through which customers reach the company and it reaches them.
  static let channels = Concept(
    resources: [.brands, .channelAccounts],
    reads: [.channelStates],
    endpoints: { database, model in [ChannelEvents(database: database, catalogue: model.catalogue).endpoint] },
    jobs: [.sendMessage, .followMessages, .receiveFromAll, .receive, .mailNotices], schedules: [.messageFollowing, .receiving, .noticeMailing])
}

extension Resource {
  /// A mailbox, a telephone number, a profile, a chat or a form. Which channel it is of and what it is reached through is said when it is made.
  package static let channelAccounts = Resource(
    "channel_accounts", singular: "channel_account", table: "crm.channel_account", area: .admin,
    create: [
      "code", "name", "channel", "provider", "address", "display_name", "brand_id", "department_id", "settings", "is_active", "opens_tickets",
      "ticket_team_id",
    ],
    change: ["name", "address", "display_name", "brand_id", "department_id", "settings", "is_active", "opens_tickets", "ticket_team_id"],
    expand: ["brand", "department"], search: ["name", "code", "address"], order: "code")
}
