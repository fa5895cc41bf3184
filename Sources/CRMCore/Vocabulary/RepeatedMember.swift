import Foundation

/// A member that stands twice in one JSON object. Parsers disagree on which one counts, so that what one program checked another may not
/// have seen: such a body is refused (RFC 8259 §4 asks for unique names).
struct RepeatedMember {
  /// Where the second one stands, as a JSON pointer.
  let pointer: String

  private enum Container {
    case object(names: Set<String>, current: String, expectsName: Bool)
    case array(index: Int)

    /// Where the scan stands within it, as a segment of a JSON pointer.
    var place: String {
      switch self {
      case .object(_, let current, _): "/" + current.jsonPointerEscaped
      case .array(let index): "/\(index)"
      }
    }
  }

  /// - Parameter bytes: JSON that a parser has already found well-formed.
  init?(in bytes: [UInt8]) {
    var containers: [Container] = []
    var position = 0
    while position < bytes.count {
      switch bytes[position] {
      case UInt8(ascii: "{"): containers.append(.object(names: [], current: "", expectsName: true))
      case UInt8(ascii: "["): containers.append(.array(index: 0))
      case UInt8(ascii: "}"), UInt8(ascii: "]"): _ = containers.popLast()
      case UInt8(ascii: ","): Self.beginNext(&containers)
      case UInt8(ascii: "\""):
        let end = Self.end(ofStringAt: position, in: bytes)
        if case .object(var names, _, true)? = containers.last {
          let name = Self.text(bytes[position...end])
          containers.removeLast()
          guard names.insert(name).inserted else {
            pointer = containers.map(\.place).joined() + "/" + name.jsonPointerEscaped
            return
          }
          containers.append(.object(names: names, current: name, expectsName: false))
        }
        position = end
      default: break
      }
      position += 1
    }
    return nil
  }

  private static func beginNext(_ containers: inout [Container]) {
    switch containers.popLast() {
    case .object(let names, let current, _)?: containers.append(.object(names: names, current: current, expectsName: true))
    case .array(let index)?: containers.append(.array(index: index + 1))
    case nil: break
    }
  }

  private static func end(ofStringAt start: Int, in bytes: [UInt8]) -> Int {
    var position = start + 1
    while position < bytes.count - 1, bytes[position] != UInt8(ascii: "\"") {
      position += bytes[position] == UInt8(ascii: "\\") ? 2 : 1
    }
    return min(position, bytes.count - 1)
  }

  /// The text of a string literal: two spellings of one name are one name.
  private static func text(_ literal: ArraySlice<UInt8>) -> String {
    if literal.contains(UInt8(ascii: "\\")), let text = try? JSONDecoder().decode(String.self, from: Data(literal)) { return text }
    return String(decoding: literal.dropFirst().dropLast(), as: UTF8.self)
  }
}
