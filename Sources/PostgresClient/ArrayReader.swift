/// Takes PostgreSQL's text of a one-dimensional array (`{1,NULL,"a \"b\""}`) apart.
struct ArrayReader {
  enum Item {
    case null
    /// An element whose text stands in the array as it is.
    case plain(Range<Int>)
    /// An element that had to be freed of backslashes.
    case escaped([UInt8])
    case end
    case malformed
  }

  private let bytes: UnsafeRawBufferPointer
  private var position: Int
  private var isFirst = true

  /// - Returns: nil if the text is no array.
  init?(_ bytes: UnsafeRawBufferPointer) {
    self.bytes = bytes
    // An array whose lower bound is not 1 is preceded by its bounds: [0:1]={…}
    position = 0
    if bytes.first == UInt8(ascii: "["), let sign = bytes.firstIndex(of: UInt8(ascii: "=")) { position = sign + 1 }
    guard position < bytes.count, bytes[position] == UInt8(ascii: "{") else { return nil }
    position += 1
  }

  mutating func next() -> Item {
    guard position < bytes.count else { return .malformed }
    if bytes[position] == UInt8(ascii: "}") { return .end }
    if !isFirst {
      guard bytes[position] == UInt8(ascii: ",") else { return .malformed }
      position += 1
    }
    isFirst = false
    guard position < bytes.count else { return .malformed }
    switch bytes[position] {
    case UInt8(ascii: "\""): return quoted()
    case UInt8(ascii: "{"): return nested()
    default: return bare()
    }
  }

  private mutating func bare() -> Item {
    let start = position
    while position < bytes.count, bytes[position] != UInt8(ascii: ","), bytes[position] != UInt8(ascii: "}") { position += 1 }
    let isNull = position - start == 4 && bytes[start..<position].elementsEqual("NULL".utf8)
    return isNull ? .null : .plain(start..<position)
  }

  private mutating func quoted() -> Item {
    position += 1
    let start = position
    while position < bytes.count {
      switch bytes[position] {
      case UInt8(ascii: "\""):
        position += 1
        return .plain(start..<position - 1)
      case UInt8(ascii: "\\"): return escaped(from: start)
      default: position += 1
      }
    }
    return .malformed
  }

  private mutating func escaped(from start: Int) -> Item {
    var text = Array(bytes[start..<position])
    while position < bytes.count {
      switch bytes[position] {
      case UInt8(ascii: "\""):
        position += 1
        return .escaped(text)
      case UInt8(ascii: "\\"):
        guard position + 1 < bytes.count else { return .malformed }
        text.append(bytes[position + 1])
        position += 2
      default:
        text.append(bytes[position])
        position += 1
      }
    }
    return .malformed
  }

  /// An array within the array, braces included.
  private mutating func nested() -> Item {
    let start = position
    var depth = 0
    var isQuoted = false
    while position < bytes.count {
      switch bytes[position] {
      case UInt8(ascii: "\\"): position += 1
      case UInt8(ascii: "\""): isQuoted.toggle()
      case UInt8(ascii: "{") where !isQuoted: depth += 1
      case UInt8(ascii: "}") where !isQuoted:
        depth -= 1
        if depth == 0 {
          position += 1
          return .plain(start..<position)
        }
      default: break
      }
      position += 1
    }
    return .malformed
  }
}
