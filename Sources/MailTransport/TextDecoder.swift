import CGMime
import Foundation

/// Bytes of whatever encoding as text that PostgreSQL stores.
enum TextDecoder {
  /// Text with line feeds. Where the named encoding does not fit, UTF-8 and then windows-1254 are taken, which reads every byte.
  static func text(_ bytes: [UInt8], charset: String?, defects: inout [String]) -> String {
    let name = charset?.lowercased().trimmingCharacters(in: CharacterSet(charactersIn: " \"'")) ?? ""
    let decoded: String
    switch name {
    case "", "us-ascii", "ascii", "utf-8", "utf8", "unknown-8bit", "default", "x-unknown":
      if let text = String(validating: bytes, as: UTF8.self) {
        decoded = text
      } else {
        if name == "utf-8" || name == "utf8" {
          note("the text is not in UTF-8 as it says", &defects)
        } else {
          note("the text does not say its encoding", &defects)
        }
        decoded = mostlyUTF8(bytes) ? String(decoding: bytes, as: UTF8.self) : turkish(bytes)
      }
    case "windows-1254", "iso-8859-9", "iso8859-9", "iso_8859-9", "latin5", "latin-5", "cp1254", "x-cp1254", "iso-8859-9-windows-latin-5":
      decoded = turkish(bytes)
    default:
      // What calls itself ISO 8859-1 is windows-1252 in practice, as browsers take it.
      let taken = ["iso-8859-1", "iso8859-1", "latin1", "latin-1"].contains(name) ? "windows-1252" : name
      if let text = converted(bytes, from: taken) {
        decoded = text
      } else {
        note("the text is not in the encoding it says, \(String(name.prefix(40)))", &defects)
        decoded = String(validating: bytes, as: UTF8.self) ?? turkish(bytes)
      }
    }
    return storable(decoded)
  }

  /// The encoding that an HTML page names in its first bytes.
  static func charsetOfHTML(_ bytes: [UInt8]) -> String? {
    let start = String(decoding: bytes.prefix(2_048).filter { $0 < 0x80 }, as: UTF8.self).lowercased()
    guard let place = start.range(of: "charset=")?.upperBound else { return nil }
    let name = start[place...].drop { $0 == "\"" || $0 == "'" }.prefix { $0.isLetter || $0.isNumber || $0 == "-" || $0 == "_" }
    return name.isEmpty ? nil : String(name)
  }

  /// One line of a header: without characters that steer.
  static func line(_ text: String) -> String {
    let scalars = text.unicodeScalars.map { $0.properties.generalCategory == .control ? " " : $0 }
    return String(String.UnicodeScalarView(scalars)).trimmingCharacters(in: .whitespaces)
  }

  private static func storable(_ text: String) -> String {
    var result = String.UnicodeScalarView()
    var afterReturn = false
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\r": result.append("\n")
      case "\n": if !afterReturn { result.append("\n") }
      case "\0": result.append("\u{FFFD}")
      default: result.append(scalar)
      }
      afterReturn = scalar == "\r"
    }
    return String(result)
  }

  private static func note(_ defect: String, _ defects: inout [String]) {
    if !defects.contains(defect) { defects.append(defect) }
  }

  /// Whether text that is not quite UTF-8 has more sound letters beyond ASCII than broken ones, as a text that was cut has.
  private static func mostlyUTF8(_ bytes: [UInt8]) -> Bool {
    var sound = 0
    var broken = 0
    for scalar in String(decoding: bytes, as: UTF8.self).unicodeScalars where scalar.value > 0x7F {
      if scalar == "\u{FFFD}" { broken += 1 } else { sound += 1 }
    }
    return sound > broken
  }

  private static func converted(_ bytes: [UInt8], from charset: String) -> String? {
    guard charset.utf8.count <= 40, charset.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "/") }) else { return nil }
    var written: gsize = 0
    var failure: UnsafeMutablePointer<GError>?
    let result = bytes.withUnsafeBytes {
      g_convert($0.baseAddress?.assumingMemoryBound(to: CChar.self), gssize($0.count), "UTF-8", charset, nil, &written, &failure)
    }
    if let failure { g_error_free(failure) }
    guard let result else { return bytes.isEmpty ? "" : nil }
    defer { g_free(result) }
    return String(decoding: UnsafeRawBufferPointer(start: result, count: Int(written)), as: UTF8.self)
  }

  /// windows-1254, of which ISO 8859-9 is a part.
  private static func turkish(_ bytes: [UInt8]) -> String {
    var result = String.UnicodeScalarView()
    for byte in bytes { result.append(windows1254[Int(byte)]) }
    return String(result)
  }

  private static let windows1254: [Unicode.Scalar] = {
    var table = (0...255).map { Unicode.Scalar(UInt8($0)) }
    // 0x80 to 0x9F; what the encoding leaves out stays a control character.
    let upper: [Unicode.Scalar] = [
      "€", "\u{81}", "‚", "ƒ", "„", "…", "†", "‡", "ˆ", "‰", "Š", "‹", "Œ", "\u{8D}", "\u{8E}", "\u{8F}",
      "\u{90}", "‘", "’", "“", "”", "•", "–", "—", "˜", "™", "š", "›", "œ", "\u{9D}", "\u{9E}", "Ÿ",
    ]
    table.replaceSubrange(0x80...0x9F, with: upper)
    for (byte, letter) in [(0xD0, "Ğ"), (0xDD, "İ"), (0xDE, "Ş"), (0xF0, "ğ"), (0xFD, "ı"), (0xFE, "ş")] as [(Int, Unicode.Scalar)] { table[byte] = letter }
    return table
  }()
}
