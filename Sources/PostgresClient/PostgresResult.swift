internal import CLibPQ

/// What one statement returned.
///
/// `@unchecked Sendable`: libpq's result is never changed after it was received, its accessors only read, and it is freed
/// once, when the last reference to this object goes.
package final class PostgresResult: @unchecked Sendable {
  private let pointer: OpaquePointer
  /// The number of rows.
  package let count: Int
  package let columnCount: Int

  /// Takes over `pointer`, a `PGresult`.
  init(_ pointer: OpaquePointer) {
    self.pointer = pointer
    count = Int(PQntuples(pointer))
    columnCount = Int(PQnfields(pointer))
  }

  deinit { PQclear(pointer) }

  /// How many rows the statement inserted, changed, deleted, selected or copied.
  package var affectedRows: Int {
    guard let text = PQcmdTuples(pointer) else { return 0 }
    return Int(String(cString: text)) ?? 0
  }

  package var columns: [(name: String, type: TypeOID)] {
    (0..<columnCount).map { (columnName($0), columnType($0)) }
  }

  package func columnName(_ column: Int) -> String {
    withColumnName(column) { String(decoding: $0, as: UTF8.self) }
  }

  package func columnType(_ column: Int) -> TypeOID { TypeOID(rawValue: PQftype(pointer, Int32(column))) }

  /// Calls `body` with the UTF-8 of a column's name.
  package func withColumnName<R>(_ column: Int, _ body: (UnsafeRawBufferPointer) -> R) -> R {
    guard let name = PQfname(pointer, Int32(column)) else { return body(UnsafeRawBufferPointer(start: nil, count: 0)) }
    var length = 0
    while name[length] != 0 { length += 1 }
    return body(UnsafeRawBufferPointer(start: name, count: length))
  }

  /// The place of the first column called `name`; nil if there is none.
  package func column(named name: String) -> Int? {
    var name = name
    return name.withUTF8 { wanted in
      (0..<columnCount).first { column in withColumnName(column) { $0.elementsEqual(wanted) } }
    }
  }

  /// PostgreSQL's text of a value, valid as long as the result lives; nil for NULL.
  package func bytes(_ row: Int, _ column: Int) -> UnsafeRawBufferPointer? {
    let length = PQgetlength(pointer, Int32(row), Int32(column))
    // Only NULL and the empty text have no length.
    if length == 0, PQgetisnull(pointer, Int32(row), Int32(column)) != 0 { return nil }
    return UnsafeRawBufferPointer(start: PQgetvalue(pointer, Int32(row), Int32(column)), count: Int(length))
  }

  package subscript(row: Int) -> PostgresRow { PostgresRow(result: self, index: row) }

  package var rows: some RandomAccessCollection<PostgresRow> { (0..<count).lazy.map { self[$0] } }
}

/// One row of a result.
package struct PostgresRow: Sendable {
  package let result: PostgresResult
  package let index: Int

  /// The value in the column called `name`.
  /// - Throws: `PostgresError` of kind `.decoding` if there is no such column or its value is no `T`.
  package func decode<T: PostgresDecodable>(_ type: T.Type, _ name: String) throws(PostgresError) -> T {
    guard let column = result.column(named: name) else {
      throw PostgresError(.decoding, "the result has no column \"\(name)\"")
    }
    return try decode(type, at: column)
  }

  /// The value in the column called `name`, of the type that is expected where it goes.
  package func decode<T: PostgresDecodable>(_ name: String) throws(PostgresError) -> T { try decode(T.self, name) }

  /// The value in the column at `column`, counted from 0.
  /// - Throws: `PostgresError` of kind `.decoding` if there is no such column or its value is no `T`.
  package func decode<T: PostgresDecodable>(_ type: T.Type = T.self, at column: Int) throws(PostgresError) -> T {
    guard (0..<result.columnCount).contains(column) else {
      throw PostgresError(.decoding, "the result has no column number \(column)")
    }
    let bytes = result.bytes(index, column)
    if let value = T.decode(bytes, type: result.columnType(column)) { return value }
    var error = PostgresError(
      .decoding,
      "column \"\(result.columnName(column))\" of type \(result.columnType(column).rawValue) holds \(bytes == nil ? "NULL, which is" : "a value that is") no \(T.self)"
    )
    error.column = result.columnName(column)
    throw error
  }
}

/// A value that is read from a row of its own.
package protocol RowDecodable {
  init(row: PostgresRow) throws
}
