import Foundation

/// Writes a ZIP archive (PKWARE's APPNOTE 6.3) as its contents come: of an entry nothing is held but its name, and its size and checksum follow its bytes.
///
/// The bytes are not made smaller. They go as stored blocks of a deflate stream, because readers that take an archive from front to back can find the end of such a
/// stream, which they cannot of plain stored bytes. An entry has less than 4 GiB; beyond 4 GiB or 65,534 entries the archive becomes ZIP64.
struct ZIPWriter {
  typealias Output = (_ piece: [UInt8]) async throws -> Void

  struct EntryTooLarge: Error {}

  private struct Entry {
    let name: [UInt8]
    let offset: UInt64
    var checksum, packed, size: UInt32

    init(name: [UInt8], offset: UInt64) {
      self.name = name
      self.offset = offset
      (checksum, packed, size) = (0, 0, 0)
    }
  }

  private var entries: [Entry] = []
  private var offset: UInt64
  // Of the entry that was begun.
  private var checksum = CRC32()
  private var packed: UInt64 = 0
  private var size: UInt64 = 0
  private let time, day: UInt16

  /// - Parameters:
  ///   - instant: When the entries were made, as the archive says it (in UTC).
  ///   - offset: Where in the file the archive begins.
  init(at instant: Date = Date(), offset: UInt64 = 0) {
    var calendar = Calendar(identifier: .gregorian)
    calendar.timeZone = .gmt
    let parts = calendar.dateComponents([.year, .month, .day, .hour, .minute, .second], from: instant)
    let year = min(max((parts.year ?? 1980) - 1980, 0), 127)
    day = UInt16(year << 9 | (parts.month ?? 1) << 5 | (parts.day ?? 1))
    time = UInt16((parts.hour ?? 0) << 11 | (parts.minute ?? 0) << 5 | (parts.second ?? 0) / 2)
    self.offset = offset
  }

  /// Begins an entry.
  /// - Parameter name: Its path in the archive, with `/` between folders.
  mutating func begin(_ name: String, to output: Output) async throws {
    var head = Fields()
    head.four(0x0403_4b50)
    common(&head, version: 20)
    for _ in 0..<3 { head.four(0) }
    let name = Array(name.utf8.prefix(Int(UInt16.max)))
    head.two(UInt16(name.count))
    head.two(0)
    entries.append(Entry(name: name, offset: offset))
    offset += UInt64(head.bytes.count + name.count)
    try await output(head.bytes + name)
  }

  /// Writes a piece of the entry that was begun.
  mutating func write(_ piece: [UInt8], to output: Output) async throws {
    guard !piece.isEmpty else { return }
    let blocks = Self.blocks(of: piece)
    checksum.add(piece)
    size += UInt64(piece.count)
    packed += UInt64(blocks.count)
    try await output(blocks)
  }

  /// Ends the entry that was begun.
  /// - Throws: `EntryTooLarge`.
  mutating func end(to output: Output) async throws {
    let last: [UInt8] = [1, 0, 0, 0xff, 0xff]
    packed += UInt64(last.count)
    guard let packed = UInt32(exactly: packed), let size = UInt32(exactly: size) else { throw EntryTooLarge() }
    var tail = Fields()
    tail.four(0x0807_4b50)
    tail.four(checksum.value)
    tail.four(packed)
    tail.four(size)
    entries[entries.count - 1].checksum = checksum.value
    entries[entries.count - 1].packed = packed
    entries[entries.count - 1].size = size
    offset += UInt64(packed) + UInt64(tail.bytes.count)
    (checksum, self.packed, self.size) = (CRC32(), 0, 0)
    try await output(last + tail.bytes)
  }

  /// Writes the list of entries, with which the archive is whole.
  func finish(to output: Output) async throws {
    var size: UInt64 = 0
    for start in stride(from: 0, to: entries.count, by: 1_000) {
      var list = Fields()
      for entry in entries[start..<min(start + 1_000, entries.count)] { write(entry, &list) }
      size += UInt64(list.bytes.count)
      try await output(list.bytes)
    }
    var end = Fields()
    if entries.count >= UInt16.max || offset + size >= UInt32.max {
      end.four(0x0606_4b50)
      end.eight(44)
      end.two(Self.madeBy)
      end.two(45)
      end.four(0)
      end.four(0)
      end.eight(UInt64(entries.count))
      end.eight(UInt64(entries.count))
      end.eight(size)
      end.eight(offset)
      end.four(0x0706_4b50)
      end.four(0)
      end.eight(offset + size)
      end.four(1)
    }
    end.four(0x0605_4b50)
    end.four(0)
    end.two(UInt16(clamping: entries.count))
    end.two(UInt16(clamping: entries.count))
    end.four(UInt32(clamping: size))
    end.four(UInt32(clamping: offset))
    end.two(0)
    try await output(end.bytes)
  }

  /// Made on Unix, as of version 4.5 of the format.
  private static let madeBy: UInt16 = 3 << 8 | 45

  /// What the two descriptions of an entry have in common: its name is UTF-8, its size follows it, its bytes are a deflate stream.
  private func common(_ fields: inout Fields, version: UInt16) {
    fields.two(version)
    fields.two(0x0808)
    fields.two(8)
    fields.two(time)
    fields.two(day)
  }

  private func write(_ entry: Entry, _ list: inout Fields) {
    let isFar = entry.offset >= UInt32.max
    list.four(0x0201_4b50)
    list.two(Self.madeBy)
    common(&list, version: isFar ? 45 : 20)
    list.four(entry.checksum)
    list.four(entry.packed)
    list.four(entry.size)
    list.two(UInt16(entry.name.count))
    list.two(isFar ? 12 : 0)
    for _ in 0..<3 { list.two(0) }
    list.four(0o100644 << 16)
    list.four(UInt32(clamping: entry.offset))
    list.bytes += entry.name
    if isFar {
      list.two(1)
      list.two(8)
      list.eight(entry.offset)
    }
  }

  /// Bytes as stored blocks of a deflate stream (RFC 1951, 3.2.4), none of them the last.
  private static func blocks(of piece: [UInt8]) -> [UInt8] {
    var blocks: [UInt8] = []
    blocks.reserveCapacity(piece.count + (piece.count / Int(UInt16.max) + 1) * 5)
    for start in stride(from: 0, to: piece.count, by: Int(UInt16.max)) {
      let block = piece[start..<min(start + Int(UInt16.max), piece.count)]
      var head = Fields()
      head.bytes.append(0)
      head.two(UInt16(block.count))
      head.two(~UInt16(block.count))
      blocks += head.bytes
      blocks += block
    }
    return blocks
  }

  /// Numbers as ZIP writes them, the lowest byte first.
  private struct Fields {
    var bytes: [UInt8] = []
    mutating func two(_ value: UInt16) { for shift in stride(from: 0, to: 16, by: 8) { bytes.append(UInt8(truncatingIfNeeded: value >> shift)) } }
    mutating func four(_ value: UInt32) { for shift in stride(from: 0, to: 32, by: 8) { bytes.append(UInt8(truncatingIfNeeded: value >> shift)) } }
    mutating func eight(_ value: UInt64) { for shift in stride(from: 0, to: 64, by: 8) { bytes.append(UInt8(truncatingIfNeeded: value >> shift)) } }
  }

  /// The checksum of ZIP, Ethernet and PNG (CRC-32 with the polynomial 0x04C11DB7, reflected).
  private struct CRC32 {
    private static let table = (0..<256).map { (byte: UInt32) in (0..<8).reduce(byte) { sum, _ in sum & 1 == 0 ? sum >> 1 : 0xedb8_8320 ^ sum >> 1 } }
    private var sum: UInt32 = ~0
    var value: UInt32 { ~sum }
    mutating func add(_ bytes: [UInt8]) { for byte in bytes { sum = Self.table[Int((sum ^ UInt32(byte)) & 0xff)] ^ sum >> 8 } }
  }
}
