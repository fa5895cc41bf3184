package import PostgresClient

/// Conditions on the rows of one resource, for statements that are not pages of it: which customers a rule fits, how many orders it counts.
/// Names come from the catalogue, values are bound, as in every query.
package struct ConditionScope {
  private var compiler: QueryCompiler
  private var scope: QueryScope

  /// - Parameter alias: what the statement calls the resource's row.
  /// - Throws: a problem that names `pointer` when there is no such resource.
  package init(_ resource: String, alias: SQL, compiler: QueryCompiler, pointer: String) throws(Problem) {
    guard let entity = compiler.model[resource] else {
      let nearest = nearestName(to: resource, in: compiler.model.entities.keys) ?? compiler.model.entities.keys.sorted().joined(separator: ", ")
      throw .badFilter(
        pointer,
        Phrase(
          "There is no resource \"\(Problem.clipped(resource))\". Use: \(nearest).",
          tr: "\"\(Problem.clipped(resource))\" adlı bir kaynak yok. Şunu kullanın: \(nearest)."))
    }
    self.compiler = compiler
    scope = QueryScope(entity, alias: alias)
  }

  package var entity: Model.Entity { scope.entity }

  /// The FROM clause: the resource and every neighbour that its conditions have asked for so far.
  package var from: SQL { scope.from }

  /// The areas whose rows are read.
  package var areas: Set<Area> { compiler.areas.union(scope.areas) }

  /// A condition in the filter language.
  package mutating func condition(_ filter: Filter) throws(Problem) -> SQL { try compiler.condition(filter, in: &scope) }

  /// The value that a condition on `path` looks at, as text; of a to-many neighbour, some of the values.
  package mutating func shown(_ path: FieldPath) throws(Problem) -> SQL { try compiler.shown(path, in: &scope) }

  /// The expression of a field and its type.
  package mutating func field(_ path: FieldPath) throws(Problem) -> (sql: SQL, type: ColumnType) {
    let field = try scope.field(path, in: &compiler, pointer: path.pointer)
    return (field.sql, field.type)
  }

  /// A comparison of an expression that is no field of the model, such as a sum over a window.
  package func comparison(_ expression: SQL, _ type: ColumnType, _ path: FieldPath, _ comparison: Comparison, _ operand: Filter.Operand) throws(Problem) -> SQL
  {
    try compiler.compare(ResolvedField(sql: expression, type: type, isNullable: true), path, comparison, operand)
  }
}

extension QueryCompiler {
  fileprivate mutating func shown(_ path: FieldPath, in scope: inout QueryScope) throws(Problem) -> SQL {
    var owner = scope.entity
    for (depth, name) in path.names.dropLast().enumerated() {
      if let many = owner.many[name], let target = model[many.target] {
        let parent = try scope.join(Array(path.names[..<depth]), in: &self, pointer: path.pointer)
        var inner = QueryScope(target, alias: try nextAlias(path.pointer))
        let value = try shown(FieldPath(Array(path.names[(depth + 1)...]), pointer: path.pointer), in: &inner)
        areas.formUnion(inner.areas)
        return """
          (SELECT string_agg(DISTINCT v.value, ', ') FROM (SELECT \(value) AS value FROM \(inner.from)
          WHERE \(many.conditions(inner.alias, of: parent.alias).joined(separator: " AND ")) LIMIT 20) v)
          """
      }
      guard let one = owner.one[name], let next = model[one.target] else { break }
      owner = next
    }
    return "(\(try scope.field(path, in: &self, pointer: path.pointer).sql))::text"
  }
}
