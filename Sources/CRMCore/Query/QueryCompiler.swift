package import PostgresClient

/// Turns a `Query` on a resource into one parameterised statement. Names come from the catalogue, values are bound; nothing else enters the text.
package struct QueryCompiler {
  package let model: Model
  let customFields: CustomFields
  /// The areas whose tables the statement touches: the caller's reach in each is sent along.
  var areas: Set<Area> = []
  var comparisons = 0
  private var aliasesUsed = 0

  package init(model: Model, customFields: CustomFields) {
    self.model = model
    self.customFields = customFields
  }

  mutating func nextAlias(_ pointer: String) throws(Problem) -> SQL {
    guard aliasesUsed < QueryScope.aliasPool.count else {
      throw .badFilter(pointer, Phrase("The query walks through too many relations.", tr: "Sorgu çok fazla ilişkiden geçiyor."))
    }
    defer { aliasesUsed += 1 }
    return QueryScope.aliasPool[aliasesUsed]
  }

  /// A page of a list, ready to run.
  package struct Page {
    /// The page itself, and after it the count when one is wanted. Where a search can use an index: first what that finds, then both among what was found, then both
    /// among all rows, of which one answers.
    package let statements: [SQL]
    let isSearchedByIndex: Bool
    package let layout: RowLayout
    package let areas: Set<Area>
    package let limit: Int
    let keyset: Keyset
    let count: Query.Count?
  }

  /// Compiles a list. `signer` reads the cursor of the page before.
  package mutating func page(_ query: Query, of entity: Model.Entity, signer: CursorSigner) throws(Problem) -> Page {
    var scope = QueryScope(entity, alias: "t")
    var conditions: [SQL] = []
    if let filter = query.filter { conditions.append(try condition(filter, in: &scope)) }
    if let search = query.search { conditions.append(try searchCondition(search, at: query.pointer("search"), in: &scope)) }
    let filterConditions = conditions
    let filterScope = scope
    var keyset = try Keyset(query, entity: entity, scope: &scope, compiler: &self)
    if let cursor = query.cursor {
      conditions.append(try keyset.condition(after: try signer.open(cursor, for: keyset.fingerprint, pointer: query.pointer("cursor"))))
    }
    var layout = RowLayout()
    try select(query, entity: entity, scope: &scope, layout: &layout)
    keyset.addColumns(to: &layout)
    areas.formUnion(scope.areas)

    func statements(among rows: [SQL]) -> [SQL] {
      var statements: [SQL] = [
        "SELECT \(layout.list) FROM \(scope.from)\(Self.whereClause(rows + conditions)) ORDER BY \(keyset.orderBy) LIMIT \(query.limit + 1)"
      ]
      switch query.count {
      case .exact: statements.append("SELECT count(*) FROM \(filterScope.from)\(Self.whereClause(rows + filterConditions))")
      case .estimated: statements.append("EXPLAIN (FORMAT JSON) SELECT 1 FROM \(filterScope.from)\(Self.whereClause(rows + filterConditions))")
      case nil: break
      }
      return statements
    }
    let finding = query.search.flatMap { text in entity.table.searchFunction.map { Self.finding(text, by: $0) } }
    return Page(
      statements: finding.map { [$0] + statements(among: [Self.isFound]) + statements(among: [Self.nothingWasLookedUp]) } ?? statements(among: []),
      isSearchedByIndex: finding != nil, layout: layout, areas: areas, limit: query.limit, keyset: keyset, count: query.count)
  }

  static func whereClause(_ conditions: [SQL]) -> SQL { conditions.isEmpty ? "" : " WHERE " + conditions.joined(separator: " AND ") }

  /// One record, ready to run.
  package struct One {
    package let statement: SQL
    package let layout: RowLayout
    package let areas: Set<Area>
    /// Where the row version stands in the result; nil for resources without one.
    package let versionIndex: Int?
  }

  package mutating func one(_ query: Query, of entity: Model.Entity, id: String) throws(Problem) -> One {
    if query.select == nil, query.expand.isEmpty {
      return One(
        statement: entity.shownByID + "\(id)", layout: entity.shown, areas: [entity.resource.area],
        versionIndex: entity.versionColumn.flatMap { entity.shown.column(of: $0.name) })
    }
    var scope = QueryScope(entity, alias: "t")
    var layout = RowLayout()
    try select(query, entity: entity, scope: &scope, layout: &layout)
    let version = entity.versionColumn.map { layout.column(of: $0.name) ?? layout.hidden("t.\($0.identifier)") }
    areas.formUnion(scope.areas)
    return One(
      statement: "SELECT \(layout.list) FROM \(scope.from) WHERE t.\(entity.idColumn.identifier) = \(id)", layout: layout, areas: areas,
      versionIndex: version)
  }

  /// The rows that fit and come after the id `after`, in the order of their ids: one piece of an export. The last column is the id.
  package mutating func piece(_ query: Query, of entity: Model.Entity, after: String?, limit: Int) throws(Problem) -> (
    statement: SQL, layout: RowLayout, areas: Set<Area>, idColumn: Int
  ) {
    var scope = QueryScope(entity, alias: "t")
    let id: SQL = "t.\(entity.idColumn.identifier)"
    var conditions: [SQL] = []
    if let after { conditions.append("\(id) > \(after)") }
    if let filter = query.filter { conditions.append(try condition(filter, in: &scope)) }
    if let search = query.search { conditions.append(try searchCondition(search, at: query.pointer("search"), in: &scope)) }
    var layout = RowLayout()
    try select(query, entity: entity, scope: &scope, layout: &layout)
    let idColumn = layout.hidden(id)
    let whereClause: SQL = conditions.isEmpty ? "" : " WHERE " + conditions.joined(separator: " AND ")
    areas.formUnion(scope.areas)
    return ("SELECT \(layout.list) FROM \(scope.from)\(whereClause) ORDER BY \(id) LIMIT \(limit)", layout, areas, idColumn)
  }

  /// Keeps for the rest of the transaction what the index finds: `crm.found()`.
  private static func finding(_ text: String, by function: Identifier) -> SQL {
    "SELECT set_config('muhatap.found', coalesce(crm.\(function)(\(text))::text, ''), true) <> '' AS by_index"
  }
  private static let isFound: SQL = "t.id = ANY ((SELECT crm.found())::uuid[])"
  private static let nothingWasLookedUp: SQL = "(SELECT crm.found() IS NULL)"

  private mutating func searchCondition(_ text: String, at pointer: String, in scope: inout QueryScope) throws(Problem) -> SQL {
    let resource = scope.entity.resource
    guard !resource.search.isEmpty else {
      throw .badParameter(
        pointer, Phrase("\(resource.name) cannot be searched; use filters.", tr: "\(resource.name) kaynağında arama yapılamaz; süzgeç kullanın."))
    }
    guard !text.utf8.contains(0), (1...200).contains(text.unicodeScalars.count) else {
      throw .badParameter(pointer, Phrase("search is a text of 1 to 200 characters.", tr: "search, 1–200 karakterlik bir metindir."))
    }
    var alternatives: [SQL] = []
    for path in resource.search {
      let field = try scope.field(FieldPath(path), in: &self, pointer: pointer)
      alternatives.append("strpos(\(field.searchKey), crm.search_key(\(text))) > 0")
    }
    return "(" + alternatives.joined(separator: " OR ") + ")"
  }
}
