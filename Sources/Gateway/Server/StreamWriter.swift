import Synchronization

/// Gathers the small pieces of a streamed answer into larger ones, so that rows do not leave one by one.
final class StreamWriter: Sendable {
  typealias Send = @Sendable (_ bytes: [UInt8], _ room: CheckedContinuation<Void, any Error>) -> Void

  private static let pieceSize = 32 << 10

  private let gathered = Mutex<[UInt8]>([])
  private let send: Send

  init(send: @escaping Send) {
    self.send = send
  }

  /// Takes a piece, and returns when the client has room for more.
  func write(_ piece: [UInt8]) async throws {
    let isFull = gathered.withLock { bytes in
      bytes += piece
      return bytes.count >= Self.pieceSize
    }
    if isFull { try await flush() }
  }

  /// Sends what was gathered.
  func flush() async throws {
    try Task.checkCancellation()
    let bytes = gathered.withLock { bytes in
      defer { bytes.removeAll(keepingCapacity: true) }
      return bytes
    }
    guard !bytes.isEmpty else { return }
    try await withCheckedThrowingContinuation { send(bytes, $0) }
  }
}
