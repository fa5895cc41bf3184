import Foundation
import PostgresClient

/// Writes what a check has worked out. Small tables are written as the caller, under every policy, trigger and foreign key; new orders
/// and lines, which come by the hundred thousand, set-wise in a bulk merge (migration 0012), whose conditions the check has established.
struct ImportMerge: Sendable {
  let checked: ImportCheck.Result
  let database: Database
  let caller: Caller
  let tx: PostgresTransaction

  private var plan: ImportPlan { checked.plan }
  private var tables: ImportTables { checked.tables }

  func run(step: (String) async throws -> Void) async throws {
    guard let lines = plan.lines, let key = plan.key else {
      try await writeReferred(step)
      try await step("writing \(plan.record.entity.name)")
      try await changeRecords()
      return try await insertRecords()
    }
    let newLines = ImportNewLines(checked: checked, lines: lines, key: key)
    // Worked out on a connection of their own while the orders are being written here.
    async let prepared: Void = newLines.prepare(in: database, as: caller)
    try await writeReferred(step)
    try await step("writing \(plan.record.entity.name)")
    try await changeRecords()
    try await tx.run("SELECT crm.begin_merge()")
    try await lockReferred()
    try await tx.run(insert())
    try await prepared
    try await step("writing \(lines.entity.name)")
    // The planner knows nothing of the rows that the change log's trigger is given: it would sort them to group them by customer.
    try await tx.run("SELECT set_config('enable_sort', 'off', true)")
    try await tx.run(newLines.insert())
    try await tx.run("SELECT set_config('enable_sort', 'on', true)")
    try await tx.run("SELECT crm.end_merge()")
    try await mergeKnownLines(lines)
  }

  // MARK: Referred records

  private func writeReferred(_ step: (String) async throws -> Void) async throws {
    for reference in plan.references where reference.source.absence == .create {
      try await step("creating \(reference.target.name)")
      try await create(reference)
    }
  }

  private func create(_ reference: ImportPlan.Reference) async throws {
    let target = reference.target
    let missing: SQL =
      "FROM \(tables.reference) m JOIN \(tables.file) f ON f.row_number = m.row_number WHERE m.reference = \(reference.number) AND m.is_new"
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
        SELECT \(target.name)::text, \(system)::text, m.key, m.id, \(target.resource.area.rawValue)::text FROM \(tables.reference) m
        WHERE m.reference = \(reference.number) AND m.is_new
        """)
    }
  }

  /// What was there and is referred to must be there until the merge has ended, because no foreign key looks.
  private func lockReferred() async throws {
    for reference in plan.references {
      let found: SQL = "FROM \(tables.reference) m WHERE m.reference = \(reference.number) AND NOT m.is_new"
      let isThere = try await tx.value(
        Bool.self,
        """
        SELECT (SELECT count(*) FROM (SELECT t.id FROM \(reference.target.table.sql) t WHERE t.id IN (SELECT m.id \(found)) ORDER BY t.id FOR KEY SHARE) l)
          = (SELECT count(DISTINCT m.id) \(found))
        """)
      if isThere { continue }
      throw Problem(
        409, "changed-meanwhile",
        Phrase(
          "A record in \(reference.target.name) that the file refers to was removed while the file was checked. Run the import again.",
          tr: "Dosya denetlenirken \(reference.target.name) içinde dosyanın gösterdiği bir kayıt silindi. İçe aktarmayı yeniden çalıştırın."))
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
    if changed.isEmpty || entity.resource.change.isEmpty { return }
    let sets: [SQL] = changed.map { column in
      if case .json = column.type { return "\(column.identifier) = t.\(column.identifier) || coalesce(r.\(column.identifier), '{}')" }
      return "\(column.identifier) = r.\(column.identifier)"
    }
    try await tx.run(
      "UPDATE \(entity.table.sql) t SET \(sets.joined(separator: ", ")) FROM \(tables.record) r WHERE r.action = 'changed' AND t.id = r.id")
  }

  // MARK: Lines

  /// The lines of orders that were there, by the ordinary way: triggers add them up.
  private func mergeKnownLines(_ lines: ImportPlan.Part) async throws {
    let columns = plan.lineValues(tables).columns
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
