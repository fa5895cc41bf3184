/// Cuts a file into records as it comes in, numbers them as a spreadsheet would, and gathers them in pieces that PostgreSQL's COPY can read.
/// It does not take records apart: that is COPY's work.
struct RecordScanner {
  /// A record that is no record: a quote in it is never closed.
  struct Unclosed: Sendable {
    let rowNumber: Int
    let start: String
  }

  /// A piece is handed over when it has this many bytes.
  private static let pieceSize = 1 << 20
  /// A longer record has an unclosed quote.
  private static let longestRecord = 1 << 20

  private let delimiter: UInt8
  /// Nil for files in which a line is a record, whatever it holds.
  private let quote: UInt8?
  /// The number of the record that is next.
  private(set) var rowNumber: Int
  private(set) var piece: [UInt8] = []
  /// How many records `piece` holds.
  private(set) var records = 0
  private(set) var unclosed: [Unclosed] = []
  private var fingerprints = RecordFingerprints()
  private var pending: [UInt8] = []
  private var isQuoted = false

  init(delimiter: UInt8, quote: UInt8?, firstRow: Int) {
    self.delimiter = delimiter
    self.quote = quote
    rowNumber = firstRow
    // Two spellings of one JSON object would look different.
    if quote == nil { fingerprints.giveUp() }
    piece.reserveCapacity(Self.pieceSize + (256 << 10))
  }

  /// Whether two records may be the same in every field; false only when none are.
  var mayRepeat: Bool { fingerprints.mayRepeat }

  var isFull: Bool { piece.count >= Self.pieceSize }

  /// Hands the gathered records over and begins anew.
  mutating func take() -> (piece: [UInt8], records: Int) {
    defer {
      piece = []
      piece.reserveCapacity(Self.pieceSize + (256 << 10))
      records = 0
    }
    return (piece, records)
  }

  mutating func takeUnclosed() -> [Unclosed] {
    defer { unclosed = [] }
    return unclosed
  }

  mutating func scan(_ bytes: [UInt8]) {
    bytes.withUnsafeBufferPointer { scan($0) }
    while pending.count > Self.longestRecord { giveUpFirstLine() }
  }

  /// The last record may lack its line feed.
  mutating func finish() {
    while isQuoted { giveUpFirstLine() }
    if !pending.isEmpty {
      let last = pending
      pending = []
      last.withUnsafeBufferPointer { end($0) }
    }
  }

  private mutating func scan(_ bytes: UnsafeBufferPointer<UInt8>) {
    var start = 0
    // No byte equals 256: without a quote none is found.
    let quote = self.quote.map(UInt16.init) ?? 256
    var isQuoted = self.isQuoted
    for index in 0..<bytes.count {
      let byte = bytes[index]
      if UInt16(byte) == quote {
        isQuoted.toggle()
        // With and without quotes a field is the same.
        fingerprints.giveUp()
      } else if byte == 0x0a, !isQuoted {
        let rest = UnsafeBufferPointer(rebasing: bytes[start..<index])
        if pending.isEmpty {
          end(rest)
        } else {
          pending.append(contentsOf: rest)
          let whole = pending
          pending.removeAll(keepingCapacity: true)
          whole.withUnsafeBufferPointer { end($0) }
        }
        start = index + 1
      }
    }
    self.isQuoted = isQuoted
    if start < bytes.count { pending.append(contentsOf: UnsafeBufferPointer(rebasing: bytes[start...])) }
  }

  private mutating func end(_ record: UnsafeBufferPointer<UInt8>) {
    let hasReturn = record.last == 0x0d
    let count = hasReturn ? record.count - 1 : record.count
    if count > 0 {
      appendRowNumber()
      piece.append(delimiter)
      piece.append(contentsOf: UnsafeBufferPointer(rebasing: record[..<count]))
      piece.append(0x0a)
      records += 1
      fingerprints.insert(UnsafeBufferPointer(rebasing: record[..<count]))
    }
    rowNumber += 1
  }

  private mutating func appendRowNumber() {
    var digits: (UInt64, UInt64, UInt64) = (0, 0, 0)
    withUnsafeMutableBytes(of: &digits) { buffer in
      var position = buffer.count
      var rest = rowNumber
      repeat {
        position -= 1
        buffer[position] = UInt8(48 + rest % 10)
        rest /= 10
      } while rest > 0
      piece.append(contentsOf: UnsafeRawBufferPointer(rebasing: buffer[position...]))
    }
  }

  /// The quote that was never closed makes one bad line, not a bad rest of the file: what follows the line is read again.
  private mutating func giveUpFirstLine() {
    let lineEnd = pending.firstIndex(of: 0x0a) ?? pending.count
    unclosed.append(Unclosed(rowNumber: rowNumber, start: String(decoding: pending.prefix(min(lineEnd, 200)), as: UTF8.self)))
    rowNumber += 1
    let rest = Array(pending.dropFirst(lineEnd + 1))
    pending = []
    isQuoted = false
    rest.withUnsafeBufferPointer { scan($0) }
  }
}
