import PostgresClient

/// The declared resources held against PostgreSQL's catalogue: every name resolved, every relation followed.
package struct Model: Sendable {
  /// A resource with its table and its neighbours. A class, because every request hands it around, and as a struct it would have some
  /// twenty references counted each time.
  package final class Entity: Sendable {
    package let resource: Resource
    package let table: Catalogue.Table
    /// The columns that the API shows, in the table's order: every one that is not `secret:`.
    package let columns: [Catalogue.Column]
    /// To-one neighbours by name (`customer` for `customer_id`), each with its column and the resource it leads to.
    package let one: [String: One]
    /// To-many neighbours by name.
    package let many: [String: Many]
    package let idColumn: Catalogue.Column
    /// The names of columns whose every showing is written down.
    package let sensitiveFields: [String]
    /// The row version behind `ETag` and `If-Match`; nil for tables without one.
    package let versionColumn: Catalogue.Column?
    /// All columns of the alias `t` as they are shown: what most requests ask for, made once.
    let shown: RowLayout
    /// The statement that finds one record with all of them, but for the id at its end.
    let shownByID: SQL

    package var name: String { resource.name }

    package func column(_ name: String) -> Catalogue.Column? { columnsByName[name] }

    private let columnsByName: [String: Catalogue.Column]

    init(
      resource: Resource, table: Catalogue.Table, columns: [Catalogue.Column], one: [String: One], many: [String: Many],
      idColumn: Catalogue.Column
    ) {
      self.resource = resource
      self.table = table
      self.columns = columns
      self.one = one
      self.many = many
      self.idColumn = idColumn
      versionColumn = table.column("version")
      sensitiveFields = columns.filter(\.isSensitive).map(\.name)
      var shown = RowLayout()
      for column in columns { shown.add(column.name, "t.\(column.identifier)") }
      if let id = shown.column(of: idColumn.name) {
        for column in columns where column.isSensitive {
          if let place = shown.column(of: column.name) { shown.mark(place, as: column.name, of: resource.name, id: id) }
        }
      }
      self.shown = shown
      shownByID = "SELECT \(shown.list) FROM \(table.sql) t WHERE t.\(idColumn.identifier) = "
      columnsByName = Dictionary(columns.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    }
  }

  package struct One: Sendable {
    package let name: String
    /// This resource's `<name>_id`.
    package let column: Catalogue.Column
    package let target: String
    package let isExpandable: Bool
    /// The foreign key's columns with the neighbour's, such as (customer_id, customer_id), (order_id, id).
    package let key: [(own: Catalogue.Column, target: Catalogue.Column)]
  }

  package struct Many: Sendable {
    package let name: String
    package let target: String
    /// The columns of the neighbour's foreign key with this resource's, such as (customer_id, customer_id), (order_id, id): all of them, because its rows are indexed so.
    package let key: [(target: Catalogue.Column, own: Catalogue.Column)]

    /// What makes a neighbour's row one of a record's.
    func conditions(_ neighbour: SQL, of record: SQL) -> [SQL] {
      key.map { "\(neighbour).\($0.target.identifier) = \(record).\($0.own.identifier)" }
    }
  }

  /// Every disagreement between the declarations and the catalogue, so that start-up can list them all.
  package struct Mistakes: Error, CustomStringConvertible {
    package let list: [String]
    package var description: String { "The resource declarations disagree with the database:\n" + list.map { "  - \($0)" }.joined(separator: "\n") }
  }

  package let catalogue: Catalogue
  package let entities: [String: Entity]

  package init(resources: [Resource], catalogue: Catalogue) throws(Mistakes) {
    var resolver = ModelResolver(resources: resources, catalogue: catalogue)
    let entities = resolver.resolve()
    guard resolver.mistakes.isEmpty else { throw Mistakes(list: resolver.mistakes) }
    self.catalogue = catalogue
    self.entities = entities
  }

  package subscript(name: String) -> Entity? { entities[name] }

  /// The resource that a table belongs to.
  package func entity(ofTable table: String) -> Entity? { entities.values.first { $0.table.name == table } }
}
