import Foundation
package import PostgresClient

extension Catalogue {
  /// Reads the tables of the schemas `crm`, `bi` and `analytics` as the connected role may see them.
  package static func read(from pool: PostgresPool, deadline: Deadline = .after(.seconds(30))) async throws -> Catalogue {
    let results = try await pool.execute(
      [columnsStatement, constraintsStatement, searchStatement], context: PostgresPool.Context(settings: [], readOnly: true), lane: .interactive,
      deadline: deadline)
    var tables: [String: Table] = [:]
    for row in results[0].rows {
      let name = try row.decode(String.self, "qualified")
      let table =
        try tables[name]
        ?? Table(
          name: name, schemaIdentifier: row.decode(Identifier.self, "schema_name"), identifier: row.decode(Identifier.self, "table_name"),
          comment: row.decode(String?.self, "table_comment") ?? "", columns: [])
      tables[name] = table
      tables[name]?.columns.append(try column(row))
    }
    for row in results[0].rows {
      guard let match = try row.decode(String?.self, "expression")?.wholeMatch(of: /crm\.search_key\((\w+)\)/) else { continue }
      let name = try row.decode(String.self, "qualified")
      guard let index = tables[name]?.columns.firstIndex(where: { $0.name == match.1 }) else { continue }
      tables[name]?.columns[index].searchKey = try row.decode(Identifier.self, "column_name")
    }
    // An empty database, or that of an older program, has no register yet: what it lacks is then said of the whole model.
    if tables["crm.processing_entry"] != nil {
      let marks = try await pool.execute(
        [sensitiveStatement], context: PostgresPool.Context(settings: [], readOnly: true), lane: .interactive, deadline: deadline)
      for row in marks[0].rows {
        let (name, column) = (try row.decode(String.self, "relation"), try row.decode(String.self, "column_name"))
        guard let index = tables[name]?.columns.firstIndex(where: { $0.name == column }) else { continue }
        tables[name]?.columns[index].isSensitive = true
      }
    }
    var constraints: [String: Constraint] = [:]
    for row in results[1].rows {
      let constraint = try self.constraint(row)
      constraints[constraint.name] = constraint
      try apply(constraint, row, to: &tables)
    }
    for row in results[2].rows {
      tables[try row.decode(String.self, "relation")]?.searchFunction = try row.decode(Identifier.self, "name")
    }
    return Catalogue(tables: tables, constraints: constraints)
  }

  private static let columnsStatement: SQL = """
    SELECT n.nspname AS schema_name, c.relname AS table_name, n.nspname || '.' || c.relname AS qualified,
           obj_description(c.oid, 'pg_class') AS table_comment,
           a.attname AS column_name, t.typname::text AS type_name, a.atttypmod AS modifier,
           NOT a.attnotnull AS nullable, a.atthasdef AS has_default, a.attgenerated <> '' OR a.attidentity <> '' AS generated,
           col_description(c.oid, a.attnum) AS comment,
           CASE WHEN a.attgenerated <> '' THEN (SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef d WHERE d.adrelid = c.oid AND d.adnum = a.attnum)
             END AS expression
      FROM pg_class c
      JOIN pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      JOIN pg_type t ON t.oid = a.atttypid
     WHERE n.nspname IN ('crm', 'bi', 'analytics') AND c.relkind IN ('r', 'p', 'v') AND NOT c.relispartition
     ORDER BY n.nspname, c.relname, a.attnum
    """

  private static let sensitiveStatement: SQL = """
    SELECT e.relation, e.column_name FROM crm.processing_entry e JOIN crm.data_category g ON g.code = e.category WHERE g.is_sensitive
    """

  private static let searchStatement: SQL = """
    SELECT 'crm.' || substr(p.proname, length('search_') + 1) AS relation, p.proname AS name
      FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
     WHERE n.nspname = 'crm' AND p.proname ^@ 'search_' AND p.prorettype = 'uuid[]'::regtype
    """

  private static let constraintsStatement: SQL = """
    SELECT k.conname::text AS name, k.contype::text AS kind, n.nspname || '.' || c.relname AS qualified,
           ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY u(attnum, i)
                   JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.attnum ORDER BY u.i) AS columns,
           fn.nspname || '.' || fc.relname AS target,
           ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY u(attnum, i)
                   JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.attnum ORDER BY u.i) AS target_columns,
           pg_get_constraintdef(k.oid) AS definition, obj_description(k.oid, 'pg_constraint') AS comment
      FROM pg_constraint k
      JOIN pg_class c ON c.oid = k.conrelid
      JOIN pg_namespace n ON n.oid = c.relnamespace
      LEFT JOIN pg_class fc ON fc.oid = k.confrelid
      LEFT JOIN pg_namespace fn ON fn.oid = fc.relnamespace
     WHERE n.nspname IN ('crm', 'analytics') AND k.contype IN ('c', 'u', 'p', 'f', 'x') AND k.conparentid = 0 AND NOT c.relispartition
     ORDER BY k.conname
    """

  private static func column(_ row: PostgresRow) throws -> Column {
    var comment = try row.decode(String?.self, "comment") ?? ""
    func mark(_ word: String) -> Bool {
      guard comment.lowercased().hasPrefix(word) else { return false }
      comment = String(comment.dropFirst(word.count).drop(while: \.isWhitespace))
      return true
    }
    let isSecret = mark("secret:")
    let isPersonal = mark("personal:")
    return Column(
      name: try row.decode(String.self, "column_name"), identifier: try row.decode(Identifier.self, "column_name"),
      type: ColumnType(typeName: try row.decode(String.self, "type_name"), modifier: try row.decode(Int.self, "modifier")),
      isNullable: try row.decode(Bool.self, "nullable"), hasDefault: try row.decode(Bool.self, "has_default"),
      isGenerated: try row.decode(Bool.self, "generated"), comment: comment, isSecret: isSecret, isDerived: mark("derived:"),
      isPersonal: isPersonal)
  }

  private static func constraint(_ row: PostgresRow) throws -> Constraint {
    let kind: Constraint.Kind =
      switch try row.decode(String.self, "kind") {
      case "c": .check
      case "u": .unique
      case "p": .primaryKey
      case "f": .foreignKey
      default: .exclusion
      }
    return Constraint(
      name: try row.decode(String.self, "name"), kind: kind, table: try row.decode(String.self, "qualified"),
      columns: try row.decode([String].self, "columns"), phrase: try row.decode(String?.self, "comment").flatMap(phrase(inComment:)))
  }

  /// Reads `en: … | tr: …`.
  static func phrase(inComment comment: String) -> Phrase? {
    let parts = comment.split(separator: " | tr: ", maxSplits: 1)
    guard parts.count == 2, parts[0].hasPrefix("en: ") else { return nil }
    return Phrase(String(parts[0].dropFirst(4)), tr: String(parts[1]))
  }

  private static func apply(_ constraint: Constraint, _ row: PostgresRow, to tables: inout [String: Table]) throws {
    switch constraint.kind {
    case .primaryKey: tables[constraint.table]?.primaryKey = constraint.columns
    case .foreignKey:
      tables[constraint.table]?.foreignKeys.append(
        ForeignKey(
          name: constraint.name, columns: constraint.columns, target: try row.decode(String.self, "target"),
          targetColumns: try row.decode([String].self, "target_columns")))
    case .check:
      guard constraint.columns.count == 1,
        let index = tables[constraint.table]?.columns.firstIndex(where: { $0.name == constraint.columns[0] })
      else { return }
      let definition = try row.decode(String.self, "definition")
      if let options = options(inCheck: definition, of: constraint.columns[0]) {
        tables[constraint.table]?.columns[index].options = options
      }
      if let match = definition.firstMatch(of: /\(length\((?:btrim\()?\w+\)+ <= (\d+)\)/) {
        tables[constraint.table]?.columns[index].maximumLength = Int(match.1)
      }
      var column: Column? {
        get { tables[constraint.table]?.columns[index] }
        set { if let newValue { tables[constraint.table]?.columns[index] = newValue } }
      }
      if definition.contains(/\(length\((?:btrim\()?\w+\)+ >= 1\)/) {
        column?.isFilled = true
        column?.isMoreThanSpaces = definition.contains("length(btrim(")
      }
      if let match = definition.wholeMatch(of: /CHECK \(\(\w+ ~ '((?:[^']|'')*)'::text\)\)/), !match.1.contains("[:") {
        column?.pattern = String(match.1).replacing("''", with: "'")
      }
      if let match = definition.wholeMatch(of: /CHECK \(\(\w+ > (\d+)\)\)/) { column?.exclusiveMinimum = Int(match.1) }
      if definition.contains("(jsonb_typeof(\(constraint.columns[0])) = 'object'") { column?.isObject = true }
      if definition.wholeMatch(of: /CHECK \(crm\.valid_email\(\w+\)\)/) != nil { column?.isEmail = true }
    case .unique, .exclusion: return
    }
  }

  /// The values of a check that PostgreSQL prints as `CHECK ((kind = ANY (ARRAY['a'::text, 'b'::text])))`.
  static func options(inCheck definition: String, of column: String) -> [String]? {
    guard let match = definition.wholeMatch(of: /CHECK \(\((\w+) = ANY \(ARRAY\[(.*)\]\)\)\)/), match.1 == column else { return nil }
    return match.2.matches(of: /'((?:[^']|'')*)'::text/).map { String($0.1).replacing("''", with: "'") }
  }
}
