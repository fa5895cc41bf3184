package import Foundation

/// A value that can stand in a statement as a parameter. It travels as text; PostgreSQL infers the type from where it
/// stands, or the statement casts it (`\(id)::uuid`).
package protocol PostgresEncodable: Sendable {
  var bind: Bind { get }

  /// An array of such values as one parameter.
  static func bind(_ array: [Self]) -> Bind
}

extension PostgresEncodable {
  package static func bind(_ array: [Self]) -> Bind {
    var text = "{"
    for (index, element) in array.enumerated() {
      if index > 0 { text += "," }
      switch element.bind {
      case .null: text += "NULL"
      case .refused(let reason): return .refused(reason)
      case .text(let value):
        if Self.self is any PostgresArray.Type, value.utf8.first == UInt8(ascii: "{") {
          text += value
        } else {
          text += "\""
          for scalar in value.unicodeScalars {
            if scalar == "\"" || scalar == "\\" { text.unicodeScalars.append("\\") }
            text.unicodeScalars.append(scalar)
          }
          text += "\""
        }
      }
    }
    text += "}"
    return .text(text)
  }
}

extension PostgresEncodable where Self: RawRepresentable, RawValue: PostgresEncodable {
  package var bind: Bind { rawValue.bind }
}

/// An array, whose text stands unquoted within an array of arrays, unless it is one of bytes.
private protocol PostgresArray {}
extension Array: PostgresArray {}

extension Bool: PostgresEncodable {
  package var bind: Bind { .text(self ? "t" : "f") }
}

extension Int: PostgresEncodable {
  package var bind: Bind { .text(String(self)) }
}

extension Int16: PostgresEncodable {
  package var bind: Bind { .text(String(self)) }
}

extension Int32: PostgresEncodable {
  package var bind: Bind { .text(String(self)) }
}

extension Int64: PostgresEncodable {
  package var bind: Bind { .text(String(self)) }
}

/// A byte alone is a small number; an array of bytes is a `bytea`.
extension UInt8: PostgresEncodable {
  package var bind: Bind { .text(String(self)) }

  package static func bind(_ array: [UInt8]) -> Bind {
    let digits = Array("0123456789abcdef".utf8)
    return .text(
      String(unsafeUninitializedCapacity: 2 + array.count * 2) { buffer in
        buffer[0] = UInt8(ascii: "\\")
        buffer[1] = UInt8(ascii: "x")
        for (index, byte) in array.enumerated() {
          buffer[2 + index * 2] = digits[Int(byte >> 4)]
          buffer[3 + index * 2] = digits[Int(byte & 15)]
        }
        return 2 + array.count * 2
      })
  }
}

/// NaN and the infinities travel too: `float8` can hold them.
extension Double: PostgresEncodable {
  package var bind: Bind {
    if isFinite { return .text(description) }
    return .text(isNaN ? "NaN" : self < 0 ? "-Infinity" : "Infinity")
  }
}

extension Decimal: PostgresEncodable {
  package var bind: Bind { isFinite ? .text(description) : .refused(.notANumber) }
}

extension String: PostgresEncodable {
  package var bind: Bind { .checked(self) }
}

extension UUID: PostgresEncodable {
  package var bind: Bind { .text(uuidString) }
}

extension Date: PostgresEncodable {
  package var bind: Bind {
    let seconds = timeIntervalSince1970
    guard seconds.isFinite else { return .refused(.notANumber) }
    guard seconds >= -210_866_803_200, seconds < 9_224_318_016_000 else { return .refused(.outOfRange) }
    return .text(Timestamp(self).text)
  }
}

extension CalendarDate: PostgresEncodable {
  package var bind: Bind { .text(year > 0 ? description : "\(CalendarDate.text(1 - year, month, day)) BC") }
}

extension JSONText: PostgresEncodable {
  package var bind: Bind { .checked(text) }
}

extension Optional: PostgresEncodable where Wrapped: PostgresEncodable {
  package var bind: Bind { self?.bind ?? .null }
}

extension Array: PostgresEncodable where Element: PostgresEncodable {
  package var bind: Bind { Element.bind(self) }
}
