import Foundation
import PostgresClient

/// Writes what a check has worked out. Small tables are written as the caller, under every policy, trigger and foreign key; new orders
/// and lines, which come by the hundred thousand, set-wise in a bulk merge (migration 0012), whose conditions the check has established.
struct ImportMerge {
  let plan: ImportPlan
  let tables: ImportTables
  let live: SQL
  let tx: PostgresTransaction

  func run(step: (String) async throws -> Void) async throws {
    for reference in plan.references where reference.source.absence == .create {
      try await step("creating \(reference.target.name)")
      try await create(reference)
    }
    try await step("writing \(plan.record.entity.name)")
    try await changeRecords()
    guard let lines = plan.lines, let key = plan.key else { return try await insertRecords() }
    try await lockReferred(lines)
    try await tx.run("SELECT crm.begin_merge()")
    try await tx.run(insert())
    try await step("writing \(lines.entity.name)")
    // The planner knows nothing of orders that have only just been written, nor of the rows that the change log's trigger is given: it would look products
    // up one by one, and sort lines to group them by customer.
    try await tx.run("SELECT set_config('enable_nestloop', 'off', true), set_config('enable_sort', 'off', true)")
    try await insertLines(lines, key)
    try await tx.run("SELECT set_config('enable_nestloop', 'on', true), set_config('enable_sort', 'on', true)")
    try await tx.run("SELECT crm.end_merge()")
    try await mergeKnownLines(lines)
  }

  // MARK: Referred records

  private func create(_ reference: ImportPlan.Reference) async throws {
    let target = reference.target
    let missing: SQL =
      "FROM \(tables.missing) m JOIN \(tables.file) f ON f.row_number = m.row_number WHERE m.reference = \(reference.number)"
    if case .path = reference.source.recognition {
      for (index, level) in reference.levels.enumerated() {
        try await tx.run(
          """
          INSERT INTO \(target.table.sql) (id, code, name, parent_id)
          SELECT m.id, m.key, \(level), (SELECT p.id FROM \(target.table.sql) p WHERE p.code = m.parent) \(missing) AND m.level = \(index + 1)
          """)
      }
      return
    }
    var columns = reference.create.map { ("\($0.column.identifier)" as SQL, $0.sql) }
    if let keyColumn = reference.keyColumn { columns.append(("\(keyColumn.identifier)", "m.key")) }
    if let placeholder = target.table.column("placeholder") { columns.append(("\(placeholder.identifier)", "true")) }
    if let department = target.table.column("department_id"), target.table.column("visibility") != nil,
      !reference.create.contains(where: { $0.column.name == department.name })
    {
      columns.append(("\(department.identifier)", "\(plan.department)::uuid"))
    }
    let names: SQL = columns.map(\.0).map { ", \($0)" as SQL }.joined(separator: "")
    let values: SQL = columns.map(\.1).map { ", \($0)" as SQL }.joined(separator: "")
    try await tx.run("INSERT INTO \(target.table.sql) (id\(names)) SELECT m.id\(values) \(missing)")
    if case .externalID(let system) = reference.source.recognition {
      try await tx.run(
        """
        INSERT INTO crm.external_id (relation, system, key, row_id, area)
        SELECT \(target.name)::text, \(system)::text, m.key, m.id, \(target.resource.area.rawValue)::text FROM \(tables.missing) m WHERE m.reference = \(reference.number)
        """)
    }
  }

  // MARK: Records

  /// The columns that the check filled.
  private var columns: [Catalogue.Column] {
    var columns = plan.record.fields.map(\.column) + plan.record.references.map(\.column)
    if let lines = plan.lines {
      columns += ImportRecords.sums.filter { name in lines.fields.contains { $0.column.name == name } }.compactMap {
        plan.record.entity.table.column($0)
      }
    }
    return columns
  }

  private func insert() -> SQL {
    let names: SQL = columns.map { ", \($0.identifier)" as SQL }.joined(separator: "")
    let values: SQL = columns.map { ", r.\($0.identifier)" as SQL }.joined(separator: "")
    return """
      INSERT INTO \(plan.record.entity.table.sql) (id\(names)) SELECT r.id\(values) FROM \(tables.record) r WHERE r.action = 'new' ORDER BY r.place
      """
  }

  private func insertRecords() async throws {
    try await tx.run(insert())
    guard let system = plan.system else { return }
    try await tx.run(
      """
      INSERT INTO crm.external_id (relation, system, key, row_id, area)
      SELECT \(plan.record.entity.name)::text, \(system)::text, r.key, r.id, \(plan.record.entity.resource.area.rawValue)::text FROM \(tables.record) r WHERE r.action = 'new'
      """)
  }

  private func changeRecords() async throws {
    let entity = plan.record.entity
    let changed = (plan.record.fields.map(\.column) + plan.record.references.map(\.column)).filter {
      $0.name != "department_id" && $0.name != "customer_id"
    }
    if changed.isEmpty { return }
    let sets: [SQL] = changed.map { column in
      if case .json = column.type { return "\(column.identifier) = t.\(column.identifier) || coalesce(r.\(column.identifier), '{}')" }
      return "\(column.identifier) = r.\(column.identifier)"
    }
    try await tx.run(
      "UPDATE \(entity.table.sql) t SET \(sets.joined(separator: ", ")) FROM \(tables.record) r WHERE r.action = 'changed' AND t.id = r.id")
  }

  // MARK: Lines

  /// What the lines refer to must be there until the merge has ended, because no foreign key looks.
  private func lockReferred(_ lines: ImportPlan.Part) async throws {
    try await tx.run("SELECT crm.begin_merge()")
    for reference in plan.record.references where reference.source.absence != .create {
      try await tx.run(
        """
        SELECT count(*) FROM (SELECT t.id FROM \(reference.target.table.sql) t
          WHERE t.id IN (SELECT r.\(reference.column.identifier) FROM \(tables.record) r WHERE r.action = 'new') ORDER BY t.id FOR KEY SHARE) l
        """)
    }
    try await tx.run("SELECT crm.end_merge()")
  }

  /// The lines of new orders. Where the rows of each order stand together, which is usual, they are written in the order of the file, and nothing is sorted.
  private func insertLines(_ lines: ImportPlan.Part, _ key: SQL) async throws {
    let standTogether = try await tx.value(
      Bool.self, "SELECT coalesce(bool_and(r.last_row - r.row_number + 1 = r.size), true) FROM \(tables.record) r WHERE r.action = 'new'")
    let isNumbered = lines.fields.contains { $0.column.name == "line_number" }
    let number: SQL = standTogether && !isNumbered ? "f.row_number - r.row_number + 1" : plan.lineNumber
    let (columns, values, joins) = plan.lineValues(tables, areMade: true)
    let names: SQL = columns.map { ", \($0.identifier)" as SQL }.joined(separator: "")
    let inner: SQL = values.map { ", \($0)" as SQL }.joined(separator: "")
    try await tx.run(
      """
      INSERT INTO \(lines.entity.table.sql) (customer_id, order_id, department_id, owner_id, audience, line_number, id\(names))
      SELECT r.customer_id, r.id, r.department_id, r.owner_id, r.audience, \(number),
        crm.bulk_id(\(ImportRecords.milliseconds), f.row_number, \(ImportRecords.tail()))\(inner)
      FROM \(tables.file) f
      JOIN (SELECT o.customer_id, o.id, o.department_id, o.owner_id, o.audience, r.place, r.row_number, r.key
        FROM \(tables.record) r JOIN \(plan.record.entity.table.sql) o ON o.customer_id = r.customer_id AND o.id = r.id WHERE r.action = 'new') r ON r.key = \(key)
      \(joins) WHERE \(live)
      """)
  }

  /// The lines of orders that were there, by the ordinary way: triggers add them up.
  private func mergeKnownLines(_ lines: ImportPlan.Part) async throws {
    let columns = plan.lineValues(tables, areMade: true).columns
    let names: SQL = columns.map { ", \($0.identifier)" as SQL }.joined(separator: "")
    let values: SQL = columns.map { ", l.\($0.identifier)" as SQL }.joined(separator: "")
    let table = lines.entity.table.sql
    try await tx.run(
      """
      INSERT INTO \(table) (customer_id, order_id, line_number, id, department_id\(names))
      SELECT l.customer_id, l.order_id, l.line_number, l.id, o.department_id\(values)
      FROM \(tables.line) l JOIN \(plan.record.entity.table.sql) o ON o.customer_id = l.customer_id AND o.id = l.order_id WHERE l.action = 'new'
      """)
    let sets: SQL = columns.map { "\($0.identifier) = l.\($0.identifier)" as SQL }.joined(separator: ", ")
    try await tx.run("UPDATE \(table) t SET \(sets) FROM \(tables.line) l WHERE l.action = 'changed' AND \(ImportRecords.sameLine)")
  }
}
