/// What the API says of a table beyond what PostgreSQL's catalogue knows: its public name, whose it is, and what a client may set.
/// Listing, reading, filtering, writing, history, import, export and OpenAPI follow from it.
package struct Resource: Sendable {
  /// A neighbour that can be shown within a record, or walked through by a dotted field.
  package enum Expansion: Sendable, Hashable, ExpressibleByStringLiteral {
    /// The one record that `<name>_id` refers to.
    case one(String)
    /// The records of another resource that refer to this one through their column `by`.
    case many(String, of: String, by: String)

    package init(stringLiteral name: String) { self = .one(name) }

    package var name: String {
      switch self {
      case .one(let name), .many(let name, _, _): name
      }
    }
  }

  /// Plural, snake_case: `/v1/<name>`.
  package let name: String
  /// What one of them is called, in OpenAPI and in messages.
  package let singular: String
  /// `singular` behind its article, for descriptions: an absence, a unit.
  package var oneOfThem: String {
    let beginsWithVowel = singular.first.map { "aeiou".contains($0) } ?? false
    return "\(beginsWithVowel && !singular.hasPrefix("uni") && !singular.hasPrefix("use") ? "an" : "a") \(singular)"
  }
  /// `schema.table`
  package let table: String
  /// Whose permission is asked before row-level security decides on each row.
  package let area: Area
  /// Columns a client may set when it creates a record; empty where records are made by operations alone.
  package let create: [String]
  /// Columns a client may change; everything else is moved by operations.
  package let change: [String]
  package let deletable: Bool
  package let expand: [Expansion]
  /// Text columns that `search=` looks in, own or dotted.
  package let search: [String]
  /// Whether people may add fields of their own, kept in the column `custom`.
  package let customFields: Bool
  /// Whether records that mean the same can be merged; a merged id then leads to the survivor.
  package let mergeable: Bool
  /// The order of a list when none is asked for, such as `-ordered_at`; the id always breaks ties.
  package let order: String
  /// The column that says of which day a record's amounts are: the day whose exchange rate converts them.
  package let dated: String

  package init(
    _ name: String, singular: String, table: String, area: Area, create: [String] = [], change: [String] = [], deletable: Bool = false,
    expand: [Expansion] = [], search: [String] = [], customFields: Bool = false, mergeable: Bool = false, order: String = "id",
    dated: String = "created_at"
  ) {
    self.name = name
    self.singular = singular
    self.table = table
    self.area = area
    self.create = create
    self.change = change
    self.deletable = deletable
    self.expand = expand
    self.search = search
    self.customFields = customFields
    self.mergeable = mergeable
    self.order = order
    self.dated = dated
  }
}
