package import Foundation

/// On whose behalf data is touched. Nothing reaches the database without one: row-level security decides by it.
package struct Caller: Sendable {
  package enum Identity: Sendable, Hashable {
    /// A person or an integration, signed in as this user.
    case user(UUID)
    /// Work of the system itself; the reason is logged with every change.
    case system(reason: String)
    /// A customer with a token of the portal: sees what is offered to customers, of their own.
    case customer(PortalVisitor)
    /// Nobody yet: sees nothing.
    case anonymous
  }

  /// Whom a token of the portal was given to.
  package struct PortalVisitor: Sendable, Hashable {
    package let customerID: UUID
    /// The person at the customer; nil for the customer as a whole.
    package let contactID: UUID?
    /// Whether a person sees the tickets and conversations of everybody at the organisation.
    package let seesOrganisation: Bool
    /// The access that lets them in, by which the change log names what they do.
    package let accessID: UUID

    package init(customerID: UUID, contactID: UUID?, seesOrganisation: Bool, accessID: UUID) {
      self.customerID = customerID
      self.contactID = contactID
      self.seesOrganisation = seesOrganisation
      self.accessID = accessID
    }
  }

  /// The row audiences a caller reaches in one area: departments, the whole company (`companyAudience`) and the caller's own id.
  package struct Reach: Sendable, Hashable {
    package let readable: Set<UUID>
    package let writable: Set<UUID>
    /// `readable` as PostgreSQL's setting wants it, made once when the caller is authenticated.
    package let readableSetting: String
    package let writableSetting: String

    package init(readable: Set<UUID>, writable: Set<UUID>) {
      self.readable = readable
      self.writable = writable
      readableSetting = readable.map(\.lowercase).sorted().joined(separator: ",")
      writableSetting = writable.map(\.lowercase).sorted().joined(separator: ",")
    }

    private init(setting: String) {
      readable = []
      writable = []
      readableSetting = setting
      writableSetting = setting
    }

    /// Every row, for reading and writing.
    static let everything = Reach(setting: "*")
  }

  package let identity: Identity
  package let departmentID: UUID?
  package let reach: [Area: Reach]
  /// What an API key was narrowed to; nil for no narrowing. Each is `area:read` or `area:write`.
  package let scopes: Set<String>?
  /// What the change log says of how the caller came in: `api`, `job`, `import:<id>`, `system:<reason>`.
  package let via: String
  package let name: String
  /// Records shared with the caller for writing; those shared for reading are among what they read in the records' area.
  package let shared: [UUID]

  package init(
    identity: Identity, name: String = "", departmentID: UUID? = nil, reach: [Area: Reach] = [:], shared: [UUID] = [], scopes: Set<String>? = nil,
    via: String = "api"
  ) {
    self.identity = identity
    self.name = name
    self.departmentID = departmentID
    self.reach = reach
    self.shared = shared
    self.scopes = scopes
    self.via = via
  }

  package static let anonymous = Caller(identity: .anonymous)

  /// Work of the system itself, which sees every row. Every use is greppable and named in the change log.
  package static func system(_ reason: String) -> Caller {
    Caller(identity: .system(reason: reason), name: "system", via: "system:\(reason)")
  }

  package var userID: UUID? {
    if case .user(let id) = identity { id } else { nil }
  }

  package var portalVisitor: PortalVisitor? {
    if case .customer(let visitor) = identity { visitor } else { nil }
  }

  package var isSystem: Bool {
    if case .system = identity { true } else { false }
  }

  /// Whether the caller reads anything at all in an area; which rows is row-level security's to say.
  package func reads(_ area: Area) -> Bool { isSystem || reach[area]?.readableSetting.isEmpty == false }
  package func writes(_ area: Area) -> Bool { isSystem || reach[area]?.writableSetting.isEmpty == false }

  /// The same caller for one operation that works beyond their own reach in some areas, once they were let in: accepting a quote reserves stock
  /// that only purchasing may write. The change log still names them.
  package func extended(to areas: Set<Area>) -> Caller {
    // A customer's reach is that of a role of the database: nothing extends it.
    areas.isEmpty || portalVisitor != nil
      ? self
      : Caller(
        identity: identity, name: name, departmentID: departmentID, reach: reach.merging(areas.map { ($0, .everything) }) { $1 }, shared: shared,
        scopes: scopes, via: via)
  }
}
