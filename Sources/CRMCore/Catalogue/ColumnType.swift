import Foundation

/// What a column holds, as far as the API is concerned.
package indirect enum ColumnType: Sendable, Hashable {
  case boolean
  /// A whole number of 16, 32 or 64 bits.
  case integer(bits: Int)
  case double
  /// An exact decimal; `precision` and `scale` are nil where the column does not limit them. Travels as a string.
  case numeric(precision: Int?, scale: Int?)
  case text
  case uuid
  case date
  /// A time of day, in no zone.
  case time
  /// An instant in UTC.
  case timestamp
  case json
  case bytes
  case array(ColumnType)
  /// A type the API only shows, as PostgreSQL prints it.
  case other(String)

  /// Reads PostgreSQL's `pg_type.typname` and `pg_attribute.atttypmod`.
  package init(typeName: String, modifier: Int) {
    switch typeName {
    case "bool": self = .boolean
    case "int2": self = .integer(bits: 16)
    case "int4": self = .integer(bits: 32)
    case "int8": self = .integer(bits: 64)
    case "float4", "float8": self = .double
    case "numeric":
      let limits = modifier - 4
      self = modifier < 4 ? .numeric(precision: nil, scale: nil) : .numeric(precision: limits >> 16, scale: limits & 0x7ff)
    case "text", "varchar", "bpchar", "name", "citext": self = .text
    case "uuid": self = .uuid
    case "date": self = .date
    case "time": self = .time
    case "timestamptz": self = .timestamp
    case "json", "jsonb": self = .json
    case "bytea": self = .bytes
    case let array where array.hasPrefix("_"): self = .array(ColumnType(typeName: String(array.dropFirst()), modifier: modifier))
    default: self = .other(typeName)
    }
  }

  /// What a client must send, in words: the cure in an error about a value of the wrong type.
  package var expectation: Phrase {
    switch self {
    case .boolean: Phrase("true or false", tr: "true veya false")
    case .integer: Phrase("a whole number", tr: "bir tam sayı")
    case .double: Phrase("a number", tr: "bir sayı")
    case .numeric(_, let scale):
      scale.map { Phrase("a decimal number with at most \($0) decimals", tr: "en fazla \($0) ondalıklı bir sayı") }
        ?? Phrase("a decimal number", tr: "ondalıklı bir sayı")
    case .text: Phrase("text", tr: "metin")
    case .uuid: Phrase("a UUID such as 0192f3a4-5b6c-7d8e-9fa0-b1c2d3e4f5a6", tr: "0192f3a4-5b6c-7d8e-9fa0-b1c2d3e4f5a6 gibi bir UUID")
    case .date: Phrase("a date such as 2026-03-31", tr: "2026-03-31 gibi bir tarih")
    case .time: Phrase("a time of day such as 09:30", tr: "09:30 gibi bir saat")
    case .timestamp: Phrase("an instant such as 2026-03-31T09:30:00Z", tr: "2026-03-31T09:30:00Z gibi bir an")
    case .json: Phrase("a JSON object", tr: "bir JSON nesnesi")
    case .bytes: Phrase("base64 text", tr: "base64 metni")
    case .array(let element):
      Phrase("a list, each \(element.expectation.english)", tr: "her biri \(element.expectation.turkish) olan bir liste")
    case .other(let name): Phrase("a value of type \(name)", tr: "\(name) türünde bir değer")
    }
  }

  /// JSON Schema (2020-12) of a value as the API shows and takes it.
  package var schema: [String: JSON] {
    switch self {
    case .boolean: ["type": "boolean"]
    case .integer(let bits):
      ["type": "integer", "minimum": .number(Decimal(sign: .minus, exponent: 0, significand: power(bits - 1))), "maximum": .number(power(bits - 1) - 1)]
    case .double: ["type": "number"]
    case .numeric: ["type": "string", "format": "decimal", "pattern": #"^-?[0-9]+(\.[0-9]+)?$"#]
    case .text: ["type": "string"]
    case .uuid: ["type": "string", "format": "uuid"]
    case .date: ["type": "string", "format": "date"]
    case .time: ["type": "string", "pattern": #"^(([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,6})?)?|24:00(:00)?)$"#]
    case .timestamp: ["type": "string", "format": "date-time"]
    case .json: ["type": "object"]
    case .bytes: ["type": "string", "contentEncoding": "base64"]
    case .array(let element): ["type": "array", "items": .object(element.schema)]
    case .other: ["type": "string"]
    }
  }

  private func power(_ exponent: Int) -> Decimal { pow(Decimal(2), exponent) }

  /// Whether values have an order, so that `gt` and sorting make sense.
  package var isOrdered: Bool {
    switch self {
    case .integer, .double, .numeric, .text, .uuid, .date, .time, .timestamp: true
    case .boolean, .json, .bytes, .array, .other: false
    }
  }

  package var isNumber: Bool {
    switch self {
    case .integer, .double, .numeric: true
    default: false
    }
  }
}
