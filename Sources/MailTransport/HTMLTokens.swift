/// Cuts HTML, as broken as mails have it, into tags and text. Comments, declarations and what stands within scripts and styles are left out.
struct HTMLTokens: Sequence, IteratorProtocol {
  enum Token {
    /// Text as it is written, with its character references.
    case text(ArraySlice<UInt8>)
    /// Names are in small letters; values as they are written.
    case start(String, attributes: [(name: String, value: ArraySlice<UInt8>)])
    case end(String)
  }

  private let bytes: [UInt8]
  private var place = 0
  /// Elements whose content is no text for people.
  private static let silent: Set<String> = ["script", "style", "title", "iframe", "noembed", "noframes", "template", "xmp", "textarea"]

  init(_ html: String) { bytes = Array(html.utf8) }

  mutating func next() -> Token? {
    while place < bytes.count {
      guard bytes[place] == UInt8(ascii: "<") else { return .text(take { $0 != UInt8(ascii: "<") }) }
      let following = place + 1 < bytes.count ? bytes[place + 1] : 0
      if Self.isLetter(following) {
        place += 1
        return startTag()
      }
      switch following {
      case UInt8(ascii: "/"):
        if place + 2 < bytes.count, Self.isLetter(bytes[place + 2]) {
          place += 2
          let name = tagName()
          skip(past: ">")
          return .end(name)
        }
        skip(past: ">")
      case UInt8(ascii: "!"), UInt8(ascii: "?"):
        skip(past: starts(with: "<!--") ? "-->" : ">")
      default:
        place += 1
        return .text(bytes[(place - 1)..<place])
      }
    }
    return nil
  }

  private mutating func startTag() -> Token {
    let name = tagName()
    var attributes: [(name: String, value: ArraySlice<UInt8>)] = []
    while place < bytes.count, bytes[place] != UInt8(ascii: ">") {
      let byte = bytes[place]
      if Self.isSpace(byte) || byte == UInt8(ascii: "/") {
        place += 1
        continue
      }
      let key = take { !Self.isSpace($0) && $0 != UInt8(ascii: "=") && $0 != UInt8(ascii: ">") && $0 != UInt8(ascii: "/") }
      if key.isEmpty {
        place += 1
        continue
      }
      _ = take(while: Self.isSpace)
      var value = bytes[place..<place]
      if place < bytes.count, bytes[place] == UInt8(ascii: "=") {
        place += 1
        _ = take(while: Self.isSpace)
        value = attributeValue()
      }
      if attributes.count < 100 { attributes.append((String(decoding: key, as: UTF8.self).lowercased(), value)) }
    }
    place = Swift.min(place + 1, bytes.count)
    if Self.silent.contains(name) { skipContent(of: name) }
    return .start(name, attributes: attributes)
  }

  private mutating func attributeValue() -> ArraySlice<UInt8> {
    guard place < bytes.count else { return bytes[place..<place] }
    let quote = bytes[place]
    guard quote == UInt8(ascii: "\"") || quote == UInt8(ascii: "'") else { return take { !Self.isSpace($0) && $0 != UInt8(ascii: ">") } }
    place += 1
    let value = take { $0 != quote }
    place = Swift.min(place + 1, bytes.count)
    return value
  }

  /// Goes to the end tag of an element whose content is left out, or to the end.
  private mutating func skipContent(of name: String) {
    let end = Array("</\(name)".utf8)
    while place < bytes.count {
      if bytes[place] == UInt8(ascii: "<"), place + end.count <= bytes.count,
        zip(bytes[place..<(place + end.count)], end).allSatisfy({ Self.small($0) == $1 })
      {
        return
      }
      place += 1
    }
  }

  private mutating func tagName() -> String {
    String(decoding: take { !Self.isSpace($0) && $0 != UInt8(ascii: ">") && $0 != UInt8(ascii: "/") }.map(Self.small), as: UTF8.self)
  }

  private mutating func take(while condition: (UInt8) -> Bool) -> ArraySlice<UInt8> {
    let start = place
    while place < bytes.count, condition(bytes[place]) { place += 1 }
    return bytes[start..<place]
  }

  private func starts(with text: String) -> Bool { bytes[place...].starts(with: text.utf8) }

  private mutating func skip(past text: String) {
    let wanted = Array(text.utf8)
    while place < bytes.count {
      if bytes[place...].starts(with: wanted) {
        place += wanted.count
        return
      }
      place += 1
    }
  }

  private static func small(_ byte: UInt8) -> UInt8 { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte }
  private static func isLetter(_ byte: UInt8) -> Bool { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20) }
  private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
}
