/// The name of a table, column, … as PostgreSQL itself reported it. Only decoding a result column of type `name` makes one,
/// so run-time text can never become an identifier in a statement.
package struct Identifier: Hashable, Sendable {
  package let name: String
  /// The name as it stands in a statement: always in double quotes.
  let quoted: String

  fileprivate init(name: String) {
    self.name = name
    quoted = "\"" + name.replacing("\"", with: "\"\"") + "\""
  }
}

extension Identifier: CustomStringConvertible {
  package var description: String { name }
}

extension Identifier: PostgresDecodable {
  package static func decode(_ bytes: UnsafeRawBufferPointer?, type: TypeOID) -> Identifier? {
    guard type == .name, let bytes else { return nil }
    return Identifier(name: String(decoding: bytes, as: UTF8.self))
  }
}
