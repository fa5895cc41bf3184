import CRMCore
import Foundation
import PostgresClient

struct NewGrid: OperationInput {
  let code: String
  let name: String
  let note: String?
  let bands: JSON
  let groups: JSON
  let activeDays: Int
  let currency: String?
  let steers: Bool

  init(_ fields: inout InputReader) {
    code = fields.text("code", "Stable name, unique: small letters, digits and underscores.", maximum: 63)
    name = fields.text("name", "Name as people say it.", maximum: 200)
    note = fields.optionalText("note", "What colleagues should know.")
    bands = fields.optionalObject("bands", "How customers are cut by value, by tier if not given: \(GridAxis.meaning)") ?? ["by": "tier"]
    let within = fields.optionalObject("groups", "How each band is cut, within the band: \(GridAxis.meaning)")
    groups = within ?? [:]
    activeDays = fields.optionalInteger("active_days", "A customer is active with a purchase in this many days, 365 if not given.", in: 1...36_500) ?? 365
    currency = fields.optionalText("currency", "Currency of amounts; without it, the only one among the latest purchases.", maximum: 3)
    steers = fields.flag("steers", "Whether the policies of its cells hold; of one grid at most.")
    if within == nil { fields.refuse("groups", code: "required", Phrase("groups is required.", tr: "groups zorunludur.")) }
  }
}

struct GridChange: OperationInput {
  let name: String?
  let note: String?
  let bands: JSON?
  let groups: JSON?
  let activeDays: Int?
  let currency: String?
  let steers: Bool?

  init(_ fields: inout InputReader) {
    name = fields.optionalText("name", "Name as people say it.", maximum: 200)
    note = fields.optionalText("note", "What colleagues should know.")
    bands = fields.optionalObject("bands", "How customers are cut by value.")
    groups = fields.optionalObject("groups", "How each band is cut, within the band.")
    activeDays = fields.optionalInteger("active_days", "A customer is active with a purchase in this many days.", in: 1...36_500)
    currency = fields.optionalText("currency", "Currency of amounts.", maximum: 3)
    steers = fields.optionalFlag("steers", "Whether the policies of its cells hold; of one grid at most.")
  }
}

struct GridRunQuestion: OperationInput {
  let asOf: Date?
  init(_ fields: inout InputReader) {
    asOf = fields.optionalInstant("as_of", "Facts before this instant count; without it, now. Not before the last evaluation.")
  }
}

extension BusinessOperation {
  private static let taken: [String: any Error] = [
    "grid_steers_index": Problem(
      409, "grid-steers", Phrase("Another grid steers; let it stop first.", tr: "Başka bir ızgara yönlendiriyor; önce onu durdurun."))
  ]

  static let createGrid = BusinessOperation(
    "create_grid", .post, "/v1/grids", of: "grids", access: .write(.analytics), "Create a grid",
    description: "It has cells once it was evaluated: POST /v1/grids/{id}/runs.", input: NewGrid.self, answer: .record("grids", status: 201),
    extending: SegmentDefinition.reach
  ) { run, input in
    let currency = try await run.checkGrid(input.bands, input.groups, activeDays: input.activeDays, currency: input.currency)
    return .record(
      try await run.tx.one(
        GridID.self,
        """
        INSERT INTO crm.grid (code, name, note, bands, groups, active_days, currency, steers)
        VALUES (\(input.code), \(input.name), \(input.note), \(try input.bands.stored), \(try input.groups.stored), \(input.activeDays), \(currency), \(input.steers)) RETURNING id
        """, onViolation: taken
      ).id)
  }

  static let changeGrid = BusinessOperation(
    "change_grid", .patch, "/v1/grids/{id}", of: "grids", access: .write(.analytics), "Change a grid",
    description: "Another way to cut holds from the next run on.", input: GridChange.self, answer: .record("grids"), extending: SegmentDefinition.reach
  ) { run, input in
    let grid = try await GridDefinition.locked(try run.id(), in: run.tx)
    let (bands, groups, days) = (input.bands ?? grid.bands, input.groups ?? grid.groups, input.activeDays ?? grid.activeDays)
    let currency = try await run.checkGrid(bands, groups, activeDays: days, currency: input.currency ?? grid.currency)
    _ = try await run.tx.result(
      """
      UPDATE crm.grid SET name = coalesce(\(input.name), name), note = coalesce(\(input.note), note), bands = \(try bands.stored), groups = \(try groups.stored), active_days = \(days),
             currency = \(currency), steers = coalesce(\(input.steers), steers) WHERE id = \(grid.id)
      """, onViolation: taken)
    return .record(grid.id)
  }

  static let deleteGrid = BusinessOperation(
    "delete_grid", .delete, "/v1/grids/{id}", of: "grids", access: .write(.analytics), "Delete a grid that does not steer",
    description: "With its cells and who was in them.",
    input: NoInput.self, answer: .empty
  ) { run, _ in
    let grid = try await GridDefinition.locked(try run.id(), in: run.tx)
    if grid.steers {
      throw Problem(
        409, "grid-steers",
        Phrase("The policies of its cells hold; let it stop steering first.", tr: "Hücrelerinin politikaları geçerli; önce yönlendirmesini durdurun."))
    }
    try await run.tx.run("DELETE FROM crm.grid WHERE id = \(grid.id)")
    return .empty
  }

  static let runGrid = BusinessOperation(
    "run_grid", .post, "/v1/grids/{id}/runs", of: "analysis_runs", access: .write(.analytics), "Put every active customer into its cell",
    description: "A worker does it; the run shows what came out, or why it failed. New cells begin with the strategy keep; those there are keep theirs.",
    input: GridRunQuestion.self, answer: .record("analysis_runs", status: 202)
  ) { run, input in
    let grid = try await GridDefinition.locked(try run.id(), in: run.tx)
    try GridEvaluation.mustFollow(grid, input.asOf)
    return .record(try await AnalysisRun.request(kind: "grid", subject: grid.id, method: "customer_grid", asOf: input.asOf, in: run.tx))
  }

  private struct GridID: RowDecodable {
    let id: UUID
    init(row: PostgresRow) throws { id = try row.decode("id") }
  }
}

extension BusinessOperation.Run {
  /// Holds a grid's definition against the model and what its author may read. Answers with the currency of its amounts.
  fileprivate func checkGrid(_ bands: JSON, _ groups: JSON, activeDays: Int, currency: String?) async throws -> String? {
    let first = try GridAxis(json: bands, pointer: "/bands")
    let second = try GridAxis(json: groups, pointer: "/groups")
    let hasAmounts = try await SegmentDefinition.checkMetrics(first.measures + second.measures, in: tx)
    let chosen = hasAmounts ? try await SegmentDefinition.currency(given: currency, in: tx) : currency
    try SegmentDefinition.mayRead(
      GridPopulation.statement(bands: first, groups: second, activeDays: activeDays, asOf: nil, currency: chosen, compiler).areas, asker)
    return chosen
  }
}
