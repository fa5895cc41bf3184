/// Tells whether two records of a file may be the same, while they go by: each leaves 64 bits of hash. Says "no" only when it is certain.
struct RecordFingerprints {
  /// More records would take more memory than an import may have (32 MiB of table).
  private static let most = 2_000_000

  /// Whether two records may be the same: two hashes were equal, or there were too many to keep.
  private(set) var mayRepeat = false
  /// Open addressing; 0 is an empty place.
  private var table = [UInt64](repeating: 0, count: 1 << 12)
  private var count = 0

  mutating func insert(_ record: UnsafeBufferPointer<UInt8>) {
    if mayRepeat { return }
    if insert(Self.hash(record)) {
      count += 1
      if count > Self.most { giveUp() } else if count * 2 > table.count { grow() }
    } else {
      giveUp()
    }
  }

  /// Stops looking: the records are to be compared by whoever can.
  mutating func giveUp() {
    mayRepeat = true
    table = []
  }

  private mutating func insert(_ hash: UInt64) -> Bool {
    let mask = table.count - 1
    return table.withUnsafeMutableBufferPointer { places in
      var place = Int(truncatingIfNeeded: hash) & mask
      while places[place] != 0 {
        if places[place] == hash { return false }
        place = (place + 1) & mask
      }
      places[place] = hash
      return true
    }
  }

  private mutating func grow() {
    let hashes = table
    table = [UInt64](repeating: 0, count: hashes.count * 2)
    for hash in hashes where hash != 0 { _ = insert(hash) }
  }

  private static func hash(_ record: UnsafeBufferPointer<UInt8>) -> UInt64 {
    let bytes = UnsafeRawBufferPointer(record)
    var hash = UInt64(truncatingIfNeeded: bytes.count)
    func mix(_ word: UInt64) {
      hash = (hash ^ word) &* 0x9e37_79b9_7f4a_7c15
      hash ^= hash >> 29
    }
    var position = 0
    while position + 8 <= bytes.count {
      mix(bytes.loadUnaligned(fromByteOffset: position, as: UInt64.self))
      position += 8
    }
    var last: UInt64 = 0
    while position < bytes.count {
      last = last << 8 | UInt64(bytes[position])
      position += 1
    }
    mix(last)
    hash = (hash ^ hash >> 32) &* 0xd6e8_feb8_6659_fd93
    hash ^= hash >> 32
    return hash == 0 ? 1 : hash
  }
}
