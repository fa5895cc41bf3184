package import PostgresClient

/// How the columns of a result become a JSON object: which column is which member, which make up a nested object, which stay hidden.
package struct RowLayout: Sendable {
  /// One member. Its key lies in `keys`, so that a member owns nothing and walking over them, row by row, counts no references.
  private struct Member: Sendable {
    enum Kind: Sendable {
      case value
      /// A to-one neighbour, null when its id (the member's column) is null; the next `count` members are its own.
      case object(count: Int)
    }
    let kind: Kind
    let key: Range<Int>
    let column: Int
  }

  private var members: [Member] = []
  /// The members' names as JSON text with their colons, one after the other.
  private var keys: [UInt8] = []
  /// The select list.
  private(set) var list: SQL = ""
  private var columnCount = 0
  /// The names of the top-level members, in order: the header of a CSV.
  package private(set) var names: [String] = []
  /// The column of each of `names`; nil for a nested object.
  private var columns: [Int?] = []

  /// A shown column of sensitive personal data, and the column with the id of the record it is of.
  struct Sensitive: Sendable {
    let resource: String
    let field: String
    let column: Int
    let id: Int
  }

  /// What must be written down when it is shown.
  private(set) var sensitive: [Sensitive] = []

  mutating func mark(_ column: Int, as field: String, of resource: String, id: Int) {
    sensitive.append(Sensitive(resource: resource, field: field, column: column, id: id))
  }

  private mutating func key(_ name: String) -> Range<Int> {
    let start = keys.count
    keys += "\"\(name)\":".utf8
    return start..<keys.count
  }

  /// The place of a member that is shown as it is; nil for a nested object and for what is not shown.
  func column(of name: String) -> Int? {
    guard let index = names.firstIndex(of: name) else { return nil }
    return columns[index]
  }

  /// Adds an expression that only the program reads; the answer is its place in the result.
  mutating func hidden(_ sql: SQL) -> Int {
    if columnCount > 0 { list += ", " }
    list += sql
    columnCount += 1
    return columnCount - 1
  }

  mutating func add(_ name: String, _ sql: SQL) {
    let column = hidden(sql)
    names.append(name)
    columns.append(column)
    members.append(Member(kind: .value, key: key(name), column: column))
  }

  /// - Returns: the place of `presence`; those of the members follow it.
  mutating func addObject(_ name: String, presence: SQL, members inner: [(name: String, sql: SQL)]) -> Int {
    names.append(name)
    columns.append(nil)
    let place = hidden(presence)
    members.append(Member(kind: .object(count: inner.count), key: key(name), column: place))
    for member in inner { members.append(Member(kind: .value, key: key(member.name), column: hidden(member.sql))) }
    return place
  }

  /// Writes one row as a JSON object.
  package func write(_ result: PostgresResult, row: Int, to writer: inout JSONWriter) {
    write(result, rows: row..<(row + 1), to: &writer)
  }

  /// Writes rows as JSON objects, one after the other.
  package func write(_ result: PostgresResult, rows: Range<Int>, to writer: inout JSONWriter) {
    let types = members.map { result.columnType($0.column) }
    keys.withUnsafeBytes { keys in
      members.withUnsafeBufferPointer { members in
        types.withUnsafeBufferPointer { types in
          for row in rows { Self.write(result, row, members, keys, types, to: &writer) }
        }
      }
    }
  }

  private static func write(
    _ result: PostgresResult, _ row: Int, _ members: UnsafeBufferPointer<Member>, _ keys: UnsafeRawBufferPointer,
    _ types: UnsafeBufferPointer<TypeOID>, to writer: inout JSONWriter
  ) {
    /// Where the object of a neighbour ends, while one is open.
    var objectEnd = -1
    var index = 0
    writer.beginObject()
    while index < members.count {
      let member = members[index]
      writer.key(prepared: UnsafeRawBufferPointer(rebasing: keys[member.key]))
      switch member.kind {
      case .value: writer.writeValue(result, row, member.column, type: types[index])
      case .object(let count) where result.bytes(row, member.column) == nil:
        writer.null()
        index += count
      case .object(let count):
        writer.beginObject()
        objectEnd = index + count
      }
      if index == objectEnd { writer.endObject() }
      index += 1
    }
    writer.endObject()
  }
}

extension PostgresResult {
  /// A cell as PostgreSQL wrote it, whatever its type; nil for NULL.
  package func text(_ row: Int, _ column: Int) -> String? { bytes(row, column).map { String(decoding: $0, as: UTF8.self) } }
}
