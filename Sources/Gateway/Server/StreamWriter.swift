import Synchronization

/// Gathers the small pieces of a streamed answer into larger ones, so that rows do not leave one by one, and compresses them for
/// whoever accepts that.
final class StreamWriter: Sendable {
  typealias Send = @Sendable (_ bytes: [UInt8], _ room: CheckedContinuation<Void, any Error>) -> Void

  private struct State: ~Copyable {
    var gathered: [UInt8] = []
    var gzip: GzipStream?
  }

  private static let pieceSize = 32 << 10

  private let state = Mutex(State())
  private let compresses: Bool
  private let send: Send

  init(compressing: Bool, send: @escaping Send) {
    compresses = compressing
    self.send = send
  }

  /// Takes a piece, and returns when the client has room for more.
  func write(_ piece: [UInt8]) async throws {
    let isFull = state.withLock { state in
      state.gathered += piece
      return state.gathered.count >= Self.pieceSize
    }
    if isFull { try await flush(isLast: false) }
  }

  /// Sends what is left: the body is complete.
  func finish() async throws { try await flush(isLast: true) }

  private func flush(isLast: Bool) async throws {
    try Task.checkCancellation()
    let bytes = try state.withLock { state in
      let bytes = state.gathered
      state.gathered.removeAll(keepingCapacity: true)
      guard compresses else { return bytes }
      var gzip = try state.gzip.take() ?? GzipStream()
      let compressed = gzip.compress(bytes, isLast: isLast)
      state.gzip = consume gzip
      return compressed
    }
    guard !bytes.isEmpty else { return }
    try await withCheckedThrowingContinuation { send(bytes, $0) }
  }
}
