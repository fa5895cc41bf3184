/// What comes in, as UTF-8. A byte that its encoding does not have becomes one that UTF-8 does not have either, so that the row that holds it is
/// found to be no text.
struct TextInput {
  private static let neverUTF8: UInt8 = 0xff

  private let encoding: TextEncoding
  /// The UTF-8 of every byte; empty for UTF-8 itself.
  private let sequences: [[UInt8]]
  /// The beginning, until there is enough of it to hold a byte order mark.
  private var opening: [UInt8]? = []

  init(_ encoding: TextEncoding) {
    self.encoding = encoding
    guard encoding != .utf8 else {
      sequences = []
      return
    }
    sequences = (0..<0x80).map { [UInt8($0)] } + encoding.upperHalf.map { $0.map { Array(String(Character($0)).utf8) } ?? [Self.neverUTF8] }
  }

  /// Throws a problem when a byte order mark says that the encoding is another one.
  mutating func read(_ bytes: [UInt8]) throws(Problem) -> [UInt8] {
    guard var first = opening else { return decode(bytes) }
    first += bytes
    opening = first
    return first.count < 3 ? [] : try finish()
  }

  /// What was held back, when the file is over. Empty when nothing was.
  mutating func finish() throws(Problem) -> [UInt8] {
    guard let first = opening else { return [] }
    opening = nil
    if first.starts(with: [0xff, 0xfe]) || first.starts(with: [0xfe, 0xff]) {
      throw Problem(
        422, "utf-16", Phrase("The file is UTF-16 text. Save it as UTF-8.", tr: "Dosya UTF-16 kodlu. UTF-8 olarak kaydedin."))
    }
    guard first.starts(with: [0xef, 0xbb, 0xbf]) else { return decode(first) }
    if encoding != .utf8 {
      throw Problem(
        422, "encoding-contradicted",
        Phrase(
          "The file begins with the mark of UTF-8, and the mapping says \(encoding.rawValue). Leave encoding out of the mapping.",
          tr: "Dosya UTF-8 işaretiyle başlıyor, eşlemede ise \(encoding.rawValue) yazıyor. Eşlemeden encoding bilgisini çıkarın."))
    }
    return Array(first.dropFirst(3))
  }

  private func decode(_ bytes: [UInt8]) -> [UInt8] {
    if sequences.isEmpty { return bytes }
    var text: [UInt8] = []
    text.reserveCapacity(bytes.count + bytes.count / 8)
    for byte in bytes {
      if byte < 0x80 { text.append(byte) } else { text.append(contentsOf: sequences[Int(byte)]) }
    }
    return text
  }
}
