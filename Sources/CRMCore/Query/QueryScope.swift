import PostgresClient

/// A field found in the model: how a statement names it and what it holds.
struct ResolvedField {
  let sql: SQL
  let type: ColumnType
  let isNullable: Bool
  let options: [String]?
  /// The column itself; nil for a custom field.
  let column: Catalogue.Column?
  /// Where PostgreSQL keeps the text's search key; nil where it does not.
  let keptSearchKey: (alias: SQL, column: Identifier)?

  init(sql: SQL, type: ColumnType, isNullable: Bool, options: [String]? = nil, column: Catalogue.Column? = nil, alias: SQL? = nil) {
    self.sql = sql
    self.type = type
    self.isNullable = isNullable
    self.options = options
    self.column = column
    keptSearchKey = alias.flatMap { alias in column?.searchKey.map { (alias, $0) } }
  }

  /// The text as it is searched.
  var searchKey: SQL { keptSearchKey.map { "\($0.alias).\($0.column)" } ?? "crm.search_key(\(sql))" }
}

/// One FROM clause under construction: the resource, its alias, and the to-one neighbours joined so far.
struct QueryScope {
  let entity: Model.Entity
  let alias: SQL
  private(set) var joins: [SQL] = []
  private(set) var areas: Set<Area>
  private var aliases: [[String]: (alias: SQL, entity: Model.Entity)] = [:]

  /// Aliases are literals, because run-time text never becomes SQL; a statement has at most this many neighbours.
  static let aliasPool: [SQL] = ["n1", "n2", "n3", "n4", "n5", "n6", "n7", "n8", "n9", "n10", "n11", "n12", "n13", "n14", "n15", "n16"]

  init(_ entity: Model.Entity, alias: SQL) {
    self.entity = entity
    self.alias = alias
    areas = [entity.resource.area]
  }

  var from: SQL { ([entity.table.sql + " " + alias] + joins).joined(separator: " ") }

  /// The alias of the to-one neighbour at `path`, joined when it is first asked for.
  mutating func join(_ path: [String], in compiler: inout QueryCompiler, pointer: String) throws(Problem) -> (alias: SQL, entity: Model.Entity) {
    if path.isEmpty { return (alias, entity) }
    if let known = aliases[path] { return known }
    let parent = try join(Array(path.dropLast()), in: &compiler, pointer: pointer)
    let name = path[path.count - 1]
    guard let one = parent.entity.one[name], let target = compiler.model[one.target] else {
      throw .unknownField(FieldPath(path), of: parent.entity.name, at: pointer, candidates: parent.entity.fieldNames)
    }
    let alias = try compiler.nextAlias(pointer)
    let conditions = one.key.map { pair -> SQL in "\(alias).\(pair.target.identifier) = \(parent.alias).\(pair.own.identifier)" }
    joins.append("LEFT JOIN \(target.table.sql) \(alias) ON \(conditions.joined(separator: " AND "))")
    areas.insert(target.resource.area)
    aliases[path] = (alias, target)
    return (alias, target)
  }

  /// Finds an own field, a custom field, a member of a field that holds an object (`profile.region`), or a to-one neighbour's field.
  mutating func field(_ path: FieldPath, in compiler: inout QueryCompiler, pointer: String) throws(Problem) -> ResolvedField {
    var names = path.names
    guard names.count <= FieldPath.maximumDepth + 1 else {
      throw .badFilter(
        pointer, Phrase("Follow at most \(FieldPath.maximumDepth) relations.", tr: "En fazla \(FieldPath.maximumDepth) ilişki izlenebilir."))
    }
    var custom: String?
    if names.count >= 2, names[names.count - 2] == "custom" {
      custom = names.removeLast()
    }
    if custom == nil, names.count >= 2 {
      let (alias, owner) = try join(Array(names.dropLast(2)), in: &compiler, pointer: pointer)
      if let object = owner.column(names[names.count - 2]), object.type == .json {
        return ResolvedField(sql: "(\(alias).\(object.identifier) ->> \(names[names.count - 1]))", type: .text, isNullable: true)
      }
    }
    let last = names.removeLast()
    let (alias, owner) = try join(names, in: &compiler, pointer: pointer)
    if let custom {
      guard owner.resource.customFields, let definition = compiler.customFields[owner.name].first(where: { $0.name == custom }) else {
        throw .unknownField(path, of: owner.name, at: pointer, candidates: compiler.customFields[owner.name].map(\.name))
      }
      return definition.resolved(alias: alias)
    }
    guard let column = owner.column(last) else {
      throw .unknownField(path, of: owner.name, at: pointer, candidates: owner.fieldNames)
    }
    // A neighbour may be missing or hidden, so its fields may be null even where its table says otherwise.
    return ResolvedField(
      sql: "\(alias).\(column.identifier)", type: column.type, isNullable: column.isNullable || !names.isEmpty, options: column.options,
      column: column, alias: alias)
  }
}

extension Model.Entity {
  /// Every name a client may write here: fields and neighbours.
  var fieldNames: [String] { columns.map(\.name) + one.keys + many.keys }
}

extension CustomField {
  func resolved(alias: SQL) -> ResolvedField {
    let text: SQL = "(\(alias).custom ->> \(name))"
    // A value of another type, left from before the definition, counts as missing.
    let sql: SQL =
      switch kind {
      case .text, .choice: text
      case .number: "CASE WHEN jsonb_typeof(\(alias).custom -> \(name)) = 'number' THEN \(text)::numeric END"
      case .boolean: "CASE WHEN jsonb_typeof(\(alias).custom -> \(name)) = 'boolean' THEN \(text)::boolean END"
      case .date: "\(text)::date"
      case .choices:
        "CASE WHEN jsonb_typeof(\(alias).custom -> \(name)) = 'array' THEN ARRAY(SELECT jsonb_array_elements_text(\(alias).custom -> \(name))) END"
      }
    return ResolvedField(sql: sql, type: type, isNullable: true, options: options.isEmpty ? nil : options)
  }
}
