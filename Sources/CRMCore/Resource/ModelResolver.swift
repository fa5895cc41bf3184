import PostgresClient

/// Follows every name of the declarations into the catalogue and collects what does not fit.
struct ModelResolver {
  let resources: [Resource]
  let catalogue: Catalogue
  var mistakes: [String] = []

  init(resources: [Resource], catalogue: Catalogue) {
    self.resources = resources
    self.catalogue = catalogue
  }

  mutating func resolve() -> [String: Model.Entity] {
    var entities: [String: Model.Entity] = [:]
    for resource in resources {
      if entities[resource.name] != nil { mistakes.append("\(resource.name): declared twice") }
      if let entity = entity(of: resource) { entities[resource.name] = entity }
    }
    for entity in entities.values { checkSearch(of: entity, in: entities) }
    return entities
  }

  private mutating func entity(of resource: Resource) -> Model.Entity? {
    guard let table = catalogue.tables[resource.table] else {
      mistakes.append("\(resource.name): there is no table \(resource.table)")
      return nil
    }
    guard let id = table.column("id"), id.type == .uuid else {
      mistakes.append("\(resource.name): \(resource.table) has no column id of type uuid")
      return nil
    }
    checkWritable(resource, table)
    let columns = table.columns.filter { !$0.isSecret && !$0.isDerived }
    let (one, many) = neighbours(of: resource, table)
    let entity = Model.Entity(resource: resource, table: table, columns: columns, one: one, many: many, idColumn: id)
    let orderName = resource.order.hasPrefix("-") ? String(resource.order.dropFirst()) : resource.order
    if entity.column(orderName)?.type.isOrdered != true {
      mistakes.append("\(resource.name): cannot be sorted by \(orderName)")
    }
    if entity.column("currency") != nil, ![.timestamp, .date].contains(entity.column(resource.dated)?.type) {
      mistakes.append("\(resource.name): \(resource.dated) is no day to convert amounts at")
    }
    return entity
  }

  private mutating func checkWritable(_ resource: Resource, _ table: Catalogue.Table) {
    for name in resource.create + resource.change {
      guard let column = table.column(name) else {
        mistakes.append("\(resource.name): \(resource.table) has no column \(name)")
        continue
      }
      if column.isGenerated { mistakes.append("\(resource.name): \(name) is computed by PostgreSQL and cannot be set") }
      if column.isSecret { mistakes.append("\(resource.name): \(name) is secret and cannot be set by a client") }
      if column.comment.isEmpty { mistakes.append("\(resource.name): \(resource.table).\(name) has no comment") }
    }
    if !resource.create.isEmpty {
      for column in table.columns
      where !column.isNullable && !column.hasDefault && !column.isGenerated && column.name != "id" && !resource.create.contains(column.name)
        // A part has its parent's department; a trigger gives it.
        && column.name != "department_id"
      {
        mistakes.append("\(resource.name): \(column.name) is required but cannot be set on create")
      }
    }
    if resource.customFields, table.column("custom")?.type != .json {
      mistakes.append("\(resource.name): custom fields need a jsonb column named custom")
    }
    if resource.customFields, catalogue.tables["crm.custom_field"]?.column("resource")?.options?.contains(resource.name) == false {
      mistakes.append("\(resource.name): crm.custom_field takes no fields of this resource")
    }
    if !resource.change.isEmpty, table.column("version") == nil {
      mistakes.append("\(resource.name): changes need a column named version")
    }
  }

  private mutating func neighbours(of resource: Resource, _ table: Catalogue.Table) -> ([String: Model.One], [String: Model.Many]) {
    var one: [String: Model.One] = [:]
    var many: [String: Model.Many] = [:]
    let expandable = Set(resource.expand.map(\.name))
    for key in table.foreignKeys {
      guard let name = key.columns.last, name.hasSuffix("_id"), key.targetColumns.last == "id", let column = table.column(name),
        let target = resources.first(where: { $0.table == key.target }), let targetTable = catalogue.tables[target.table]
      else { continue }
      let short = String(name.dropLast(3))
      let pairs = zip(key.columns, key.targetColumns).compactMap { own, other in
        table.column(own).flatMap { own in targetTable.column(other).map { (own: own, target: $0) } }
      }
      one[short] = Model.One(
        name: short, column: column, target: target.name, isExpandable: expandable.contains(short), key: pairs)
    }
    for expansion in resource.expand {
      switch expansion {
      case .one(let name):
        if one[name] == nil { mistakes.append("\(resource.name): cannot expand \(name): \(name)_id refers to no declared resource") }
      case .many(let name, let target, let by):
        guard let otherTable = resources.first(where: { $0.name == target }).flatMap({ catalogue.tables[$0.table] }), let column = otherTable.column(by),
          let id = table.column("id")
        else {
          mistakes.append("\(resource.name): cannot expand \(name): \(target) has no column \(by)")
          continue
        }
        let key = otherTable.foreignKeys.first { $0.columns.last == by && $0.target == resource.table && $0.targetColumns.last == "id" }
        let pairs = key.map { key in
          zip(key.columns, key.targetColumns).compactMap { other, own in
            otherTable.column(other).flatMap { other in table.column(own).map { (target: other, own: $0) } }
          }
        }
        many[name] = Model.Many(name: name, target: target, key: pairs ?? [(target: column, own: id)])
      }
    }
    return (one, many)
  }

  private mutating func checkSearch(of entity: Model.Entity, in entities: [String: Model.Entity]) {
    for path in entity.resource.search {
      var here: Model.Entity? = entity
      let names = path.split(separator: ".").map(String.init)
      for name in names.dropLast() { here = here?.one[name].flatMap { entities[$0.target] } }
      if names.last.flatMap({ here?.column($0) })?.type != .text {
        mistakes.append("\(entity.name): cannot search in \(path): not a text column")
      }
    }
  }
}
