package import CRMCore
import Foundation
import PostgresClient

/// Puts every active customer into exactly one cell of a grid, aside, and moves those who were elsewhere in one statement.
enum GridEvaluation {
  /// Stays are ranges of time: nobody can be found somewhere before the last time everybody was looked at.
  static func mustFollow(_ grid: GridDefinition, _ asOf: Date?) throws(Problem) {
    guard let asOf, let last = grid.evaluatedAt, asOf < last else { return }
    throw Problem(
      409, "as-of-before-last-run",
      Phrase("The grid was evaluated as of a later instant already.", tr: "Izgara daha sonraki bir an için zaten değerlendirildi."),
      detail: Phrase("Give an instant from \(last.formatted(.iso8601)) on.", tr: "\(last.formatted(.iso8601)) ya da sonrası bir an verin."))
  }

  static func evaluate(_ run: AnalysisRun, _ compiler: QueryCompiler, in tx: PostgresTransaction) async throws -> (population: Int, result: JSON) {
    guard let id = run.subjectID else { throw Problem.notFound }
    let grid = try await GridDefinition.locked(id, in: tx)
    try mustFollow(grid, run.asOf)
    let bands = try GridAxis(json: grid.bands, pointer: "/bands")
    let groups = try GridAxis(json: grid.groups, pointer: "/groups")
    let statement = try GridPopulation.statement(
      bands: bands, groups: groups, activeDays: grid.activeDays, asOf: run.asOf, currency: grid.currency, compiler)
    _ = try await tx.result("SELECT set_config('work_mem', '128MB', true)")
    let population = try GridPopulation(try await tx.result(statement.sql), bands: bands, groups: groups)
    guard !population.customers.isEmpty else {
      throw Problem(
        422, "empty-population", Phrase("No customer was active.", tr: "Etkin müşteri yok."),
        detail: Phrase(
          "Nobody bought anything in the \(grid.activeDays) days before the instant.",
          tr: "Bu andan önceki \(grid.activeDays) gün içinde kimse alışveriş yapmadı."))
    }
    let placed = place(population, bands, groups)
    try await write(placed.bands, placed.groups, of: population.customers, grid.id, run, in: tx)
    return (population.customers.count, placed.result)
  }

  private static func place(_ population: GridPopulation, _ bandAxis: GridAxis, _ groupAxis: GridAxis) -> (bands: [String], groups: [String], result: JSON) {
    let bands = population.bands(by: bandAxis)
    var groups = [String](repeating: GridAxis.none, count: bands.labels.count)
    var details: [JSON] = []
    for (band, members) in Dictionary(grouping: bands.labels.indices, by: { bands.labels[$0] }).sorted(by: { $0.key < $1.key }) {
      let cut = population.groups(by: groupAxis, of: members)
      for (index, label) in zip(members, cut.labels) { groups[index] = label }
      let sizes = Dictionary(cut.labels.map { ($0, 1) }, uniquingKeysWith: +)
      details.append([
        "band": .string(band), "customers": .number(Decimal(members.count)), "groups": .object(sizes.mapValues { .number(Decimal($0)) }), "kmeans": cut.quality,
      ])
    }
    return (bands.labels, groups, ["bands": .array(details), "kmeans": bands.quality])
  }

  private static func write(_ bands: [String], _ groups: [String], of customers: [UUID], _ grid: UUID, _ run: AnalysisRun, in tx: PostgresTransaction)
    async throws
  {
    _ = try await tx.results([
      "CREATE TEMPORARY TABLE placed (customer_id uuid PRIMARY KEY, band text NOT NULL, \"group\" text NOT NULL) ON COMMIT DROP",
      """
      INSERT INTO pg_temp.placed (customer_id, band, "group")
      SELECT p.customer_id, p.band, p."group" FROM unnest(\(customers)::uuid[], \(bands)::text[], \(groups)::text[]) AS p (customer_id, band, "group")
      """,
      """
      INSERT INTO crm.grid_cell (grid_id, band, "group") SELECT DISTINCT \(grid)::uuid, p.band, p."group" FROM pg_temp.placed p
       WHERE NOT EXISTS (SELECT FROM crm.grid_cell c WHERE c.grid_id = \(grid) AND c.band = p.band AND c."group" = p."group")
      """,
      """
      WITH found AS (
        SELECT p.customer_id, c.id AS cell_id FROM pg_temp.placed p JOIN crm.grid_cell c ON c.grid_id = \(grid) AND c.band = p.band AND c."group" = p."group"
      ), gone AS (
        SELECT m.id, m.entered_at FROM crm.customer_cell m LEFT JOIN found f ON f.customer_id = m.customer_id
         WHERE m.grid_id = \(grid) AND m.left_at IS NULL AND f.cell_id IS DISTINCT FROM m.cell_id
      ), undone AS (
        DELETE FROM crm.customer_cell m USING gone g WHERE m.id = g.id AND g.entered_at >= \(run.asOf)
      ) UPDATE crm.customer_cell m SET left_at = \(run.asOf) FROM gone g WHERE m.id = g.id AND g.entered_at < \(run.asOf)
      """,
      """
      INSERT INTO crm.customer_cell (grid_id, cell_id, customer_id, entered_at)
      SELECT \(grid)::uuid, c.id, p.customer_id, \(run.asOf)::timestamptz FROM pg_temp.placed p JOIN crm.grid_cell c ON c.grid_id = \(grid) AND c.band = p.band AND c."group" = p."group"
       WHERE NOT EXISTS (SELECT FROM crm.customer_cell m WHERE m.grid_id = \(grid) AND m.customer_id = p.customer_id AND m.left_at IS NULL)
      """,
      "UPDATE crm.grid SET evaluated_at = \(run.asOf), run_id = \(run.id) WHERE id = \(grid)",
    ])
  }
}

extension JobHandler {
  /// What workers do of grids.
  package static func grids(of resources: [Resource]) -> [JobHandler] {
    [
      .analysis("grid") { run, tx, progress in
        let database = progress.lease.database
        let model = try Model(resources: resources, catalogue: try await Catalogue.read(from: database.pool))
        let fields = CustomFieldCache()
        try await fields.reload(from: database)
        return try await GridEvaluation.evaluate(run, QueryCompiler(model: model, customFields: fields.current), in: tx)
      }
    ]
  }

  /// Asks for a run of the grid that steers, because windows move with time.
  static let refreshGrids = JobHandler("grids.refresh") { lease in
    try await lease.complete(as: .system("evaluate the grid that steers"), deadline: .after(.seconds(60))) { tx in
      let grids = try await tx.all(GridDefinition.self, "SELECT \(GridDefinition.columns) FROM crm.grid g WHERE g.steers AND g.evaluated_at < now()")
      for grid in grids { _ = try await AnalysisRun.request(kind: "grid", subject: grid.id, method: "customer_grid", asOf: nil, in: tx) }
    }
  }
}

extension Schedule {
  static let gridRefresh = Schedule("grids.refresh", kind: "grids.refresh", .every(.seconds(86_400)))
}
