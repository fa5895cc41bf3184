/// The number by which PostgreSQL names a data type. Built-in types have the same number on every server.
package struct TypeOID: RawRepresentable, Hashable, Sendable {
  package let rawValue: UInt32
  package init(rawValue: UInt32) { self.rawValue = rawValue }
}

extension TypeOID {
  package static let bool = TypeOID(rawValue: 16)
  package static let bytea = TypeOID(rawValue: 17)
  package static let name = TypeOID(rawValue: 19)
  package static let int8 = TypeOID(rawValue: 20)
  package static let int2 = TypeOID(rawValue: 21)
  package static let int4 = TypeOID(rawValue: 23)
  package static let text = TypeOID(rawValue: 25)
  package static let oid = TypeOID(rawValue: 26)
  package static let json = TypeOID(rawValue: 114)
  package static let float4 = TypeOID(rawValue: 700)
  package static let float8 = TypeOID(rawValue: 701)
  package static let date = TypeOID(rawValue: 1082)
  package static let timestamp = TypeOID(rawValue: 1114)
  package static let timestamptz = TypeOID(rawValue: 1184)
  package static let numeric = TypeOID(rawValue: 1700)
  package static let uuid = TypeOID(rawValue: 2950)
  package static let jsonb = TypeOID(rawValue: 3802)

  /// The type of an array's elements; nil for a type that is no array of a built-in type. Elements that need no treatment
  /// of their own (varchar, enum, …) are told as text.
  package var element: TypeOID? {
    switch rawValue {
    case 1000: .bool
    case 1001: .bytea
    case 1003: .name
    case 1016: .int8
    case 1005: .int2
    case 1007: .int4
    case 1028: .oid
    case 199: .json
    case 1021: .float4
    case 1022: .float8
    case 1182: .date
    case 1115: .timestamp
    case 1185: .timestamptz
    case 1231: .numeric
    case 2951: .uuid
    case 3807: .jsonb
    case 1002, 1009, 1014, 1015, 1041, 1183, 1187, 1270: .text
    default: nil
    }
  }
}
