package import Foundation

/// A value that can be read from a result's column.
package protocol PostgresDecodable: Sendable {
  /// The value that `bytes`, PostgreSQL's text for a value of `type`, stands for. `bytes` is nil for NULL.
  /// - Returns: nil if it stands for no value of this type.
  static func decode(_ bytes: UnsafeRawBufferPointer?, type: TypeOID) -> Self?

  /// An array of such values.
  static func decodeArray(_ bytes: UnsafeRawBufferPointer?, type: TypeOID) -> [Self]?
}

extension PostgresDecodable {
  package static func decodeArray(_ bytes: UnsafeRawBufferPointer?, type: TypeOID) -> [Self]? {
    guard let bytes, var reader = ArrayReader(bytes) else { return nil }
    let element = type.element ?? .text
    var values: [Self] = []
    while true {
      let item: Self?
      switch reader.next() {
      case .end: return values
      case .malformed: return nil
      case .null: item = decode(nil, type: element)
      case .plain(let range): item = decode(UnsafeRawBufferPointer(rebasing: bytes[range]), type: element)
      case .escaped(let text): item = text.withUnsafeBytes { decode($0, type: element) }
      }
      guard let item else { return nil }
      values.append(item)
    }
  }
}

extension PostgresDecodable where Self: RawRepresentable, RawValue: PostgresDecodable {
  package static func decode(_ bytes: UnsafeRawBufferPointer?, type: TypeOID) -> Self? {
    RawValue.decode(bytes, type: type).flatMap(Self.init(rawValue:))
  }
}

extension Bool: PostgresDecodable {
  package static func decode(_ bytes: UnsafeRawBufferPointer?, type: TypeOID) -> Bool? {
    guard let bytes, bytes.count == 1 else { return nil }
    return bytes[0] == UInt8(ascii: "t") ? true : bytes[0] == UInt8(ascii: "f") ? false : nil
  }
}

private func integer<T: FixedWidthInteger>(_ bytes: UnsafeRawBufferPointer?) -> T? {
  guard let bytes, !bytes.isEmpty else { return nil }
  let isNegative = bytes[0] == UInt8(ascii: "-")
  guard !isNegative || bytes.count > 1 else { return nil }
  var value: T = 0
  for byte in bytes.dropFirst(isNegative ? 1 : 0) {
    guard (48...57).contains(byte) else { return nil }
    let (product, tooLarge) = value.multipliedReportingOverflow(by: 10)
    let digit = T(truncatingIfNeeded: byte - 48)
    let (sum, overflow) = isNegative ? product.subtractingReportingOverflow(digit) : product.addingReportingOverflow(digit)
    if tooLarge || overflow { return nil }
    value = sum
  }
  return value
}

extension Int: PostgresDecodable {
  package static func decode(_ bytes: UnsafeRawBufferPointer?, type: TypeOID) -> Int? { integer(bytes) }
}

extension Int16: PostgresDecodable {
  package static func decode(_ bytes: UnsafeRawBufferPointer?, type: TypeOID) -> Int16? { integer(bytes) }
}

extension Int32: PostgresDecodable {
  package static func decode(_ bytes: UnsafeRawBufferPointer?, type: TypeOID) -> Int32? { integer(bytes) }
}

extension Int64: PostgresDecodable {
  package static func decode(_ bytes: UnsafeRawBufferPointer?, type: TypeOID) -> Int64? { integer(bytes) }
}

/// A byte alone is a small number; an array of bytes is a `bytea`.
extension UInt8: PostgresDecodable {
  package static func decode(_ bytes: UnsafeRawBufferPointer?, type: TypeOID) -> UInt8? { integer(bytes) }

  package static func decodeArray(_ bytes: UnsafeRawBufferPointer?, type: TypeOID) -> [UInt8]? {
    guard type == .bytea, let bytes, bytes.count >= 2, bytes.count % 2 == 0, bytes[0] == UInt8(ascii: "\\"), bytes[1] == UInt8(ascii: "x")
    else { return nil }
    return [UInt8](unsafeUninitializedCapacity: bytes.count / 2 - 1) { buffer, count in
      for index in stride(from: 2, to: bytes.count, by: 2) {
        buffer[count] = hexDigit(bytes[index]) << 4 | hexDigit(bytes[index + 1])
        count += 1
      }
    }
  }
}

/// The value of a hexadecimal digit as PostgreSQL writes them, in lower case.
func hexDigit(_ byte: UInt8) -> UInt8 { byte < UInt8(ascii: "a") ? byte &- 48 : byte &- 87 }

extension Double: PostgresDecodable {
  package static func decode(_ bytes: UnsafeRawBufferPointer?, type: TypeOID) -> Double? {
    bytes.flatMap { Double(String(decoding: $0, as: UTF8.self)) }
  }
}

/// Exact or not at all: a `numeric` of more than 38 digits, NaN and the infinities are refused.
extension Decimal: PostgresDecodable {
  package static func decode(_ bytes: UnsafeRawBufferPointer?, type: TypeOID) -> Decimal? {
    guard let bytes, !bytes.isEmpty else { return nil }
    var significant = 0
    var trailingZeros = 0
    for byte in bytes {
      switch byte {
      case UInt8(ascii: "0"):
        if significant > 0 {
          significant += 1
          trailingZeros += 1
        }
      case UInt8(ascii: "1")...UInt8(ascii: "9"):
        significant += 1
        trailingZeros = 0
      case UInt8(ascii: "."), UInt8(ascii: "-"): break
      default: return nil
      }
    }
    guard significant - trailingZeros <= 38, trailingZeros <= 80 else { return nil }
    return Decimal(string: String(decoding: bytes, as: UTF8.self), locale: nil)
  }
}

extension String: PostgresDecodable {
  package static func decode(_ bytes: UnsafeRawBufferPointer?, type: TypeOID) -> String? {
    bytes.map { String(decoding: $0, as: UTF8.self) }
  }
}

extension UUID: PostgresDecodable {
  package static func decode(_ bytes: UnsafeRawBufferPointer?, type: TypeOID) -> UUID? {
    guard type == .uuid, let bytes, bytes.count == 36 else { return nil }
    var uuid: uuid_t = (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    withUnsafeMutableBytes(of: &uuid) { buffer in
      var position = 0
      for index in buffer.indices {
        if bytes[position] == UInt8(ascii: "-") { position += 1 }
        buffer[index] = hexDigit(bytes[position]) << 4 | hexDigit(bytes[position + 1])
        position += 2
      }
    }
    return UUID(uuid: uuid)
  }
}

/// An instant, to the microsecond. `infinity` is refused.
extension Date: PostgresDecodable {
  package static func decode(_ bytes: UnsafeRawBufferPointer?, type: TypeOID) -> Date? {
    guard type == .timestamptz, let bytes else { return nil }
    return Timestamp(bytes)?.date
  }
}

/// A day. `infinity` is refused.
extension CalendarDate: PostgresDecodable {
  package static func decode(_ bytes: UnsafeRawBufferPointer?, type: TypeOID) -> CalendarDate? {
    guard type == .date, let bytes else { return nil }
    var scanner = DigitScanner(bytes)
    guard let year = scanner.number(), scanner.skip("-"), let month = scanner.number(), scanner.skip("-"), let day = scanner.number()
    else { return nil }
    let isBC = scanner.skip(" ") && scanner.skip("B") && scanner.skip("C")
    return scanner.isAtEnd ? CalendarDate(year: isBC ? 1 - year : year, month: month, day: day) : nil
  }
}

extension JSONText: PostgresDecodable {
  package static func decode(_ bytes: UnsafeRawBufferPointer?, type: TypeOID) -> JSONText? {
    guard type == .json || type == .jsonb, let bytes else { return nil }
    return JSONText(String(decoding: bytes, as: UTF8.self))
  }
}

extension Optional: PostgresDecodable where Wrapped: PostgresDecodable {
  package static func decode(_ bytes: UnsafeRawBufferPointer?, type: TypeOID) -> Wrapped?? {
    guard bytes != nil else { return .some(nil) }
    return Wrapped.decode(bytes, type: type).map(Optional.some)
  }
}

extension Array: PostgresDecodable where Element: PostgresDecodable {
  package static func decode(_ bytes: UnsafeRawBufferPointer?, type: TypeOID) -> [Element]? {
    Element.decodeArray(bytes, type: type)
  }
}
