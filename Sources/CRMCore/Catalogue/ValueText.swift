import Foundation

/// Why a value does not fit a column.
package enum ValueMismatch: Error, Sendable {
  case type
  case tooLarge
  case tooManyDecimals
  case nulCharacter
}

extension ColumnType {
  /// Checks a value that came as text and gives it in PostgreSQL's spelling, ready to be bound.
  package func parameter(fromText text: String) throws(ValueMismatch) -> String {
    if text.utf8.contains(0) { throw .nulCharacter }
    switch self {
    case .text: return text
    case .boolean:
      guard text == "true" || text == "false" else { throw .type }
      return text
    case .integer(let bits): return try Self.integer(text, bits: bits)
    case .double:
      guard Self.isDecimal(text, exponent: true), let value = Double(text) else { throw .type }
      guard value.isFinite else { throw .tooLarge }
      return text
    case .numeric(let precision, let scale): return try Self.decimal(text, precision: precision, scale: scale)
    case .uuid:
      guard let value = UUID(text: text) else { throw .type }
      return value.lowercase
    case .date:
      guard Self.isDate(text.utf8) else { throw .type }
      return text
    case .time:
      guard Self.isTimeOfDay(text) else { throw .type }
      return text
    case .timestamp:
      guard Self.isInstant(text) else { throw .type }
      return text
    case .bytes:
      guard let data = Data(base64Encoded: text) else { throw .type }
      return "\\x" + data.hexadecimal
    case .json, .array, .other: throw .type
    }
  }

  /// Checks a JSON value and gives it in PostgreSQL's spelling; nil for JSON null.
  package func parameter(from value: JSON) throws(ValueMismatch) -> String? {
    switch (self, value) {
    case (_, .null): return nil
    case (.json, .object), (.json, .array):
      // PostgreSQL's jsonb holds no U+0000, however it is written.
      if value.containsNUL { throw .nulCharacter }
      guard let bytes = try? value.encoded() else { throw .type }
      return String(decoding: bytes, as: UTF8.self)
    case (.array(let element), .array(let items)):
      var parts: [String] = []
      for item in items {
        guard let text = try element.parameter(from: item) else { throw .type }
        parts.append("\"" + text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\"")
      }
      return "{" + parts.joined(separator: ",") + "}"
    case (.boolean, .bool(let flag)): return flag ? "true" : "false"
    case (.integer, .number(let number)), (.double, .number(let number)), (.numeric, .number(let number)):
      return try parameter(fromText: "\(number)")
    case (.numeric, .string(let text)), (.text, .string(let text)), (.uuid, .string(let text)), (.date, .string(let text)),
      (.time, .string(let text)), (.timestamp, .string(let text)), (.bytes, .string(let text)):
      return try parameter(fromText: text)
    default: throw .type
    }
  }

  private static func integer(_ text: String, bits: Int) throws(ValueMismatch) -> String {
    guard isDecimal(text, exponent: false), !text.contains(".") else { throw .type }
    let fits =
      switch bits {
      case 16: Int16(text) != nil
      case 32: Int32(text) != nil
      default: Int64(text) != nil
      }
    guard fits else { throw .tooLarge }
    return text
  }

  private static func decimal(_ text: String, precision: Int?, scale: Int?) throws(ValueMismatch) -> String {
    guard isDecimal(text, exponent: false) else { throw .type }
    let digits = text.drop { $0 == "-" }
    let parts = digits.split(separator: ".", omittingEmptySubsequences: false)
    let fraction = parts.count > 1 ? parts[1].count - parts[1].reversed().prefix { $0 == "0" }.count : 0
    if let scale, fraction > scale { throw .tooManyDecimals }
    let whole = parts[0].drop { $0 == "0" }.count
    if whole > (precision ?? 1_000) - (scale ?? 0) { throw .tooLarge }
    return text
  }

  /// Digits with an optional sign and point, and an exponent where one is allowed. Neither NaN nor infinity.
  private static func isDecimal(_ text: String, exponent: Bool) -> Bool {
    var bytes = Substring(text).utf8
    func digits() -> Bool {
      let run = bytes.prefix { $0 >= 48 && $0 <= 57 }
      bytes = bytes.dropFirst(run.count)
      return !run.isEmpty
    }
    if bytes.first == UInt8(ascii: "-") { bytes = bytes.dropFirst() }
    guard digits() else { return false }
    if bytes.first == UInt8(ascii: ".") {
      bytes = bytes.dropFirst()
      guard digits() else { return false }
    }
    if exponent, let mark = bytes.first, mark == UInt8(ascii: "e") || mark == UInt8(ascii: "E") {
      bytes = bytes.dropFirst()
      if bytes.first == UInt8(ascii: "-") || bytes.first == UInt8(ascii: "+") { bytes = bytes.dropFirst() }
      guard digits() else { return false }
    }
    return bytes.isEmpty
  }

  /// `YYYY-MM-DD` of a day that exists.
  static func isDate(_ text: some Collection<UInt8>) -> Bool {
    let bytes = Array(text)
    guard bytes.count == 10, bytes[4] == UInt8(ascii: "-"), bytes[7] == UInt8(ascii: "-") else { return false }
    guard let year = number(bytes[0..<4]), let month = number(bytes[5..<7]), let day = number(bytes[8..<10]) else { return false }
    guard year >= 1, (1...12).contains(month), day >= 1 else { return false }
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
    let length = [31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1]
    return day <= length
  }

  /// `09:30`, `09:30:15` or `09:30:15.5`, and `24:00` for the end of a day.
  static func isTimeOfDay(_ text: String) -> Bool {
    let bytes = Array(text.utf8)
    guard bytes.count >= 5, bytes[2] == UInt8(ascii: ":"), let hour = number(bytes[0..<2]), let minute = number(bytes[3..<5]), minute < 60 else { return false }
    if hour == 24 { return text == "24:00" || text == "24:00:00" }
    guard hour < 24 else { return false }
    if bytes.count == 5 { return true }
    guard bytes.count >= 8, bytes[5] == UInt8(ascii: ":"), let second = number(bytes[6..<8]), second < 60 else { return false }
    let fraction = bytes[8...]
    return fraction.isEmpty || fraction.first == UInt8(ascii: ".") && (2...7).contains(fraction.count) && number(fraction.dropFirst()) != nil
  }

  /// RFC 3339: `2026-03-31T09:30:00Z`, with an optional fraction and any offset. An offset is required: an instant without one means nothing.
  static func isInstant(_ text: String) -> Bool {
    let bytes = Array(text.utf8)
    guard bytes.count >= 20, isDate(bytes[0..<10]), bytes[10] == UInt8(ascii: "T") || bytes[10] == UInt8(ascii: "t") else { return false }
    guard bytes[13] == UInt8(ascii: ":"), bytes[16] == UInt8(ascii: ":"), let hour = number(bytes[11..<13]), let minute = number(bytes[14..<16]),
      let second = number(bytes[17..<19]), hour < 24, minute < 60, second < 60
    else { return false }
    var rest = bytes[19...]
    if rest.first == UInt8(ascii: ".") {
      rest = rest.dropFirst()
      let digits = rest.prefix { $0 >= 48 && $0 <= 57 }
      guard (1...9).contains(digits.count) else { return false }
      rest = rest.dropFirst(digits.count)
    }
    if rest.elementsEqual("Z".utf8) || rest.elementsEqual("z".utf8) { return true }
    let offset = Array(rest)
    guard offset.count == 6, offset[0] == UInt8(ascii: "+") || offset[0] == UInt8(ascii: "-"), offset[3] == UInt8(ascii: ":"),
      let hours = number(offset[1..<3]), let minutes = number(offset[4..<6])
    else { return false }
    return hours < 16 && minutes < 60
  }

  private static func number(_ digits: some Collection<UInt8>) -> Int? {
    var value = 0
    for digit in digits {
      guard digit >= 48, digit <= 57 else { return nil }
      value = value * 10 + Int(digit - 48)
    }
    return value
  }
}

extension JSON {
  fileprivate var containsNUL: Bool {
    switch self {
    case .string(let text): text.utf8.contains(0)
    case .array(let items): items.contains(where: \.containsNUL)
    case .object(let members): members.contains { $0.key.utf8.contains(0) || $0.value.containsNUL }
    case .null, .bool, .number: false
    }
  }
}
