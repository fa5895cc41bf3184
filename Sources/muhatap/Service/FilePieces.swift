import Dispatch
import Foundation

/// A file read piece by piece, off Swift's cooperative pool, at the pace of whoever consumes it.
struct FilePieces: AsyncSequence, Sendable {
  private static let pieceSize = 256 << 10

  private let handle: FileHandle
  private let queue = DispatchQueue(label: "file")
  /// Told after each piece how many bytes have been read.
  private let progress: @Sendable (Int) -> Void

  init(_ file: URL, progress: @escaping @Sendable (Int) -> Void = { _ in }) throws {
    handle = try FileHandle(forReadingFrom: file)
    self.progress = progress
  }

  func makeAsyncIterator() -> Iterator { Iterator(pieces: self) }

  struct Iterator: AsyncIteratorProtocol {
    let pieces: FilePieces
    var bytesRead = 0

    mutating func next() async throws -> [UInt8]? {
      let (handle, queue) = (pieces.handle, pieces.queue)
      let piece = try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Data?, any Error>) in
        queue.async { continuation.resume(with: Result { try handle.read(upToCount: FilePieces.pieceSize) }) }
      }
      guard let piece, !piece.isEmpty else { return nil }
      bytesRead += piece.count
      pieces.progress(bytesRead)
      return Array(piece)
    }
  }
}
