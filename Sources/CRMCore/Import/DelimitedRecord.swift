/// One record of a file of separated values, taken apart in the slow way that can say what is wrong with it.
struct DelimitedRecord {
  enum Fault: Error {
    /// Text after a closing quote, or a quote that is never closed.
    case quotes
    case notUTF8
    case nul
  }

  let fields: [String]

  /// - Parameter record: the record without its line feed.
  init(_ record: some Sequence<UInt8>, delimiter: UInt8) throws(Fault) {
    var fields: [String] = []
    var field: [UInt8] = []
    var isQuoted = false
    func text(_ bytes: [UInt8]) throws(Fault) -> String {
      if bytes.contains(0) { throw .nul }
      guard let text = String(validating: bytes, as: UTF8.self) else { throw .notUTF8 }
      return text
    }
    var bytes = record.makeIterator()
    var ahead = bytes.next()
    while let byte = ahead {
      ahead = bytes.next()
      if byte == UInt8(ascii: "\"") {
        if isQuoted, ahead == byte {
          field.append(byte)
          ahead = bytes.next()
        } else {
          isQuoted.toggle()
        }
      } else if byte == delimiter, !isQuoted {
        fields.append(try text(field))
        field = []
      } else {
        field.append(byte)
      }
    }
    if isQuoted { throw .quotes }
    fields.append(try text(field))
    self.fields = fields
  }

  /// The sign between the fields of a header: the one of `,` `;` tab and `|` that occurs most often outside of quotes.
  static func delimiter(ofHeader header: some Sequence<UInt8>) -> UInt8 {
    var counts: [UInt8: Int] = [:]
    var isQuoted = false
    for byte in header {
      if byte == UInt8(ascii: "\"") { isQuoted.toggle() } else if !isQuoted { counts[byte, default: 0] += 1 }
    }
    let candidates = [UInt8(ascii: ","), UInt8(ascii: ";"), UInt8(ascii: "\t"), UInt8(ascii: "|")]
    return candidates.max { (counts[$0] ?? 0, $1) < (counts[$1] ?? 0, $0) } ?? UInt8(ascii: ",")
  }
}
