import Foundation
import PostgresClient

/// The statement that works the records out of the staged rows: values cast, references looked up, existing records recognised and compared.
struct ImportRecords {
  let plan: ImportPlan
  let tables: ImportTables
  let live: SQL

  /// The names under which references are joined.
  static let aliases: [SQL] = ["r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11"]

  /// What lines add up to on their order, and what an import of lines therefore does not compare.
  static let sums = ["amount", "loyalty_discount", "coupon_discount", "coupon_match_discount"]

  private var entity: Model.Entity { plan.record.entity }

  func insert() -> SQL {
    let fields = plan.record.fields
    let references = plan.record.references
    var columns = fields.map(\.column) + references.map(\.column)
    var values: [SQL] = fields.map { "\($0.sql) AS \($0.column.identifier)" }
    values += references.map { "\(Self.aliases[$0.number]).id AS \($0.column.identifier)" }
    let compared = columns
    if let lines = plan.lines {
      for name in Self.sums {
        guard lines.fields.contains(where: { $0.column.name == name }), let column = entity.table.column(name) else { continue }
        columns.append(column)
        values.append("f.\(column.identifier) AS \(column.identifier)")
      }
    }
    let names: SQL = columns.map { "\($0.identifier)" as SQL }.joined(separator: ", ")
    let selected: SQL = columns.map { "s.\($0.identifier)" as SQL }.joined(separator: ", ")
    let joins = references.map { $0.join(tables) }.joined(separator: " ")
    let order: SQL = columns.contains { $0.name == "customer_id" } ? "s.customer_id, s.row_number" : "s.row_number"
    return """
      INSERT INTO \(tables.record) (row_number, last_row, size, key, \(names), place, id, action)
      SELECT s.row_number, s.last_row, s.size, s.key, \(selected), sum(s.size) OVER w - s.size,
        coalesce(t.id, crm.bulk_id(\(Self.milliseconds), row_number() OVER w, \(Self.tail()))),
        CASE WHEN t.id IS NULL THEN \(absent) WHEN \(Self.same(compared)) THEN 'unchanged' \(closed) ELSE 'changed' END
      FROM (SELECT f.row_number, f.last_row, f.size, \(plan.key ?? "NULL::text") AS key, \(values.joined(separator: ", ")) FROM \(rows) f \(joins)) s
      \(existing)
      WINDOW w AS (ORDER BY \(order))
      """
  }

  /// The rows that records are made of: each by itself, or those of one record gathered.
  private var rows: SQL {
    if plan.lines != nil { return tables.gathered }
    let all: SQL = plan.columns.map { "f.\($0)" as SQL }.joined(separator: ", ")
    return "(SELECT f.row_number, f.row_number AS last_row, 1::bigint AS size, \(all) FROM \(tables.file) f WHERE \(live))"
  }

  /// Gathers the rows that make one record, with the sums of their lines; nil when each row is a record by itself.
  func gather() -> SQL? {
    guard let lines = plan.lines else { return nil }
    let said: SQL = plan.recordColumns.map { "f.\($0)" as SQL }.joined(separator: ", ")
    let sums: [SQL] = Self.sums.compactMap { name in
      guard let line = lines.fields.first(where: { $0.column.name == name }), let column = entity.table.column(name) else { return nil }
      return ", sum(\(line.sql)) AS \(column.identifier)"
    }
    return """
      CREATE UNLOGGED TABLE \(tables.gathered) WITH (autovacuum_enabled = false) AS
      SELECT min(f.row_number) AS row_number, max(f.row_number) AS last_row, count(*) AS size, \(said)\(sums.joined(separator: "")) FROM \(tables.file) f WHERE \(live) GROUP BY \(said)
      """
  }

  /// Existing records, as `t`.
  private var existing: SQL {
    let table = entity.table.sql
    if let system = plan.system {
      return """
        LEFT JOIN (SELECT x.key, x.row_id FROM crm.external_id x WHERE x.relation = \(entity.name) AND x.system = \(system)) x ON x.key = s.key
        LEFT JOIN \(table) t ON t.id = x.row_id
        """
    }
    if plan.matched.isEmpty { return "LEFT JOIN \(table) t ON false" }
    let same: SQL = plan.matched.map { "t.\($0.identifier) = s.\($0.identifier)" as SQL }.joined(separator: " AND ")
    return "LEFT JOIN \(table) t ON \(same)"
  }

  /// A key that leads to a record the caller does not see is not new.
  private var absent: SQL { plan.system == nil ? "'new'" : "CASE WHEN x.row_id IS NULL THEN 'new' ELSE 'closed' END" }

  private var closed: SQL {
    // What is only ever added, such as consent, is not changed by an import either.
    if entity.resource.change.isEmpty { return "WHEN true THEN 'kept'" }
    guard let department = entity.table.column("department_id"), let owner = entity.table.column("owner_id") else { return "" }
    return "WHEN NOT crm.may_write(\(entity.resource.area.rawValue), t.\(department.identifier), t.\(owner.identifier)) THEN 'closed'"
  }

  /// Whether the existing record says what the file says. Objects are merged, so that they need only contain what the file says. The department of
  /// an existing record is its own affair.
  private static func same(_ columns: [Catalogue.Column]) -> SQL {
    let parts: [SQL] = columns.filter { $0.name != "department_id" }.map { column in
      if case .json = column.type { return "t.\(column.identifier) @> coalesce(s.\(column.identifier), '{}')" }
      return "t.\(column.identifier) IS NOT DISTINCT FROM s.\(column.identifier)"
    }
    return parts.isEmpty ? "true" : parts.joined(separator: " AND ")
  }

  /// The time in the ids of one statement, worked out once.
  static let milliseconds: SQL = "(SELECT (extract(epoch FROM now()) * 1000)::bigint)"

  /// The random half of the ids of one statement: the variant and 60 bits.
  static func tail() -> String {
    let random = String(UInt64.random(in: 0..<1 << 60), radix: 16)
    return "8" + String(repeating: "0", count: 15 - random.count) + random
  }
}

extension ImportRecords {
  static let sameLine: SQL = "t.customer_id = l.customer_id AND t.order_id = l.order_id AND t.line_number = l.line_number"

  /// Works out the lines of orders that were there: recognised by their number; new, changed or unchanged.
  func insertKnownLines(_ lines: ImportPlan.Part, key: SQL) -> SQL {
    let (columns, values, joins) = plan.lineValues(tables)
    let names: SQL = columns.map { ", \($0.identifier)" as SQL }.joined(separator: "")
    let inner: SQL = zip(columns, values).map { ", \($1) AS \($0.identifier)" as SQL }.joined(separator: "")
    let outer: SQL = columns.map { ", l.\($0.identifier)" as SQL }.joined(separator: "")
    let same: SQL = columns.map { "t.\($0.identifier) IS NOT DISTINCT FROM l.\($0.identifier)" as SQL }.joined(separator: " AND ")
    return """
      INSERT INTO \(tables.line) (row_number, customer_id, order_id, line_number, id\(names), action)
      SELECT l.row_number, l.customer_id, l.order_id, l.line_number, crm.uuid_v7()\(outer),
        CASE WHEN t.id IS NULL THEN 'new' WHEN \(same) THEN 'unchanged' ELSE 'changed' END
      FROM (SELECT f.row_number, r.customer_id, r.id AS order_id, \(plan.lineNumber) AS line_number\(inner)
        FROM \(tables.file) f JOIN \(tables.record) r ON r.key = \(key) AND r.action IN ('unchanged', 'changed') \(joins) WHERE \(live)) l
      LEFT JOIN \(lines.entity.table.sql) t ON \(Self.sameLine)
      """
  }
}

extension ImportPlan {
  /// What a row of the file says of its line: columns, their values over `f`, and the joins these need.
  func lineValues(_ tables: ImportTables) -> (columns: [Catalogue.Column], values: [SQL], joins: SQL) {
    guard let lines else { return ([], [], "") }
    let fields = lines.fields.filter { $0.column.name != "line_number" }
    return (
      fields.map(\.column) + lines.references.map(\.column),
      fields.map(\.sql) + lines.references.map { "\(ImportRecords.aliases[$0.number]).id" },
      lines.references.map { $0.join(tables) }.joined(separator: " ")
    )
  }

  /// A line's number on its order `r`: the file's own, or its place among the order's rows.
  var lineNumber: SQL {
    lines?.fields.first { $0.column.name == "line_number" }?.sql ?? "row_number() OVER (PARTITION BY r.place ORDER BY f.row_number)"
  }
}

extension ImportPlan.Reference {
  /// The key over a row of the file, as it was looked up.
  var joinKey: SQL { levels.isEmpty ? key : "nullif(concat_ws(' › ', NULL, \(levels.joined(separator: ", "))), '')" }

  /// The records that exist and may be seen: `key` and `id`.
  var existing: SQL {
    if case .externalID(let system) = source.recognition {
      return """
        SELECT x.key, t.id FROM crm.external_id x JOIN \(target.table.sql) t ON t.id = x.row_id WHERE x.relation = \(target.name) AND x.system = \(system)
        """
    }
    guard let keyColumn else { return "SELECT NULL::text AS key, NULL::uuid AS id WHERE false" }
    return "SELECT t.\(keyColumn.identifier) AS key, t.id FROM \(target.table.sql) t"
  }

  /// Joins the referred records to the rows `f`, whether they exist or have yet to be made.
  func join(_ tables: ImportTables) -> SQL {
    let alias = ImportRecords.aliases[number]
    return "LEFT JOIN (SELECT m.key, m.id FROM \(tables.reference) m WHERE m.reference = \(number)) \(alias) ON \(alias).key = \(joinKey)"
  }
}
