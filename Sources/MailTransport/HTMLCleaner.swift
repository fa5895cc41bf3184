/// Makes HTML harmless by writing it anew: only elements and attributes that are known to be harmless are written, every letter of text is escaped, and
/// nothing is loaded from elsewhere. Scripts, styles, forms, frames and remote pictures are gone; links stay.
package enum HTMLCleaner {
  private static let kept: Set<String> = [
    "a", "abbr", "address", "b", "big", "blockquote", "br", "caption", "center", "cite", "code", "dd", "del", "div", "dl", "dt", "em", "h1", "h2", "h3",
    "h4", "h5", "h6", "hr", "i", "img", "ins", "li", "ol", "p", "pre", "q", "s", "small", "span", "strike", "strong", "sub", "sup", "table", "tbody", "td",
    "tfoot", "th", "thead", "tr", "tt", "u", "ul",
  ]
  private static let empty: Set<String> = ["br", "hr", "img"]
  private static let blocks: Set<String> = [
    "address", "blockquote", "caption", "center", "dd", "div", "dl", "dt", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre", "table", "tr",
    "ul", "title", "article", "section", "header", "footer",
  ]
  private static let depthLimit = 200

  package static func clean(_ html: String) -> String {
    var result = ""
    result.reserveCapacity(html.utf8.count)
    var open: [String] = []
    for token in HTMLTokens(html) {
      switch token {
      case .text(let text): result += HTMLText.escaped(HTMLText.decoded(text))
      case .start(let name, let attributes):
        guard kept.contains(name) else { continue }
        if name == "img", let alternative = alternative(attributes) {
          result += HTMLText.escaped(alternative)
          continue
        }
        guard empty.contains(name) || open.count < depthLimit else { continue }
        result += "<\(name)\(written(attributes, of: name))>"
        if !empty.contains(name) { open.append(name) }
      case .end(let name):
        guard let place = open.lastIndex(of: name) else { continue }
        while open.count > place { result += "</\(open.removeLast())>" }
      }
    }
    while let name = open.popLast() { result += "</\(name)>" }
    return result
  }

  /// The text of a page: paragraphs and lines apart, without markup.
  package static func text(_ html: String) -> String {
    var lines: [String] = [""]
    for token in HTMLTokens(html) {
      switch token {
      case .text(let text):
        var isFresh = lines[lines.count - 1].isEmpty
        for scalar in HTMLText.decoded(text).unicodeScalars {
          // A no-break space is a letter here, so that text keeps it.
          let isSpace = scalar.value == 0x20 || (0x09...0x0D).contains(scalar.value)
          if isSpace, isFresh || lines[lines.count - 1].hasSuffix(" ") { continue }
          lines[lines.count - 1].unicodeScalars.append(isSpace ? " " : scalar)
          isFresh = false
        }
      case .start("br", _): lines.append("")
      case .start("td", _), .start("th", _): if !lines[lines.count - 1].isEmpty { lines[lines.count - 1] += " " }
      case .start("li", _):
        if lines[lines.count - 1].isEmpty { lines[lines.count - 1] = "- " } else { lines.append("- ") }
      case .start("p", _), .end("p"), .start("table", _), .end("table"):
        while lines.suffix(2) != ["", ""] { lines.append("") }
      case .start(let name, _), .end(let name):
        if blocks.contains(name), lines[lines.count - 1] != "" { lines.append("") }
      }
    }
    while lines.first?.allSatisfy(\.isWhitespace) == true { lines.removeFirst() }
    while lines.last?.allSatisfy(\.isWhitespace) == true { lines.removeLast() }
    return lines.map { $0.hasSuffix(" ") ? String($0.dropLast()) : $0 }.joined(separator: "\n")
  }

  /// What stands for a picture that would be loaded from elsewhere; nil for one that came with the mail.
  private static func alternative(_ attributes: [(name: String, value: ArraySlice<UInt8>)]) -> String? {
    if let source = attributes.first(where: { $0.name == "src" }), isSafe(HTMLText.decoded(source.value), schemes: ["cid:"]) { return nil }
    return attributes.first { $0.name == "alt" }.map { HTMLText.decoded($0.value) } ?? ""
  }

  private static func written(_ attributes: [(name: String, value: ArraySlice<UInt8>)], of element: String) -> String {
    var result = ""
    var seen: Set<String> = []
    for (name, raw) in attributes where seen.insert(name).inserted {
      let value = HTMLText.decoded(raw)
      let isKept =
        switch (element, name) {
        case ("a", "href"): isSafe(value, schemes: ["http://", "https://", "mailto:", "tel:"])
        case ("img", "src"): isSafe(value, schemes: ["cid:"])
        case ("img", "alt"), (_, "title"): true
        case (_, "dir"): ["ltr", "rtl", "auto"].contains(value.lowercased())
        case ("td", "colspan"), ("td", "rowspan"), ("th", "colspan"), ("th", "rowspan"): Int(value).map { (1...100).contains($0) } ?? false
        default: false
        }
      if isKept { result += " \(name)=\"\(HTMLText.escaped(value))\"" }
    }
    return element == "a" ? result + " rel=\"noopener noreferrer nofollow\"" : result
  }

  private static func isSafe(_ address: String, schemes: [String]) -> Bool {
    let start = address.lowercased()
    return schemes.contains { start.hasPrefix($0) } && !address.unicodeScalars.contains { $0.value < 0x20 || $0.value == 0x7F }
  }
}
