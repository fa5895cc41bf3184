import NIOCore
import Synchronization

/// A request body on its way from the connection to the handler that reads it. It holds at most about `capacity` bytes: beyond them
/// the connection is not read, so that the client sends at the pace of the reader.
final class UploadStream: Sendable {
  private struct State {
    var pieces = CircularBuffer<[UInt8]>()
    var buffered = 0
    var ending: Result<Void, any Error>?
    var reader: CheckedContinuation<[UInt8]?, any Error>?
  }

  private static let capacity = 256 << 10

  private let state = Mutex(State())
  /// Called when there is room again.
  private let onRoom: @Sendable () -> Void

  init(onRoom: @escaping @Sendable () -> Void) {
    self.onRoom = onRoom
  }

  var hasRoom: Bool { state.withLock { $0.buffered < Self.capacity } }

  func push(_ piece: [UInt8]) {
    let reader = state.withLock { state -> CheckedContinuation<[UInt8]?, any Error>? in
      guard state.ending == nil else { return nil }
      if let reader = state.reader {
        state.reader = nil
        return reader
      }
      state.pieces.append(piece)
      state.buffered += piece.count
      return nil
    }
    reader?.resume(returning: piece)
  }

  /// The body is complete, or will never be.
  func end(_ ending: Result<Void, any Error>) {
    let reader = state.withLock { state -> CheckedContinuation<[UInt8]?, any Error>? in
      guard state.ending == nil else { return nil }
      state.ending = ending
      defer { state.reader = nil }
      return state.reader
    }
    reader?.resume(with: ending.map { nil })
  }

  /// The body as the endpoint reads it.
  var pieces: AsyncThrowingStream<[UInt8], any Error> {
    AsyncThrowingStream { try await self.next() }
  }

  /// The next piece, nil at the end.
  private func next() async throws -> [UInt8]? {
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        let (result, madeRoom) = state.withLock { state -> (Result<[UInt8]?, any Error>?, Bool) in
          if let piece = state.pieces.popFirst() {
            let wasFull = state.buffered >= Self.capacity
            state.buffered -= piece.count
            return (.success(piece), wasFull && state.buffered < Self.capacity)
          }
          if let ending = state.ending { return (ending.map { nil }, false) }
          state.reader = continuation
          return (nil, false)
        }
        if madeRoom { onRoom() }
        if let result { continuation.resume(with: result) }
      }
    } onCancel: {
      end(.failure(CancellationError()))
    }
  }
}
