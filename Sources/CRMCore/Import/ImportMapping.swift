/// How the columns of a file become the fields of records.
package struct ImportMapping: Sendable {
  /// Where a field's value comes from.
  package indirect enum Value: Sendable {
    /// A column of the file. `values` replaces some of its values by others; `otherwise` replaces all that are not listed.
    case column(String, values: [String: String], otherwise: String?)
    /// The same for every record.
    case constant(String)
    /// Text with columns in braces: `Household {household_id}`. Empty when one of the columns is.
    case template([Piece])
    /// The first that is not empty.
    case first([Value])
    /// An object of named values, for columns that hold JSON. Empty values are left out.
    case object([(name: String, value: Value)])

    package enum Piece: Sendable {
      case text(String)
      case column(String)
    }

    /// The columns of the file it reads.
    var columns: [String] {
      switch self {
      case .column(let name, _, _): [name]
      case .constant: []
      case .template(let pieces): pieces.compactMap { if case .column(let name) = $0 { name } else { nil } }
      case .first(let values): values.flatMap(\.columns)
      case .object(let members): members.flatMap(\.value.columns)
      }
    }
  }

  /// How another record is found.
  package struct Reference: Sendable {
    package enum Recognition: Sendable, Hashable {
      /// By the key it has in another system.
      case externalID(system: String)
      /// By a field of its own, such as `sku`.
      case field(String)
      /// By its path in a tree, one column a level from the top. The code of a level is the path so far.
      case path
    }

    package enum Absence: String, Sendable, CaseIterable {
      /// The row is refused.
      case refuse
      /// The record is made from `create`.
      case create
      /// The field stays empty.
      case empty
    }

    package let resource: String
    package let recognition: Recognition
    /// The columns of the file that hold the key, joined by `/`, or the levels of the path.
    package let columns: [String]
    package let absence: Absence
    package let create: [(field: String, value: Value)]
  }

  package enum Source: Sendable {
    case value(Value)
    case reference(Reference)
  }

  /// What happens to rows that are the same in every column.
  package enum Duplicates: String, Sendable, CaseIterable {
    case refuse, keep
  }

  /// Lines of the same file, when a row is a line and several rows make a record.
  package struct Lines: Sendable {
    package let fields: [(field: String, source: Source)]
    package let duplicates: Duplicates
  }

  /// The system that the keys belong to, such as `complete_journey`.
  package let system: String?
  /// The columns whose values, joined by `/`, are the record's key in `system`.
  package let key: [String]
  /// The fields by which existing records are recognised when there is no key of another system.
  package let match: [String]
  /// The zone of times that do not say theirs (IANA name).
  package let timeZone: String?
  /// Whether numbers are written `1.234,56`.
  package let decimalComma: Bool
  /// The code of the department that the records go to; the caller's own when nil.
  package let department: String?
  /// The names of the columns, for a file without a header.
  package let columns: [String]?
  package let delimiter: String?
  /// How the file's bytes are text.
  package let encoding: TextEncoding
  package let fields: [(field: String, source: Source)]
  package let lines: Lines?
}

extension ImportMapping {
  /// Every column that the mapping reads, once, in alphabetical order.
  var usedColumns: [String] {
    var names = Set(key)
    for (_, source) in fields + (lines?.fields ?? []) {
      switch source {
      case .value(let value): names.formUnion(value.columns)
      case .reference(let reference): names.formUnion(reference.columns + reference.create.flatMap(\.value.columns))
      }
    }
    return names.sorted()
  }
}
