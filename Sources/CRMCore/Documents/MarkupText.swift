/// Text as it stands in XML and HTML, between tags or in a quoted attribute.
package enum MarkupText {
  /// Escapes what is markup and leaves out the characters that XML 1.0 cannot hold.
  package static func escaped(_ text: some StringProtocol) -> String {
    var escaped = ""
    escaped.reserveCapacity(text.utf8.count)
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": escaped += "&amp;"
      case "<": escaped += "&lt;"
      case ">": escaped += "&gt;"
      case "\"": escaped += "&quot;"
      case "'": escaped += "&#39;"
      case _ where isLegal(scalar): escaped.unicodeScalars.append(scalar)
      default: continue
      }
    }
    return escaped
  }

  /// Leaves out the characters that XML 1.0 cannot hold, for a writer that escapes by itself.
  package static func legal(_ text: String) -> String {
    String(String.UnicodeScalarView(text.unicodeScalars.filter(isLegal)))
  }

  private static func isLegal(_ scalar: Unicode.Scalar) -> Bool {
    scalar.value >= 32 && scalar != "\u{FFFE}" && scalar != "\u{FFFF}" || scalar == "\n" || scalar == "\t"
  }
}
