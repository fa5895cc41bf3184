package import Foundation
package import PostgresClient

/// The only door to the data. Whoever enters says on whose behalf; row-level security decides what they find.
package struct Database: Sendable {
  package let pool: PostgresPool
  /// The bytes that rows name.
  package let files: FileFolder
  package let secrets: ChannelSecrets

  package init(pool: PostgresPool, files: FileFolder = FileFolder(), secrets: ChannelSecrets = ChannelSecrets()) {
    self.pool = pool
    self.files = files
    self.secrets = secrets
  }

  /// Runs one statement on somebody's behalf in a read-only transaction, in one round trip.
  package func read(
    as caller: Caller, areas: Set<Area> = Set(Area.allCases), lane: PostgresPool.Lane = .interactive, deadline: Deadline = .after(.seconds(10)),
    _ statement: SQL
  ) async throws -> PostgresResult {
    let results = try await pool.execute(
      [statement], context: caller.context(reading: areas), lane: lane, deadline: deadline)
    return results[0]
  }

  /// Runs `body` in one transaction on somebody's behalf: all of it happens, or nothing.
  @discardableResult
  package func transaction<Value: Sendable>(
    as caller: Caller, request: UUID? = nil, lane: PostgresPool.Lane = .interactive, deadline: Deadline = .after(.seconds(10)),
    retries: Bool = false, _ body: @Sendable @escaping (PostgresTransaction) async throws -> Value
  ) async throws -> Value {
    try await pool.transaction(
      context: caller.context(writing: Set(Area.allCases), request: request), lane: lane, deadline: deadline, retries: retries, body)
  }
}

extension Caller {
  /// The settings that a read needs: only of the areas it touches, because each costs PostgreSQL time. A policy whose setting is missing shows nothing.
  package func context(reading areas: Set<Area>) -> PostgresPool.Context {
    if let portalVisitor { return PostgresPool.Context(settings: portalVisitor.settings, readOnly: true) }
    var settings = [PostgresPool.Context.Setting("muhatap.caller", userID?.lowercase ?? "")]
    for area in Area.allCases where areas.contains(area) {
      settings.append(PostgresPool.Context.Setting(area.readSetting, isSystem ? "*" : reach[area]?.readableSetting ?? ""))
    }
    return PostgresPool.Context(settings: settings, readOnly: true)
  }

  /// The settings that a write needs: what the change log says of it, and the caller's reach in the areas it touches.
  package func context(writing areas: Set<Area>, request: UUID?) -> PostgresPool.Context {
    if let portalVisitor { return PostgresPool.Context(settings: portalVisitor.settings, readOnly: true) }
    var settings = [
      PostgresPool.Context.Setting("muhatap.caller", userID?.lowercase ?? ""),
      PostgresPool.Context.Setting("muhatap.request", request?.lowercase ?? ""),
      PostgresPool.Context.Setting("muhatap.via", via),
    ]
    if !shared.isEmpty {
      settings.append(PostgresPool.Context.Setting("muhatap.shared_write", shared.map(\.lowercase).joined(separator: ",")))
    }
    if scopes != nil { settings.append(PostgresPool.Context.Setting("muhatap.narrowed", "on")) }
    for area in Area.allCases where areas.contains(area) {
      settings.append(PostgresPool.Context.Setting(area.readSetting, isSystem ? "*" : reach[area]?.readableSetting ?? ""))
      settings.append(PostgresPool.Context.Setting(area.writeSetting, isSystem ? "*" : reach[area]?.writableSetting ?? ""))
    }
    return PostgresPool.Context(settings: settings, readOnly: false)
  }
}

extension Caller.PortalVisitor {
  /// The role whose rights are those of customers, and whose rows it sees. The role only reads; what a visitor does is an operation that asks it first.
  fileprivate var settings: [PostgresPool.Context.Setting] {
    [
      .init("muhatap.caller", ""), .init("muhatap.portal_customer", customerID.lowercase), .init("muhatap.portal_contact", contactID?.lowercase ?? ""),
      .init("muhatap.portal_whole", seesOrganisation ? "on" : ""), .init("role", "crm_portal"),
    ]
  }
}

extension Area {
  var readSetting: StaticString {
    switch self {
    case .customers: "muhatap.read_customers"
    case .products: "muhatap.read_products"
    case .sales: "muhatap.read_sales"
    case .marketing: "muhatap.read_marketing"
    case .service: "muhatap.read_service"
    case .finance: "muhatap.read_finance"
    case .purchasing: "muhatap.read_purchasing"
    case .analytics: "muhatap.read_analytics"
    case .admin: "muhatap.read_admin"
    }
  }

  var writeSetting: StaticString {
    switch self {
    case .customers: "muhatap.write_customers"
    case .products: "muhatap.write_products"
    case .sales: "muhatap.write_sales"
    case .marketing: "muhatap.write_marketing"
    case .service: "muhatap.write_service"
    case .finance: "muhatap.write_finance"
    case .purchasing: "muhatap.write_purchasing"
    case .analytics: "muhatap.write_analytics"
    case .admin: "muhatap.write_admin"
    }
  }
}
