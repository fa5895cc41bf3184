import Foundation
import PostgresClient

/// Holds the staged rows against the tables, set by set, without writing anything but staging and the error file.
struct ImportCheck {
  /// What was worked out and waits in staging to be written.
  struct Result: Sendable {
    let plan: ImportPlan
    let tables: ImportTables
    /// The rows of the file, `f`, that are taken.
    let live: SQL
    let summary: JSONText

    var outcome: ImportOutcome { ImportOutcome(plan: plan, tables: tables) }
  }

  let plan: ImportPlan
  let tables: ImportTables
  let expression: SourceExpression
  let tx: PostgresTransaction
  /// Whether two rows of the file may be the same in every column.
  let mayRepeat: Bool
  /// Whether any row was refused so far; until then no statement need look.
  private var hasRefused = false
  /// Whether the rows of each record stand gathered, and none of them was refused since.
  private var isGathered = false

  init(plan: ImportPlan, tables: ImportTables, expression: SourceExpression, tx: PostgresTransaction, mayRepeat: Bool) {
    self.plan = plan
    self.tables = tables
    self.expression = expression
    self.tx = tx
    self.mayRepeat = mayRepeat
  }

  /// The rows that are still taken.
  var live: SQL { hasRefused ? "NOT EXISTS (SELECT FROM \(tables.refused) x WHERE x.row_number = f.row_number)" : "true" }

  mutating func run(step: (String) async throws -> Void) async throws -> Result {
    try await step("checking values")
    try await begin()
    try await analyse("file")
    if try await !valuesRead() { try await refuseUnreadable() }
    try await refuseWithoutKey()
    if plan.lines != nil, plan.duplicates == .refuse, mayRepeat { try await refuseDuplicateLines() }
    try await step("looking up references")
    try await withoutUnreadable { check in try await check.gather() }
    for reference in plan.references { try await lookUp(reference) }
    try await tx.run("ANALYZE \(tables.reference)")
    try await step("comparing records")
    try await withoutUnreadable { check in try await check.workOut() }
    try await analyse("record")
    try await step("checking rules")
    try await refuseRecords()
    // Counted before anything is written, because afterwards what is changed is as it will be.
    let summary = try await tx.value(JSONText.self, ImportOutcome(plan: plan, tables: tables).summary())
    return Result(plan: plan, tables: tables, live: live, summary: summary)
  }

  private func analyse(_ part: String) async throws {
    try await tx.run("SELECT crm.analyse_staging(\(plan.id), \(part))")
  }

  private func begin() async throws {
    try await tx.run("DELETE FROM crm.import_error WHERE import_id = \(plan.id) AND phase = 'check'")
    try await tx.run("TRUNCATE \(tables.refused)")
    try await tx.run("DROP TABLE IF EXISTS \(tables.reference), \(tables.gathered), \(tables.newLine)")
    try await tx.run(
      """
      CREATE UNLOGGED TABLE \(tables.reference) (reference integer NOT NULL, level integer NOT NULL, key text NOT NULL, parent text, row_number bigint NOT NULL,
        id uuid NOT NULL, is_new boolean NOT NULL) WITH (autovacuum_enabled = false)
      """)
    try await tx.run("GRANT SELECT ON \(tables.reference) TO crm_bulk")
    try await tx.run("SELECT crm.make_record_staging(\(plan.id), 'record', \(plan.record.entity.table.name)::regclass)")
    if let lines = plan.lines {
      try await tx.run("SELECT crm.make_record_staging(\(plan.id), 'line', \(lines.entity.table.name)::regclass)")
    }
  }

  // MARK: Values

  private var fields: [(field: ImportPlan.Field, isRequired: Bool)] {
    plan.record.fields.map { ($0, false) } + (plan.lines?.fields.map { ($0, !$0.column.isNullable) } ?? [])
  }

  /// Reads every value once, the quick way: PostgreSQL stops at the first that does not read.
  private func valuesRead() async throws -> Bool {
    var wrong: [SQL] = []
    var reading: [SQL] = []
    for (field, isRequired) in fields where !field.source.columns.isEmpty {
      switch field.column.type {
      case .numeric(_, let scale?):
        let isWrong: SQL = "(scale(\(field.sql)) <= \(scale)) IS NOT TRUE"
        wrong.append(isRequired ? isWrong : "\(isWrong) AND \(field.sql) IS NOT NULL")
        continue
      // PostgreSQL reads words such as yesterday.
      case .date, .time, .timestamp: wrong.append("ascii(\(try expression.text(field.source))) NOT BETWEEN 48 AND 57")
      default: break
      }
      if isRequired {
        wrong.append("\(field.sql) IS NULL")
      } else if field.reads != nil, plan.lines == nil {
        reading.append(", count(\(field.sql))")
      }
    }
    for member in plan.record.custom {
      wrong.append(member.field.isRequired ? "(\(member.reads)) IS NOT TRUE" : "\(member.text) IS NOT NULL AND NOT \(member.reads)")
    }
    if wrong.isEmpty, reading.isEmpty { return true }
    let condition = wrong.isEmpty ? "false" : wrong.joined(separator: " OR ")
    do {
      let result = try await tx.savepoint {
        try await tx.result("SELECT count(*) FILTER (WHERE \(condition)) AS wrong\(reading.joined(separator: "")) FROM \(tables.file) f")
      }
      return try result[0].decode(Int.self, "wrong") == 0
    } catch let error as PostgresError where error.isAboutValues {
      return false
    }
  }

  /// Says of every value that does not read where it is and what was expected.
  mutating func refuseUnreadable() async throws {
    for (field, isRequired) in fields where !field.source.columns.isEmpty {
      let text = try expression.text(field.source)
      if let reads = field.reads {
        let expected = field.column.type.expectation
        try await refuse(
          code: "value", column: field.source.columns.first, value: text,
          Phrase("\(field.column.name) takes \(expected.english).", tr: "\(field.column.name): \(expected.turkish) gerekir."),
          "FROM \(tables.file) f WHERE \(text) IS NOT NULL AND NOT \(reads)")
      }
      if isRequired {
        try await refuse(
          code: "required", column: field.source.columns.first, value: "NULL::text",
          Phrase("\(field.column.name) is required.", tr: "\(field.column.name) zorunludur."), "FROM \(tables.file) f WHERE \(text) IS NULL"
        )
      }
    }
    for member in plan.record.custom {
      let name = member.field.name
      let expected =
        member.field.options.isEmpty
        ? member.field.type.expectation
        : Phrase("one of: \(member.field.options.joined(separator: ", "))", tr: "şunlardan biri: \(member.field.options.joined(separator: ", "))")
      try await refuse(
        code: "value", column: member.column, value: member.text, Phrase("\(name) takes \(expected.english).", tr: "\(name): \(expected.turkish) gerekir."),
        "FROM \(tables.file) f WHERE \(member.text) IS NOT NULL AND NOT \(member.reads)")
      if member.field.isRequired {
        try await refuse(
          code: "required", column: member.column, value: "NULL::text", Phrase("\(name) is required.", tr: "\(name) zorunludur."),
          "FROM \(tables.file) f WHERE \(member.text) IS NULL")
      }
    }
    try await setAside()
  }

  private mutating func refuseWithoutKey() async throws {
    guard let key = plan.key else { return }
    let refused = try await refuse(
      code: "required", column: nil, value: "NULL::text", Phrase("The row has no key.", tr: "Satırın anahtarı yok."),
      "FROM \(tables.file) f WHERE \(key) IS NULL AND \(live)")
    if refused > 0 { try await setAside() }
  }

  private mutating func refuseDuplicateLines() async throws {
    guard let key = plan.key, let lines = plan.lines else { return }
    // Rows that differ here differ somewhere: only when some do not, all columns are compared.
    let some = [key] + lines.references.map(\.key)
    let differ = try await tx.value(
      Bool.self,
      """
      SELECT (SELECT count(*) FROM \(tables.file) f WHERE \(live))
        = (SELECT count(*) FROM (SELECT DISTINCT \(some.joined(separator: ", ")) FROM \(tables.file) f WHERE \(live)) AS d)
      """)
    if differ { return }
    let all: SQL = plan.columns.map { "f.\($0)" as SQL }.joined(separator: ", ")
    let refused = try await refuse(
      code: "duplicate-row", column: nil, value: "'= ' || f.first", Self.duplicate,
      """
      FROM (SELECT f.row_number, row_number() OVER (PARTITION BY \(all) ORDER BY f.row_number) AS turn, min(f.row_number) OVER (PARTITION BY \(all)) AS first
        FROM \(tables.file) f WHERE \(live)) f WHERE f.turn > 1
      """)
    if refused > 0 { try await setAside() }
  }

  // MARK: References

  private mutating func lookUp(_ reference: ImportPlan.Reference) async throws {
    if case .path = reference.source.recognition {
      for level in 1...reference.levels.count {
        let levels = Array(reference.levels.prefix(level))
        try await tx.run(
          """
          INSERT INTO \(tables.reference) (reference, level, key, parent, row_number, id, is_new)
          SELECT \(reference.number)::integer, \(level)::integer, k.key, k.parent, k.row_number, coalesce(t.id, crm.uuid_v7()), t.id IS NULL
          FROM (SELECT \(Self.path(levels)) AS key, \(Self.path(levels.dropLast())) AS parent, min(f.row_number) AS row_number
            FROM \(tables.file) f WHERE \(levels[level - 1]) IS NOT NULL AND \(live) GROUP BY 1, 2) k
          LEFT JOIN (\(reference.existing)) t ON t.key = k.key
          WHERE NOT EXISTS (SELECT FROM \(tables.reference) m WHERE m.key = k.key AND m.reference = \(reference.number))
          """)
      }
    } else {
      // Where the rows of a record were gathered because they say the same of it, its references are looked for in fewer rows.
      let isOfRecord = plan.record.references.contains { $0.number == reference.number }
      let rows: SQL = isGathered && isOfRecord ? "\(tables.gathered) f" : "\(tables.file) f WHERE \(live)"
      try await tx.run(
        """
        INSERT INTO \(tables.reference) (reference, level, key, row_number, id, is_new)
        SELECT \(reference.number)::integer, 0, k.key, k.row_number, coalesce(t.id, crm.uuid_v7()), t.id IS NULL
        FROM (SELECT \(reference.key) AS key, min(f.row_number) AS row_number FROM \(rows) GROUP BY 1) k
        LEFT JOIN (\(reference.existing)) t ON t.key = k.key WHERE k.key IS NOT NULL
        """)
    }
    switch reference.source.absence {
    case .create:
      guard case .externalID(let system) = reference.source.recognition else { return }
      // Another system's key that leads to a record the caller may not see must not get a second one.
      try await refuseMissing(
        reference,
        where:
          "EXISTS (SELECT FROM crm.external_id x WHERE x.relation = \(reference.target.name) AND x.system = \(system) AND x.key = m.key)")
      try await refuseMissing(
        reference, code: "erased", Self.erased,
        where: "crm.is_erased('external', concat_ws(':', \(reference.target.name)::text, \(system)::text, m.key))")
    case .refuse: try await refuseMissing(reference, where: "true")
    case .empty: try await tx.run("DELETE FROM \(tables.reference) WHERE reference = \(reference.number) AND is_new")
    }
  }

  private mutating func refuseMissing(_ reference: ImportPlan.Reference, code: String = "not-found", _ reason: Phrase? = nil, where condition: SQL) async throws
  {
    let keys = try await tx.value(Int.self, "SELECT count(*) FROM \(tables.reference) m WHERE m.reference = \(reference.number) AND m.is_new AND \(condition)")
    if keys == 0 { return }
    let key = reference.joinKey
    let refused = try await refuse(
      code: code, column: reference.source.columns.first, value: key,
      reason
        ?? Phrase(
          "There is no such record in \(reference.target.name), or you may not see it.",
          tr: "\(reference.target.name) içinde böyle bir kayıt yok ya da görme yetkiniz yok."),
      "FROM \(tables.file) f JOIN (SELECT m.key FROM \(tables.reference) m WHERE m.reference = \(reference.number) AND m.is_new AND \(condition) OFFSET 0) m ON m.key = \(key) WHERE \(live)"
    )
    try await tx.run("DELETE FROM \(tables.reference) m WHERE m.reference = \(reference.number) AND m.is_new AND \(condition)")
    if refused > 0 { try await setAside() }
  }

  private static func path(_ levels: some Sequence<SQL>) -> SQL {
    "nullif(concat_ws(' › ', NULL, \(Array(levels).isEmpty ? "NULL" : levels.joined(separator: ", "))), '')"
  }

  // MARK: Records

  /// Runs a step that reads values. If one does not read after all, the rows with such values are refused and the step is run again.
  private mutating func withoutUnreadable(_ step: (inout ImportCheck) async throws -> Void) async throws {
    do {
      var check = self
      try await tx.savepoint { try await step(&check) }
      self = check
    } catch let error as PostgresError where error.isAboutValues {
      try await refuseUnreadable()
      try await step(&self)
    }
  }

  private mutating func gather() async throws {
    guard let gather = ImportRecords(plan: plan, tables: tables, live: live).gather() else { return }
    try await tx.run("DROP TABLE IF EXISTS \(tables.gathered)")
    try await tx.run(gather)
    isGathered = true
  }

  private mutating func workOut() async throws {
    if !isGathered { try await gather() }
    try await tx.run(ImportRecords(plan: plan, tables: tables, live: live).insert())
  }

  private mutating func refuseRecords() async throws {
    let key: SQL = plan.key == nil ? plan.matched.map { "r.\($0.identifier)" as SQL }.joined(separator: ", ") : "r.key"
    if plan.lines == nil {
      try await refuse(
        code: "duplicate-row", column: nil, value: "'= ' || f.first", Self.duplicate,
        """
        FROM (SELECT d.row_number, d.first FROM
          (SELECT r.row_number, min(r.row_number) OVER w AS first, row_number() OVER (w ORDER BY r.row_number) AS turn FROM \(tables.record) r WINDOW w AS (PARTITION BY \(key))) d
          JOIN \(tables.file) a ON a.row_number = d.row_number JOIN \(tables.file) b ON b.row_number = d.first
          WHERE d.turn > 1 AND to_jsonb(a) - 'row_number' = to_jsonb(b) - 'row_number') f
        """)
      try await refuse(
        code: "duplicate-key", column: nil, value: "'= ' || f.first",
        Phrase(
          "An earlier row has the same key and says something else.", tr: "Önceki bir satırda aynı anahtar var ve başka şey söylüyor."),
        """
        FROM (SELECT d.row_number, d.first FROM
          (SELECT r.row_number, min(r.row_number) OVER w AS first, row_number() OVER (w ORDER BY r.row_number) AS turn FROM \(tables.record) r WINDOW w AS (PARTITION BY \(key))) d
          WHERE d.turn > 1 AND NOT EXISTS (SELECT FROM crm.import_error e WHERE e.import_id = \(plan.id) AND e.row_number = d.row_number)) f
        """)
    } else if let fileKey = plan.key {
      let mine: SQL = plan.recordColumns.map { "f.\($0)" as SQL }.joined(separator: ", ")
      let first: SQL = plan.recordColumns.map { "b.\($0)" as SQL }.joined(separator: ", ")
      try await refuse(
        code: "contradiction", column: nil, value: "'≠ ' || b.row_number",
        Phrase(
          "The row says something else of its order than the order's first row.",
          tr: "Satır, siparişi için siparişin ilk satırından başka şey söylüyor."),
        """
        FROM \(tables.file) f JOIN (SELECT r.key, min(r.row_number) AS first FROM \(tables.record) r GROUP BY r.key HAVING count(*) > 1) d ON d.key = \(fileKey)
        JOIN \(tables.file) b ON b.row_number = d.first WHERE (\(mine)) IS DISTINCT FROM (\(first)) AND \(live)
        """)
    }
    try await refuse(
      code: "not-permitted", column: nil, value: "NULL::text",
      Phrase("The record exists already and you may not change it.", tr: "Kayıt zaten var ve onu değiştirme yetkiniz yok."),
      "FROM \(tables.record) f WHERE f.action = 'closed'")
    try await refuse(
      code: "never-changed", column: nil, value: "NULL::text",
      Phrase(
        "The record exists already with other values, and records of this kind are only ever added.",
        tr: "Kayıt başka değerlerle zaten var; bu tür kayıtlar yalnızca eklenir."),
      "FROM \(tables.record) f WHERE f.action = 'kept'")
    let given = (plan.record.fields.map(\.column.name) + plan.record.references.map(\.column.name))
    try await tx.run(
      """
      SELECT crm.check_records(\(plan.id), \(plan.record.entity.table.name)::regclass, \(given)::text[], \(plan.record.references.map(\.column.name) + ["department_id"])::text[],
        \(plan.matched.map(\.name))::text[])
      """)
    try await refuseErased(given)
    try await tx.run(
      """
      UPDATE \(tables.record) r SET action = 'refused'
      WHERE EXISTS (SELECT FROM crm.import_error e WHERE e.import_id = \(plan.id) AND e.phase = 'check' AND e.row_number = r.row_number)
      """)
    if plan.lines != nil, let key = plan.key {
      try await refuse(
        code: "order-refused", column: nil, value: "'= ' || r.row_number",
        Phrase("The order's first row was refused.", tr: "Siparişin ilk satırı reddedildi."),
        """
        FROM \(tables.file) f JOIN \(tables.record) r ON r.key = \(key) AND r.action = 'refused' AND r.row_number <> f.row_number
        WHERE \(live) AND NOT EXISTS (SELECT FROM \(tables.record) o WHERE o.key = r.key AND o.action <> 'refused')
        """)
    }
    try await setAside()
    if let lines = plan.lines, let key = plan.key {
      try await tx.run(ImportRecords(plan: plan, tables: tables, live: live).insertKnownLines(lines, key: key))
    }
    if hasRefused { try await forgetUnused() }
  }

  /// What only refused rows refer to is not made; what others refer to as well is made from the first of those that are taken.
  private func forgetUnused() async throws {
    for reference in plan.references where reference.source.absence == .create {
      let keys = reference.levels.isEmpty ? [(level: 0, key: reference.key)] : (1...reference.levels.count).map { ($0, Self.path(reference.levels.prefix($0))) }
      for (level, key) in keys {
        let mine: SQL = "m.reference = \(reference.number) AND m.level = \(level) AND m.is_new"
        try await tx.run(
          """
          UPDATE \(tables.reference) m SET row_number = k.row_number
          FROM (SELECT \(key) AS key, min(f.row_number) AS row_number FROM \(tables.file) f WHERE \(live) GROUP BY 1) k WHERE \(mine) AND m.key = k.key
          """)
        try await tx.run("DELETE FROM \(tables.reference) m WHERE \(mine) AND EXISTS (SELECT FROM \(tables.refused) x WHERE x.row_number = m.row_number)")
      }
    }
  }

  // MARK: The error file

  private static let duplicate = Phrase(
    "The row is the same in every column as an earlier one.", tr: "Satır, her sütunda önceki bir satırla aynı.")

  /// Writes an error for each row that `rows`, a FROM clause with `f.row_number`, finds.
  @discardableResult
  func refuse(code: String, column: String?, value: SQL, _ reason: Phrase, _ rows: SQL) async throws -> Int {
    try await tx.run(
      """
      INSERT INTO crm.import_error (import_id, user_id, phase, row_number, column_name, value, code, reason_en, reason_tr)
      SELECT \(plan.id)::uuid, crm.caller_id(), 'check', f.row_number, \(column)::text, left(\(value), 200), \(code)::text, \(reason.english)::text, \(reason.turkish)::text \(rows)
      """)
  }

  /// Takes the rows that have an error out of all that follows.
  private mutating func setAside() async throws {
    let count = try await tx.run(
      """
      INSERT INTO \(tables.refused) SELECT DISTINCT e.row_number FROM crm.import_error e
      WHERE e.import_id = \(plan.id) AND e.phase = 'check' AND NOT EXISTS (SELECT FROM \(tables.refused) x WHERE x.row_number = e.row_number)
      """)
    if count > 0 {
      hasRefused = true
      isGathered = false
    }
  }
}

extension PostgresError {
  /// A value did not read, or was out of range.
  fileprivate var isAboutValues: Bool { sqlState?.hasPrefix("22") ?? false }
}
