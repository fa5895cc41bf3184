package import CRMCore

extension Concept {
  /// What customers see and do by themselves, with a token of their own.
  static let portal = Concept(
    resources: [.portalAccesses], operations: [.inviteToPortal, .revokePortalAccess], reads: ReadOperation.portal,
    endpoints: { database, model in
      PortalSessions(database: database).endpoints + PortalActions(database: database, catalogue: model.catalogue).endpoints
    })
}

extension Resource {
  /// A customer, or a person at one, who was let into the portal.
  package static let portalAccesses = Resource(
    "portal_accesses", singular: "portal_access", table: "crm.portal_access", area: .customers, expand: ["customer", "contact"], order: "-created_at")
}
