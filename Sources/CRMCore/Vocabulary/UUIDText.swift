package import Foundation

/// The text of UUIDs, read and written digit by digit: every request needs a few, and Foundation's ways (`scanf`, `printf`) cost a microsecond each.
extension UUID {
  /// The spelling PostgreSQL uses.
  package var lowercase: String {
    withUnsafeBytes(of: uuid) { bytes in
      String(unsafeUninitializedCapacity: 36) { text in
        var position = 0
        for (index, byte) in bytes.enumerated() {
          if index == 4 || index == 6 || index == 8 || index == 10 {
            text[position] = UInt8(ascii: "-")
            position += 1
          }
          text[position] = Self.digit(byte >> 4)
          text[position + 1] = Self.digit(byte & 15)
          position += 2
        }
        return position
      }
    }
  }

  private static func digit(_ value: UInt8) -> UInt8 {
    value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10
  }

  /// A UUID from its 36 characters, in any letter case; nil if the text is none.
  package init?(text: String) {
    var text = text
    var id = UUID(uuid: (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)).uuid
    let isWhole = text.withUTF8 { characters in
      withUnsafeMutableBytes(of: &id) { bytes in
        guard characters.count == 36 else { return false }
        var position = 0
        for index in bytes.indices {
          if index == 4 || index == 6 || index == 8 || index == 10 {
            guard characters[position] == UInt8(ascii: "-") else { return false }
            position += 1
          }
          guard let high = Self.value(characters[position]), let low = Self.value(characters[position + 1]) else { return false }
          bytes[index] = high << 4 | low
          position += 2
        }
        return true
      }
    }
    guard isWhole else { return nil }
    self.init(uuid: id)
  }

  private static func value(_ digit: UInt8) -> UInt8? {
    switch digit {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
    default: nil
    }
  }
}
