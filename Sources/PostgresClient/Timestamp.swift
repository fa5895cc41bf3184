import Foundation

/// An instant to the microsecond, as PostgreSQL keeps a `timestamptz`, and its ISO text in UTC.
struct Timestamp: Hashable {
  /// Whole seconds since 1970, rounded down.
  let seconds: Int64
  /// 0 to 999,999.
  let microseconds: Int64

  /// - Parameter date: within the years PostgreSQL knows.
  init(_ date: Date) {
    let whole = date.timeIntervalSince1970.rounded(.down)
    let fraction = Int64(((date.timeIntervalSince1970 - whole) * 1_000_000).rounded())
    seconds = Int64(whole) + fraction / 1_000_000
    microseconds = fraction % 1_000_000
  }

  var date: Date { Date(timeIntervalSince1970: Double(seconds) + Double(microseconds) / 1_000_000) }

  /// `2026-11-21 09:30:00.5+00`
  var text: String {
    let day = (seconds - (seconds % 86_400 + 86_400) % 86_400) / 86_400
    let rest = seconds - day * 86_400
    let date = CalendarDate(daysSince1970: Int(day))
    var text = date.year > 0 ? date.description : CalendarDate.text(1 - date.year, date.month, date.day)
    for (separator, value) in [(" ", rest / 3600), (":", rest / 60 % 60), (":", rest % 60)] {
      text += separator
      if value < 10 { text += "0" }
      text += String(value)
    }
    if microseconds > 0 {
      let digits = String(microseconds)
      text += "." + String(repeating: "0", count: 6 - digits.count) + digits
    }
    text += "+00"
    if date.year <= 0 { text += " BC" }
    return text
  }

  /// Reads what PostgreSQL writes for a `timestamptz` or `timestamp` in ISO style and UTC; nil for `infinity` and anything else.
  init?(_ bytes: UnsafeRawBufferPointer) {
    var scanner = DigitScanner(bytes)
    guard let year = scanner.number(), scanner.skip("-"), let month = scanner.number(), scanner.skip("-"),
      let day = scanner.number(), scanner.skip(" "), let hour = scanner.number(), scanner.skip(":"),
      let minute = scanner.number(), scanner.skip(":"), let second = scanner.number()
    else { return nil }
    var micros = 0
    if scanner.skip(".") {
      let start = scanner.position
      guard let fraction = scanner.number(), scanner.position - start <= 6 else { return nil }
      micros = fraction
      for _ in (scanner.position - start)..<6 { micros *= 10 }
    }
    if scanner.skip("+") {
      guard scanner.number() == 0 else { return nil }
    }
    let isBC = scanner.skip(" ") && scanner.skip("B") && scanner.skip("C")
    guard scanner.isAtEnd, let date = CalendarDate(year: isBC ? 1 - year : year, month: month, day: day) else { return nil }
    seconds = Int64(date.daysSince1970) * 86_400 + Int64(hour * 3600 + minute * 60 + second)
    microseconds = Int64(micros)
  }
}

/// Walks over ASCII digits and the signs between them.
struct DigitScanner {
  private let bytes: UnsafeRawBufferPointer
  private(set) var position = 0

  init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  var isAtEnd: Bool { position == bytes.count }

  /// The number that stands here, of at most nine digits; nil if none does.
  mutating func number() -> Int? {
    var value = 0
    let start = position
    while position < bytes.count, (48...57).contains(bytes[position]), position - start < 9 {
      value = value * 10 + Int(bytes[position] - 48)
      position += 1
    }
    return position > start ? value : nil
  }

  /// Steps over `character` if it stands here.
  mutating func skip(_ character: Unicode.Scalar) -> Bool {
    guard position < bytes.count, UInt32(bytes[position]) == character.value else { return false }
    position += 1
    return true
  }
}
