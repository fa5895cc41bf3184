package import PostgresClient

/// What PostgreSQL knows of the CRM's tables, read once at start-up: the one place where facts about data are written.
package struct Catalogue: Sendable {
  package struct Column: Sendable {
    package let name: String
    package let identifier: Identifier
    package let type: ColumnType
    package let isNullable: Bool
    package let hasDefault: Bool
    /// Computed by PostgreSQL; nobody writes it.
    package let isGenerated: Bool
    /// Its meaning and unit, without the marks below.
    package let comment: String
    /// Never shown to anyone (a hash, a token). Marked by `secret:` at the start of the comment.
    package let isSecret: Bool
    /// Kept by PostgreSQL for itself (a search key, an audience): not shown, and nobody writes it. Marked by `derived:`.
    package let isDerived: Bool
    /// Personal data. Marked by `personal:`.
    package let isPersonal: Bool
    /// Personal data of a kind whose every showing is written down, as the register of processing says (`crm.data_category`).
    package var isSensitive = false
    /// The values a CHECK of the form `column IN (…)` allows; nil when it has none.
    package var options: [String]?
    /// The longest text a CHECK of the form `length(column) <= n` allows.
    package var maximumLength: Int?
    /// Whether a CHECK of the form `length(column) >= 1` asks for some text, which for `length(btrim(column))` is more than spaces.
    package var isFilled = false
    package var isMoreThanSpaces = false
    /// The regular expression of a CHECK of the form `column ~ '…'`, if it means the same elsewhere.
    package var pattern: String?
    /// What a CHECK of the form `column > n` asks for.
    package var exclusiveMinimum: Int?
    /// Whether a CHECK says that its JSON is an object.
    package var isObject = false
    /// Whether a CHECK asks `crm.valid_email` about it.
    package var isEmail = false
    /// The column in which PostgreSQL keeps `crm.search_key` of this one, so that a search need not fold every row's text again.
    package var searchKey: Identifier?
  }

  package struct ForeignKey: Sendable {
    package let name: String
    package let columns: [String]
    /// `schema.table`
    package let target: String
    package let targetColumns: [String]
  }

  /// A rule that PostgreSQL enforces, with its explanation for people.
  package struct Constraint: Sendable {
    package enum Kind: Sendable { case check, unique, primaryKey, foreignKey, exclusion }
    package let name: String
    package let kind: Kind
    /// `schema.table`
    package let table: String
    package let columns: [String]
    package let phrase: Phrase?
  }

  package struct Table: Sendable {
    /// `schema.table`
    package let name: String
    package let schemaIdentifier: Identifier
    package let identifier: Identifier
    package let comment: String
    package var columns: [Column]
    package var primaryKey: [String] = []
    package var foreignKeys: [ForeignKey] = []
    /// The function `crm.search_<table>` that finds its rows by an index when they are searched; nil where all are looked at.
    package var searchFunction: Identifier?

    package func column(_ name: String) -> Column? { columns.first { $0.name == name } }

    /// The table's qualified name for a statement.
    package var sql: SQL { "\(schemaIdentifier).\(identifier)" }
  }

  package let tables: [String: Table]
  package let constraints: [String: Constraint]

  package init(tables: [String: Table], constraints: [String: Constraint]) {
    self.tables = tables
    self.constraints = constraints
  }
}
