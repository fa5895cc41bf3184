package import Foundation

extension UUID {
  /// A new id (RFC 9562, version 7): its first 48 bits are the time in milliseconds, so that new rows stand together in an index.
  package static func v7(at time: Date = Date()) -> UUID {
    var random = SystemRandomNumberGenerator()
    return v7(at: time, from: &random)
  }

  package static func v7(at time: Date = Date(), from random: inout some RandomNumberGenerator) -> UUID {
    let milliseconds = UInt64(time.timeIntervalSince1970 * 1000)
    let high = milliseconds << 16 | 0x7000 | random.next() & 0x0fff
    let low = 0x8000_0000_0000_0000 | random.next() & 0x3fff_ffff_ffff_ffff
    func byte(_ word: UInt64, _ index: Int) -> UInt8 { UInt8(truncatingIfNeeded: word >> UInt64(56 - 8 * index)) }
    return UUID(
      uuid: (
        byte(high, 0), byte(high, 1), byte(high, 2), byte(high, 3), byte(high, 4), byte(high, 5), byte(high, 6), byte(high, 7),
        byte(low, 0), byte(low, 1), byte(low, 2), byte(low, 3), byte(low, 4), byte(low, 5), byte(low, 6), byte(low, 7)
      ))
  }
}
