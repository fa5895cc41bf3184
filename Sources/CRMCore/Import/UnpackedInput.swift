/// What comes in, unpacked when it is gzip, which its first two bytes say.
struct UnpackedInput {
  private enum State {
    case unknown
    case plain
    case gzip(Gunzip)
  }

  private var state = State.unknown
  private var waiting: [UInt8] = []

  init() throws {}

  mutating func feed(_ bytes: [UInt8]) {
    waiting += bytes
    if case .gzip(let gunzip) = state {
      gunzip.feed(waiting)
      waiting = []
    }
  }

  /// The next piece; nil when more input is needed.
  mutating func next() throws -> [UInt8]? {
    if case .unknown = state {
      guard waiting.count >= 2 else { return nil }
      if waiting[0] == 0x1f, waiting[1] == 0x8b {
        let gunzip = try Gunzip()
        gunzip.feed(waiting)
        waiting = []
        state = .gzip(gunzip)
      } else {
        state = .plain
      }
    }
    if case .gzip(let gunzip) = state { return try gunzip.next() }
    if waiting.isEmpty { return nil }
    defer { waiting = [] }
    return waiting
  }

  /// The input is over. Throws when it ended in the middle of a gzip member.
  func finish() throws {
    if case .gzip(let gunzip) = state, !gunzip.isComplete { throw Gunzip.Damaged() }
  }
}
