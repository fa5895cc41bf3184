import PostgresClient

extension QueryCompiler {
  /// Fills the select list: the chosen fields, then the expanded neighbours.
  mutating func select(_ query: Query, entity: Model.Entity, scope: inout QueryScope, layout: inout RowLayout) throws(Problem) {
    // The ids of sensitive values come behind everything that is shown: a CSV's columns are the first ones.
    var marked: [(name: String, field: String, resource: String, id: SQL)] = []
    if let names = query.select {
      var seen: Set<String> = []
      for (index, name) in names.enumerated() where seen.insert(name).inserted {
        let path = FieldPath(name)
        let field = try scope.field(path, in: &self, pointer: query.pointer("select", index))
        layout.add(name, field.sql)
        if let column = field.column, column.isSensitive {
          let (alias, owner) = try scope.join(Array(path.names.dropLast()), in: &self, pointer: query.pointer("select", index))
          marked.append((name, column.name, owner.name, "\(alias).\(owner.idColumn.identifier)"))
        }
      }
      guard !seen.isEmpty else {
        throw .badParameter(query.pointer("select"), Phrase("select lists at least one field.", tr: "select en az bir alan içerir."))
      }
    } else {
      layout = entity.shown
    }
    for name in Set(query.expand).sorted() {
      let pointer = query.pointer("expand", query.expand.firstIndex(of: name) ?? 0)
      try expand(name, at: pointer, entity: entity, scope: &scope, layout: &layout)
      if let many = entity.many[name], let target = model[many.target] {
        for field in target.sensitiveFields { marked.append((name, "\(name).\(field)", entity.name, "\(scope.alias).\(entity.idColumn.identifier)")) }
      }
    }
    for mark in marked {
      if let column = layout.column(of: mark.name) { layout.mark(column, as: mark.field, of: mark.resource, id: layout.hidden(mark.id)) }
    }
  }

  private mutating func expand(_ name: String, at pointer: String, entity: Model.Entity, scope: inout QueryScope, layout: inout RowLayout) throws(Problem) {
    let allowed = entity.resource.expand.map(\.name)
    guard allowed.contains(name) else {
      let nearest = nearestName(to: name, in: allowed) ?? allowed.joined(separator: ", ")
      throw .badParameter(
        pointer,
        Phrase(
          "\"\(Problem.clipped(name))\" cannot be expanded here. Use: \(nearest).",
          tr: "\"\(Problem.clipped(name))\" burada genişletilemez. Şunu kullanın: \(nearest)."))
    }
    if entity.one[name] != nil {
      let (alias, target) = try scope.join([name], in: &self, pointer: pointer)
      let presence = layout.addObject(
        name, presence: "\(alias).\(target.idColumn.identifier)",
        members: target.columns.map { ($0.name, "\(alias).\($0.identifier)" as SQL) })
      for (place, column) in target.columns.enumerated() where column.isSensitive {
        layout.mark(presence + 1 + place, as: column.name, of: target.name, id: presence)
      }
    } else if let many = entity.many[name], let target = model[many.target] {
      let alias = try nextAlias(pointer)
      areas.insert(target.resource.area)
      let columns = target.columns.map { "\($0.jsonExpression(alias)) AS \($0.identifier)" as SQL }
      let conditions = many.conditions(alias, of: scope.alias)
      layout.add(
        name,
        """
        (SELECT coalesce(json_agg(r), '[]'::json) FROM (SELECT \(columns.joined(separator: ", ")) FROM \(target.table.sql) \(alias)
        WHERE \(conditions.joined(separator: " AND "))
        ORDER BY \(alias).\(target.idColumn.identifier) LIMIT \(Query.maximumLimit)) r)
        """)
    }
  }
}

extension Catalogue.Column {
  /// The column within PostgreSQL's own JSON, spelled as the API spells it everywhere: decimals as text, instants with a Z.
  func jsonExpression(_ alias: SQL) -> SQL {
    switch type {
    case .numeric: "\(alias).\(identifier)::text"
    case .timestamp: "replace(replace(\(alias).\(identifier)::text, ' ', 'T'), '+00', 'Z')"
    case .bytes: "encode(\(alias).\(identifier), 'base64')"
    default: "\(alias).\(identifier)"
    }
  }
}
