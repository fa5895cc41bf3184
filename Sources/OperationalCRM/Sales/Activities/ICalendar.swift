import Foundation

/// A calendar as RFC 5545 writes it: lines that end in CRLF, folded at 75 octets, with texts escaped and times in UTC.
struct ICalendar {
  private(set) var text = ""

  init(name: String) {
    property("BEGIN", raw: "VCALENDAR")
    property("VERSION", raw: "2.0")
    property("PRODID", raw: "-//Muhatap//Muhatap CRM//EN")
    property("CALSCALE", raw: "GREGORIAN")
    property("X-WR-CALNAME", text: name)
    property("REFRESH-INTERVAL;VALUE=DURATION", raw: "PT15M")
  }

  /// Writes a component, such as VEVENT, with the properties that `body` adds.
  mutating func component(_ kind: String, _ body: (inout ICalendar) throws -> Void) rethrows {
    property("BEGIN", raw: kind)
    try body(&self)
    property("END", raw: kind)
  }

  /// The calendar with its end.
  func closed() -> [UInt8] {
    var whole = self
    whole.property("END", raw: "VCALENDAR")
    return Array(whole.text.utf8)
  }

  /// A property whose value needs no escaping: a time, an address, a word of the standard.
  mutating func property(_ name: String, raw value: String) { line("\(name):\(Self.oneLine(value))") }

  /// A property of type TEXT; nothing for an absent or empty one.
  mutating func property(_ name: String, text value: String?) {
    guard let value, !value.isEmpty else { return }
    line("\(name):\(Self.escaped(value))")
  }

  mutating func property(_ name: String, _ instant: Date?) {
    if let instant { line("\(name):\(Self.utc(instant))") }
  }

  /// A participant: `name` in CN, and the address.
  mutating func participant(_ property: String, name: String, email: String, parameters: String = "") {
    line("\(property);CN=\"\(Self.quotable(name))\"\(parameters):mailto:\(Self.oneLine(email))")
  }

  // What RFC 5545 asks of a line

  /// §3.1: at most 75 octets, continued on lines that begin with a space, never within a character.
  private mutating func line(_ content: String) {
    var octets = 0
    for character in content.unicodeScalars {
      let width = UTF8.width(character)
      if octets + width > 75 {
        text += "\r\n "
        octets = 1
      }
      text.unicodeScalars.append(character)
      octets += width
    }
    text += "\r\n"
  }

  /// §3.3.11
  private static func escaped(_ value: String) -> String {
    var result = ""
    for scalar in value.replacing("\r\n", with: "\n").unicodeScalars {
      switch scalar {
      case "\\": result += "\\\\"
      case ";": result += "\\;"
      case ",": result += "\\,"
      case "\n", "\r": result += "\\n"
      default: if !isControl(scalar) || scalar == "\t" { result.unicodeScalars.append(scalar) }
      }
    }
    return result
  }

  /// A parameter in quotes cannot hold a quote (§3.2).
  private static func quotable(_ value: String) -> String { oneLine(value).replacing("\"", with: "'") }

  private static func oneLine(_ value: String) -> String {
    var result = ""
    for scalar in value.unicodeScalars where !isControl(scalar) { result.unicodeScalars.append(scalar) }
    return result
  }

  private static func isControl(_ scalar: Unicode.Scalar) -> Bool { scalar.value < 0x20 || scalar.value == 0x7f }

  /// §3.3.5, form 2: `20261122T093000Z`.
  private static func utc(_ instant: Date) -> String {
    let date = instant.formatted(.iso8601.year().month().day().dateSeparator(.omitted))
    let time = instant.formatted(.iso8601.time(includingFractionalSeconds: false).timeSeparator(.omitted))
    return "\(date)T\(time)Z"
  }
}
