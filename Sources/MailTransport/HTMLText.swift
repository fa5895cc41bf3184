/// Text in HTML and its character references.
enum HTMLText {
  static func escaped(_ text: String) -> String {
    var result = ""
    result.reserveCapacity(text.utf8.count)
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      case "\u{A0}": result += "&nbsp;"
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }

  /// Reads `&amp;`, `&#351;` and `&#x15f;`; what is no known reference stays as it is written.
  static func decoded(_ bytes: ArraySlice<UInt8>) -> String {
    guard bytes.contains(UInt8(ascii: "&")) else { return String(decoding: bytes, as: UTF8.self) }
    var result: [UInt8] = []
    result.reserveCapacity(bytes.count)
    var place = bytes.startIndex
    while place < bytes.endIndex {
      if bytes[place] == UInt8(ascii: "&"), let end = bytes[place...].prefix(12).firstIndex(of: UInt8(ascii: ";")),
        let scalar = scalar(String(decoding: bytes[(place + 1)..<end], as: UTF8.self))
      {
        result += Array(String(scalar).utf8)
        place = end + 1
      } else {
        result.append(bytes[place])
        place += 1
      }
    }
    return String(decoding: result, as: UTF8.self)
  }

  private static func scalar(_ reference: String) -> Unicode.Scalar? {
    guard reference.hasPrefix("#") else { return named[reference] }
    let digits = reference.dropFirst()
    let number = digits.first == "x" || digits.first == "X" ? UInt32(digits.dropFirst(), radix: 16) : UInt32(digits)
    guard let number, number >= 0x20 || number == 9 || number == 10 else { return nil }
    return Unicode.Scalar(number)
  }

  private static let named: [String: Unicode.Scalar] = {
    var table: [String: Unicode.Scalar] = [
      "amp": "&", "lt": "<", "gt": ">", "quot": "\"", "apos": "'", "scedil": "\u{15F}", "Scedil": "\u{15E}", "gbreve": "\u{11F}",
      "Gbreve": "\u{11E}", "Idot": "\u{130}", "imath": "\u{131}", "inodot": "\u{131}", "euro": "\u{20AC}", "ndash": "\u{2013}",
      "mdash": "\u{2014}", "lsquo": "\u{2018}", "rsquo": "\u{2019}", "sbquo": "\u{201A}", "ldquo": "\u{201C}", "rdquo": "\u{201D}",
      "bdquo": "\u{201E}", "bull": "\u{2022}", "hellip": "\u{2026}", "trade": "\u{2122}", "larr": "\u{2190}", "uarr": "\u{2191}",
      "rarr": "\u{2192}", "darr": "\u{2193}", "zwnj": "\u{200C}", "zwj": "\u{200D}", "ensp": "\u{2002}", "emsp": "\u{2003}",
      "thinsp": "\u{2009}", "dagger": "\u{2020}", "permil": "\u{2030}", "lsaquo": "\u{2039}", "rsaquo": "\u{203A}", "minus": "\u{2212}",
      "ne": "\u{2260}", "le": "\u{2264}", "ge": "\u{2265}", "infin": "\u{221E}", "check": "\u{2713}", "starf": "\u{2605}",
      "star": "\u{2606}", "hearts": "\u{2665}", "colon": "\u{3A}", "Tab": "\u{9}", "NewLine": "\u{A}", "commat": "\u{40}", "sol": "\u{2F}",
      "num": "\u{23}", "excl": "\u{21}", "quest": "\u{3F}", "percnt": "\u{25}", "lowbar": "\u{5F}", "period": "\u{2E}", "comma": "\u{2C}",
      "semi": "\u{3B}", "lpar": "\u{28}", "rpar": "\u{29}",
    ]
    // The names of U+00A0 to U+00FF, in their order.
    let latin =
      "nbsp iexcl cent pound curren yen brvbar sect uml copy ordf laquo not shy reg macr deg plusmn sup2 sup3 acute micro para "
      + "middot cedil sup1 ordm raquo frac14 frac12 frac34 iquest Agrave Aacute Acirc Atilde Auml Aring AElig Ccedil Egrave "
      + "Eacute Ecirc Euml Igrave Iacute Icirc Iuml ETH Ntilde Ograve Oacute Ocirc Otilde Ouml times Oslash Ugrave Uacute Ucirc "
      + "Uuml Yacute THORN szlig agrave aacute acirc atilde auml aring aelig ccedil egrave eacute ecirc euml igrave iacute icirc "
      + "iuml eth ntilde ograve oacute ocirc otilde ouml divide oslash ugrave uacute ucirc uuml yacute thorn yuml"
    for (offset, name) in latin.split(separator: " ").enumerated() { table[String(name)] = Unicode.Scalar(UInt8(0xA0 + offset)) }
    return table
  }()
}
