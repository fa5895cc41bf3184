package import CRMCore
import Foundation
import PostgresClient

extension Concept {
  /// Customers cut by value into bands and each band into groups: cells with a strategy and a policy.
  static let grids = Concept(
    resources: [.grids, .gridCells], operations: [.createGrid, .changeGrid, .deleteGrid, .runGrid], reads: [.gridMatrix, .gridCellMembers, .customerPolicy],
    jobs: [.refreshGrids], schedules: [.gridRefresh])
}

extension Resource {
  package static let grids = Resource("grids", singular: "grid", table: "crm.grid", area: .analytics, search: ["name", "code"], order: "code")

  /// Made by runs of their grid; what is meant to be done with them is anybody's to say who writes analytics.
  package static let gridCells = Resource(
    "grid_cells", singular: "grid_cell", table: "crm.grid_cell", area: .analytics,
    change: [
      "strategy", "owner_id", "target_customers", "target_revenue", "discount_cap_percent", "discount_cap_binds", "sla_class", "contact_cadence_days",
      "channel", "note",
    ],
    expand: ["grid", "owner"], search: ["band", "group"], order: "band")
}

/// A grid as it is stored.
struct GridDefinition: RowDecodable, Sendable {
  let id: UUID
  let bands: JSON
  let groups: JSON
  let activeDays: Int
  let currency: String?
  let evaluatedAt: Date?
  let steers: Bool

  init(row: PostgresRow) throws {
    id = try row.decode("id")
    bands = try JSONDecoder().decode(JSON.self, from: Data(try row.decode(JSONText.self, "bands").text.utf8))
    groups = try JSONDecoder().decode(JSON.self, from: Data(try row.decode(JSONText.self, "groups").text.utf8))
    activeDays = try row.decode("active_days")
    currency = try row.decode("currency")
    evaluatedAt = try row.decode("evaluated_at")
    steers = try row.decode("steers")
  }

  static let columns: SQL = "g.id, g.bands, g.groups, g.active_days, g.currency, g.evaluated_at, g.steers"

  static func locked(_ id: UUID, in tx: PostgresTransaction) async throws -> GridDefinition {
    guard let grid = try await tx.first(GridDefinition.self, "SELECT \(columns) FROM crm.grid g WHERE g.id = \(id) FOR UPDATE") else { throw Problem.notFound }
    return grid
  }
}
