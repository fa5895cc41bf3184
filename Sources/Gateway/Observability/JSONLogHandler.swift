import Foundation
package import Logging
import Synchronization

/// Writes each log entry as one line of JSON: time, level, logger, message, then the metadata as members of their own.
package struct JSONLogHandler: LogHandler {
  private let label: String
  private let sink: LogSink
  package var metadata: Logger.Metadata = [:]
  package var metadataProvider: Logger.MetadataProvider?
  package var logLevel: Logger.Level = .info

  package init(label: String, sink: LogSink) {
    self.label = label
    self.sink = sink
  }

  package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  package func log(event: LogEvent) {
    var line: [UInt8] = []
    line.reserveCapacity(384)
    line += "{\"time\":\"".utf8
    Self.appendTime(to: &line)
    line += "\",\"level\":\"".utf8
    line += event.level.rawValue.utf8
    line += "\",\"logger\":".utf8
    Self.append(label, to: &line)
    line += ",\"message\":".utf8
    Self.append(event.message.description, to: &line)
    if let error = event.error {
      line += ",\"error\":".utf8
      Self.append(String(reflecting: error), to: &line)
    }
    for (key, value) in metadata where event.metadata?[key] == nil { Self.append(key, value, to: &line) }
    if let provided = metadataProvider?.get() {
      for (key, value) in provided where event.metadata?[key] == nil && metadata[key] == nil { Self.append(key, value, to: &line) }
    }
    if let own = event.metadata {
      for (key, value) in own { Self.append(key, value, to: &line) }
    }
    line += "}\n".utf8
    sink.append(line, isUrgent: event.level >= .warning)
  }

  private static func append(_ key: String, _ value: Logger.Metadata.Value, to line: inout [UInt8]) {
    line.append(UInt8(ascii: ","))
    append(key, to: &line)
    line.append(UInt8(ascii: ":"))
    append(value, to: &line)
  }

  private static func append(_ value: Logger.Metadata.Value, to line: inout [UInt8]) {
    switch value {
    case .string(let text):
      append(text, to: &line)
    case .stringConvertible(let value):
      if let entry = value as? AccessLogEntry {
        entry.write(to: &line)
      } else if value is any BinaryInteger || value is any BinaryFloatingPoint {
        // Numbers stay numbers, so that a log can be summed.
        line += value.description.utf8
      } else {
        append(value.description, to: &line)
      }
    case .array(let values):
      line.append(UInt8(ascii: "["))
      for (index, value) in values.enumerated() {
        if index > 0 { line.append(UInt8(ascii: ",")) }
        append(value, to: &line)
      }
      line.append(UInt8(ascii: "]"))
    case .dictionary(let members):
      line.append(UInt8(ascii: "{"))
      for (index, member) in members.enumerated() {
        if index > 0 { line.append(UInt8(ascii: ",")) }
        append(member.key, to: &line)
        line.append(UInt8(ascii: ":"))
        append(member.value, to: &line)
      }
      line.append(UInt8(ascii: "}"))
    }
  }

  /// A JSON string; runs that need no escape are copied whole.
  private static func append(_ text: String, to line: inout [UInt8]) {
    line.append(UInt8(ascii: "\""))
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"): line += [UInt8(ascii: "\\"), byte]
      case UInt8(ascii: "\n"): line += "\\n".utf8
      case 0..<0x20: line += "\\u00\(byte < 16 ? "0" : "")\(String(byte, radix: 16))".utf8
      default: line.append(byte)
      }
    }
    line.append(UInt8(ascii: "\""))
  }

  /// The last second that was spelled, `2026-11-22T09:30:00`, because many lines fall into each.
  private static let second = Mutex((number: 0, text: [UInt8]()))

  /// Now in UTC to the millisecond, as RFC 3339 writes it.
  private static func appendTime(to line: inout [UInt8]) {
    let milliseconds = Int(Date().timeIntervalSince1970 * 1000)
    line += second.withLock { second in
      if second.number != milliseconds / 1000 || second.text.isEmpty { second = (milliseconds / 1000, spelled(milliseconds / 1000)) }
      return second.text
    }
    line.append(UInt8(ascii: "."))
    append(milliseconds % 1000, digits: 3, to: &line)
    line.append(UInt8(ascii: "Z"))
  }

  private static func spelled(_ second: Int) -> [UInt8] {
    var second = second
    var parts = tm()
    gmtime_r(&second, &parts)
    var text: [UInt8] = []
    append(Int(parts.tm_year) + 1900, digits: 4, to: &text)
    for (separator, value) in [("-", parts.tm_mon + 1), ("-", parts.tm_mday), ("T", parts.tm_hour), (":", parts.tm_min), (":", parts.tm_sec)] {
      text += separator.utf8
      append(Int(value), digits: 2, to: &text)
    }
    return text
  }

  private static func append(_ value: Int, digits: Int, to line: inout [UInt8]) {
    var divisor = 1
    for _ in 1..<digits { divisor *= 10 }
    while divisor > 0 {
      line.append(UInt8(ascii: "0") + UInt8(value / divisor % 10))
      divisor /= 10
    }
  }
}
