package import PostgresClient

/// How the columns of a result become a JSON object: which column is which member, which make up a nested object, which stay hidden.
package struct RowLayout: Sendable {
  indirect enum Member: Sendable {
    /// `key` is the member's name as JSON text with its colon.
    case value(key: [UInt8], column: Int)
    /// A to-one neighbour: null when its id (the column `presence`) is null.
    case object(key: [UInt8], presence: Int, members: [Member])
  }

  private(set) var members: [Member] = []
  /// The select list.
  private(set) var list: SQL = ""
  private var columnCount = 0
  /// The names of the top-level members, in order: the header of a CSV.
  package private(set) var names: [String] = []

  static func key(_ name: String) -> [UInt8] { Array("\"\(name)\":".utf8) }

  /// The place of a member that is shown as it is; nil for a nested object and for what is not shown.
  func column(of name: String) -> Int? {
    guard let index = names.firstIndex(of: name), case .value(_, let column) = members[index] else { return nil }
    return column
  }

  /// Adds an expression that only the program reads; the answer is its place in the result.
  mutating func hidden(_ sql: SQL) -> Int {
    if columnCount > 0 { list += ", " }
    list += sql
    columnCount += 1
    return columnCount - 1
  }

  mutating func add(_ name: String, _ sql: SQL) {
    names.append(name)
    members.append(.value(key: Self.key(name), column: hidden(sql)))
  }

  mutating func addObject(_ name: String, presence: SQL, members inner: [(name: String, sql: SQL)]) {
    names.append(name)
    let presenceColumn = hidden(presence)
    let nested = inner.map { Member.value(key: Self.key($0.name), column: hidden($0.sql)) }
    members.append(.object(key: Self.key(name), presence: presenceColumn, members: nested))
  }

  /// Writes one row as a JSON object.
  package func write(_ result: PostgresResult, row: Int, to writer: inout JSONWriter) {
    Self.write(members, result, row, &writer)
  }

  private static func write(_ members: [Member], _ result: PostgresResult, _ row: Int, _ writer: inout JSONWriter) {
    writer.beginObject()
    for member in members {
      switch member {
      case .value(let key, let column):
        writer.key(prepared: key)
        writer.writeValue(result, row, column)
      case .object(let key, let presence, let inner):
        writer.key(prepared: key)
        if result.bytes(row, presence) == nil {
          writer.null()
        } else {
          write(inner, result, row, &writer)
        }
      }
    }
    writer.endObject()
  }
}

extension PostgresResult {
  /// A cell as PostgreSQL wrote it, whatever its type; nil for NULL.
  func text(_ row: Int, _ column: Int) -> String? { bytes(row, column).map { String(decoding: $0, as: UTF8.self) } }
}
