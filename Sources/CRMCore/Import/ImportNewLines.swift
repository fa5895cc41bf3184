import PostgresClient

/// The lines of new orders, which are most of what is written: worked out as they will be stored and in the order of their key, so that writing them is
/// one pass that adds to the end of each index.
struct ImportNewLines: Sendable {
  let checked: ImportCheck.Result
  let lines: ImportPlan.Part
  let key: SQL

  private var tables: ImportTables { checked.tables }

  /// Works the lines out, in a transaction of its own.
  func prepare(in database: Database, as caller: Caller) async throws {
    try await database.transaction(as: caller, lane: .reports, deadline: .after(Importer.patience)) { tx in
      try await tx.run(Importer.room)
      // The planner may not know how many products there are: it would look them up one by one.
      try await tx.run("SELECT set_config('enable_nestloop', 'off', true)")
      // Where the rows of each order stand together, which is usual, a line's number needs no sorting by order.
      let standTogether = try await tx.value(
        Bool.self, "SELECT coalesce(bool_and(r.last_row - r.row_number + 1 = r.size), true) FROM \(tables.record) r WHERE r.action = 'new'")
      try await tx.run(select(standTogether: standTogether))
      try await tx.run("GRANT SELECT ON \(tables.newLine) TO crm_bulk")
    }
  }

  private func select(standTogether: Bool) -> SQL {
    let isNumbered = lines.fields.contains { $0.column.name == "line_number" }
    let number: SQL = standTogether && !isNumbered ? "f.row_number - r.row_number + 1" : checked.plan.lineNumber
    // Ids ascend with the key of the lines, so that their index grows at its end.
    let place: SQL = standTogether ? "r.place + f.row_number - r.row_number" : "f.row_number"
    let order: SQL = standTogether ? place : "r.place, f.row_number"
    let (columns, values, joins) = checked.plan.lineValues(tables)
    let said: SQL = zip(columns, values).map { ", \($1) AS \($0.identifier)" as SQL }.joined(separator: "")
    return """
      CREATE UNLOGGED TABLE \(tables.newLine) WITH (autovacuum_enabled = false) AS
      SELECT r.customer_id, r.id AS order_id, r.department_id, r.owner_id, r.audience, \(number) AS line_number,
        crm.bulk_id(\(ImportRecords.milliseconds), \(place), \(ImportRecords.tail())) AS id\(said)
      FROM \(tables.file) f JOIN \(tables.record) r ON r.key = \(key) AND r.action = 'new' \(joins) WHERE \(checked.live) ORDER BY \(order)
      """
  }

  func insert() -> SQL {
    let names: SQL = checked.plan.lineValues(tables).columns.map { ", \($0.identifier)" as SQL }.joined(separator: "")
    let all: SQL = "customer_id, order_id, department_id, owner_id, audience, line_number, id\(names)"
    // Who made the lines is worked out once, not by the column's default a line.
    return """
      INSERT INTO \(lines.entity.table.sql) (\(all), created_by) SELECT \(all), (SELECT crm.caller_id()) FROM \(tables.newLine)
      """
  }
}
