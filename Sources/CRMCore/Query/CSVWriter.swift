package import PostgresClient

/// Writes rows as CSV (RFC 4180, UTF-8, CRLF). Values are spelled as in the API's JSON, without its quotes; NULL is an empty cell.
package struct CSVWriter {
  package private(set) var bytes: [UInt8] = []

  package init() {}

  package mutating func header(_ names: [String]) {
    for (index, name) in names.enumerated() {
      if index > 0 { bytes.append(UInt8(ascii: ",")) }
      cell(Array(name.utf8))
    }
    endLine()
  }

  package mutating func row(_ result: PostgresResult, _ row: Int, columns: Int) {
    for column in 0..<columns {
      if column > 0 { bytes.append(UInt8(ascii: ",")) }
      guard let text = result.bytes(row, column) else { continue }
      switch result.columnType(column) {
      case .timestamptz: instant(text)
      case .bool: bytes.append(contentsOf: text.first == UInt8(ascii: "t") ? "true".utf8 : "false".utf8)
      default: cell(text)
      }
    }
    endLine()
  }

  private mutating func endLine() { bytes.append(contentsOf: "\r\n".utf8) }

  /// `2026-03-31 09:30:00+00` as RFC 3339 spells it.
  private mutating func instant(_ text: UnsafeRawBufferPointer) {
    for byte in text.prefix(while: { $0 != UInt8(ascii: "+") }) { bytes.append(byte == UInt8(ascii: " ") ? UInt8(ascii: "T") : byte) }
    bytes.append(UInt8(ascii: "Z"))
  }

  private mutating func cell(_ text: some Collection<UInt8>) {
    let needsQuotes = text.contains { $0 == UInt8(ascii: ",") || $0 == UInt8(ascii: "\"") || $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") }
    // An empty text is not the same as no value.
    guard needsQuotes || text.isEmpty else {
      bytes.append(contentsOf: text)
      return
    }
    bytes.append(UInt8(ascii: "\""))
    for byte in text {
      if byte == UInt8(ascii: "\"") { bytes.append(byte) }
      bytes.append(byte)
    }
    bytes.append(UInt8(ascii: "\""))
  }
}
