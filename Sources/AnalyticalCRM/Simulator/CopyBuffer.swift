/// Rows in the text format of COPY.
struct CopyBuffer {
  private(set) var bytes: [UInt8] = []

  mutating func take() -> [UInt8] {
    defer { bytes.removeAll(keepingCapacity: true) }
    return bytes
  }

  mutating func field() { bytes.append(UInt8(ascii: "\t")) }
  mutating func end() { bytes.append(UInt8(ascii: "\n")) }
  /// Text without tabs, line ends and backslashes.
  mutating func text(_ text: StaticString) { text.withUTF8Buffer { bytes.append(contentsOf: $0) } }
  mutating func text(_ text: String) { bytes.append(contentsOf: text.utf8) }
  mutating func null() { text("\\N") }

  mutating func integer(_ value: Int) {
    if value < 0 { bytes.append(UInt8(ascii: "-")) }
    var rest = value.magnitude
    let start = bytes.count
    repeat {
      bytes.append(UInt8(ascii: "0") + UInt8(rest % 10))
      rest /= 10
    } while rest > 0
    bytes[start...].reverse()
  }

  private mutating func two(_ value: Int) {
    bytes.append(UInt8(ascii: "0") + UInt8(value / 10))
    bytes.append(UInt8(ascii: "0") + UInt8(value % 10))
  }

  /// A decimal from its hundredths.
  mutating func hundredths(_ value: Int) {
    integer(value / 100)
    bytes.append(UInt8(ascii: "."))
    two(value % 100)
  }

  /// A decimal from its thousandths.
  mutating func thousandths(_ value: Int) {
    integer(value / 1_000)
    bytes.append(UInt8(ascii: "."))
    bytes.append(UInt8(ascii: "0") + UInt8(value % 1_000 / 100))
    two(value % 100)
  }

  mutating func date(_ day: Int) {
    let date = CalendarDay(day: day)
    integer(date.year)
    bytes.append(UInt8(ascii: "-"))
    two(date.month)
    bytes.append(UInt8(ascii: "-"))
    two(date.dayOfMonth)
  }

  /// An instant from its seconds since 1970.
  mutating func instant(_ seconds: Int) {
    date(seconds / 86_400)
    bytes.append(UInt8(ascii: " "))
    two(seconds % 86_400 / 3_600)
    bytes.append(UInt8(ascii: ":"))
    two(seconds % 3_600 / 60)
    bytes.append(UInt8(ascii: ":"))
    two(seconds % 60)
    text("+00")
  }

  mutating func id(_ id: RowID) {
    for (number, word) in [id.high, id.low].enumerated() {
      for nibble in 0..<16 {
        let place = number * 16 + nibble
        if place == 8 || place == 12 || place == 16 || place == 20 { bytes.append(UInt8(ascii: "-")) }
        let digit = UInt8(truncatingIfNeeded: word >> UInt64(60 - 4 * nibble)) & 15
        bytes.append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
      }
    }
  }
}
