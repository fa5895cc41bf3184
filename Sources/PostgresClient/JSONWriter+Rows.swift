extension JSONWriter {
  /// Writes one value by its column's type: numbers and booleans as such, `numeric` as a quoted exact string, instants as RFC 3339 in UTC,
  /// `json` as it is, `bytea` as base64, arrays as arrays, NULL as null, everything else as a string.
  package mutating func writeValue(_ result: PostgresResult, _ row: Int, _ column: Int) {
    writeValue(result, row, column, type: result.columnType(column))
  }

  /// The same for a column whose type is known, which is worth knowing when there are many rows.
  package mutating func writeValue(_ result: PostgresResult, _ row: Int, _ column: Int, type: TypeOID) {
    if let bytes = result.bytes(row, column) { value(bytes, type: type) } else { null() }
  }

  /// Writes a row as an object of its columns' names.
  /// - Parameter columns: which columns; nil for all.
  package mutating func writeRow(_ result: PostgresResult, _ row: Int, columns: Range<Int>? = nil) {
    beginObject()
    writeMembers(result, row, columns: columns)
    endObject()
  }

  /// Writes a row's columns as members of the object that is open.
  /// - Parameter columns: which columns; nil for all.
  package mutating func writeMembers(_ result: PostgresResult, _ row: Int, columns: Range<Int>? = nil) {
    for column in columns ?? 0..<result.columnCount {
      result.withColumnName(column) { quoted($0) }
      beginMemberValue()
      writeValue(result, row, column)
    }
  }

  /// Writes all rows as an array of objects.
  /// - Parameters:
  ///   - rows: which rows; nil for all.
  ///   - columns: which columns; nil for all.
  package mutating func writeRows(_ result: PostgresResult, rows: Range<Int>? = nil, columns: Range<Int>? = nil) {
    // A column's name is escaped and its type looked up once, not once a row; the names lie in one piece.
    var names = JSONWriter()
    let plan = (columns ?? 0..<result.columnCount).map { column in
      let start = names.bytes.count
      names.expectValue()
      result.withColumnName(column) { names.quoted($0) }
      names.append(UInt8(ascii: ":"))
      return (column: column, name: start..<names.bytes.count, type: result.columnType(column))
    }
    beginArray()
    names.bytes.withUnsafeBytes { names in
      for row in rows ?? 0..<result.count {
        beginObject()
        for (column, name, type) in plan {
          key(prepared: UnsafeRawBufferPointer(rebasing: names[name]))
          writeValue(result, row, column, type: type)
        }
        endObject()
      }
    }
    endArray()
  }

  private mutating func beginMemberValue() {
    append(UInt8(ascii: ":"))
    expectValue()
  }

  private mutating func value(_ bytes: UnsafeRawBufferPointer, type: TypeOID) {
    switch type {
    case .bool: bool(bytes.first == UInt8(ascii: "t"))
    case .int2, .int4, .int8, .oid: bare(bytes)
    case .float4, .float8: float(bytes)
    case .numeric, .uuid, .date: plain(bytes)
    case .timestamptz: timestamp(bytes, zone: true)
    case .timestamp: timestamp(bytes, zone: false)
    case .json, .jsonb: bare(bytes)
    case .bytea: base64(bytes)
    default:
      if let element = type.element { array(bytes, element: element) } else { quoted(bytes) }
    }
  }

  private mutating func float(_ bytes: UnsafeRawBufferPointer) {
    // NaN, Infinity and -Infinity are no JSON numbers.
    switch bytes.last {
    case UInt8(ascii: "N"), UInt8(ascii: "y"): plain(bytes)
    default: bare(bytes)
    }
  }

  /// `2026-11-21 09:30:00.5+00` becomes `2026-11-21T09:30:00.5Z`; what RFC 3339 cannot say (infinity, years BC) stays as it is.
  private mutating func timestamp(_ bytes: UnsafeRawBufferPointer, zone: Bool) {
    let zoneStart = bytes.count - (zone ? 3 : 0)
    // The day has ten characters but in years beyond 9999.
    let isUsual = bytes.count > 18 && bytes[10] == UInt8(ascii: " ")
    guard let space = isUsual ? 10 : bytes.firstIndex(of: UInt8(ascii: " ")), bytes.last != UInt8(ascii: "C"),
      !zone || (bytes[zoneStart] == UInt8(ascii: "+") && bytes[zoneStart + 1] == UInt8(ascii: "0") && bytes[zoneStart + 2] == UInt8(ascii: "0"))
    else {
      plain(bytes)
      return
    }
    write(atMost: bytes.count + 3) { end in
      end.put(UInt8(ascii: "\""))
      end.put(UnsafeRawBufferPointer(rebasing: bytes[..<space]))
      end.put(UInt8(ascii: "T"))
      end.put(UnsafeRawBufferPointer(rebasing: bytes[(space + 1)..<zoneStart]))
      if zone { end.put(UInt8(ascii: "Z")) }
      end.put(UInt8(ascii: "\""))
    }
  }

  private mutating func array(_ bytes: UnsafeRawBufferPointer, element: TypeOID) {
    guard var reader = ArrayReader(bytes) else {
      quoted(bytes)
      return
    }
    beginArray()
    loop: while true {
      switch reader.next() {
      case .end, .malformed: break loop
      case .null: null()
      case .plain(let range):
        let item = UnsafeRawBufferPointer(rebasing: bytes[range])
        if item.first == UInt8(ascii: "{"), bytes[range.lowerBound - 1] != UInt8(ascii: "\"") {
          array(item, element: element)
        } else {
          value(item, type: element)
        }
      case .escaped(let text): text.withUnsafeBytes { value($0, type: element) }
      }
    }
    endArray()
  }

  /// A `bytea` arrives as `\x` and hexadecimal digits.
  private mutating func base64(_ bytes: UnsafeRawBufferPointer) {
    separate()
    append(UInt8(ascii: "\""))
    let count = max(0, bytes.count / 2 - 1)
    func byte(_ index: Int) -> UInt32 {
      index < count ? UInt32(hexDigit(bytes[2 + index * 2]) << 4 | hexDigit(bytes[3 + index * 2])) : 0
    }
    for index in stride(from: 0, to: count, by: 3) {
      let group = byte(index) << 16 | byte(index + 1) << 8 | byte(index + 2)
      append(base64Digit(group >> 18))
      append(base64Digit(group >> 12))
      append(index + 1 < count ? base64Digit(group >> 6) : UInt8(ascii: "="))
      append(index + 2 < count ? base64Digit(group) : UInt8(ascii: "="))
    }
    append(UInt8(ascii: "\""))
  }
}

private func base64Digit(_ bits: UInt32) -> UInt8 {
  let value = UInt8(truncatingIfNeeded: bits & 63)
  return switch value {
  case 0..<26: UInt8(ascii: "A") + value
  case 26..<52: UInt8(ascii: "a") + (value - 26)
  case 52..<62: UInt8(ascii: "0") + (value - 52)
  case 62: UInt8(ascii: "+")
  default: UInt8(ascii: "/")
  }
}
