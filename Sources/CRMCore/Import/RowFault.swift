import Foundation

/// A row of a file that cannot be taken apart.
struct RowFault: Sendable {
  enum Fault: Sendable {
    case quotes, nul, notJSON
    case notText(TextEncoding)
    case fieldCount(found: Int, expected: Int)

    var code: String {
      switch self {
      case .quotes: "quotes"
      case .notText(.utf8): "not-utf8"
      case .notText(let encoding): "not-\(encoding.rawValue)"
      case .nul: "nul"
      case .notJSON: "not-json"
      case .fieldCount: "field-count"
      }
    }

    var reason: Phrase {
      switch self {
      case .quotes: Phrase("A quote in the row is never closed.", tr: "Satırdaki bir tırnak hiç kapanmıyor.")
      case .notText(.utf8):
        Phrase(
          "The row is not UTF-8 text. If the whole file is in another encoding, name it in the mapping, such as \"encoding\": \"windows-1254\".",
          tr: "Satır UTF-8 kodlu değil. Bütün dosya başka bir kodlamadaysa eşlemede belirtin; örneğin \"encoding\": \"windows-1254\".")
      case .notText(let encoding):
        Phrase("The row holds a byte that \(encoding.rawValue) does not have.", tr: "Satırda \(encoding.rawValue) kodlamasında olmayan bir bayt var.")
      case .nul: Phrase("The row holds a NUL character.", tr: "Satırda NUL karakteri var.")
      case .notJSON: Phrase("The line is not a JSON object.", tr: "Satır bir JSON nesnesi değil.")
      case .fieldCount(let found, let expected):
        Phrase("The row has \(found) fields, the header \(expected).", tr: "Satırda \(found) alan var, başlıkta \(expected).")
      }
    }
  }

  let row: Int
  let fault: Fault
  /// The beginning of the row.
  let value: String?

  init(row: Int, _ fault: Fault, value: String?) {
    self.row = row
    self.fault = fault
    // PostgreSQL's text holds no U+0000.
    self.value = value?.replacing("\0", with: "␀")
  }

  /// Sorts the numbered records of a piece into those that can be taken apart and those that cannot.
  static func sort(_ piece: [UInt8], delimiter: UInt8, width: Int, isJSON: Bool, encoding: TextEncoding) -> (good: [UInt8], bad: [RowFault]) {
    var good: [UInt8] = []
    var bad: [RowFault] = []
    var start = 0
    while start < piece.count {
      var end = start
      var isQuoted = false
      while end < piece.count, isQuoted || piece[end] != 0x0a {
        if !isJSON, piece[end] == UInt8(ascii: "\"") { isQuoted.toggle() }
        end += 1
      }
      let record = piece[start..<end]
      if let fault = fault(in: record, delimiter: delimiter, width: width, isJSON: isJSON, encoding: encoding) {
        bad.append(fault)
      } else {
        good += record
        good.append(0x0a)
      }
      start = end + 1
    }
    return (good, bad)
  }

  private static func fault(in numbered: ArraySlice<UInt8>, delimiter: UInt8, width: Int, isJSON: Bool, encoding: TextEncoding) -> RowFault? {
    let digits = numbered.prefix { $0 >= 48 && $0 <= 57 }
    let record = numbered.dropFirst(digits.count + 1)
    let row = digits.reduce(0) { $0 * 10 + Int($1 - 48) }
    func fault(_ fault: Fault) -> RowFault { RowFault(row: row, fault, value: String(decoding: record.prefix(200), as: UTF8.self)) }
    if isJSON {
      // Control characters must be escaped in JSON; the unescaped U+0000 would be refused by PostgreSQL also when escaped.
      guard let text = String(validating: record, as: UTF8.self) else { return fault(.notText(encoding)) }
      if text.contains("\\u0000") || record.contains(0) { return fault(.nul) }
      guard !record.contains(where: { $0 < 0x20 && $0 != 0x09 && $0 != 0x0d }),
        let json = try? JSONDecoder().decode(JSON.self, from: Data(record)), json.object != nil
      else { return fault(.notJSON) }
      return nil
    }
    do {
      let fields = try DelimitedRecord(record, delimiter: delimiter).fields
      return fields.count == width ? nil : fault(.fieldCount(found: fields.count, expected: width))
    } catch {
      switch error {
      case .quotes: return fault(.quotes)
      case .notUTF8: return fault(.notText(encoding))
      case .nul: return fault(.nul)
      }
    }
  }
}
