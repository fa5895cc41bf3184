import Foundation

/// One client of the feed. It takes what there is for it when it has room, so that nothing is kept for a client but the place where it is.
package final class LiveSubscription: Sendable {
  package enum Taken: Sendable {
    /// Nothing for now; the client is woken when there is.
    case nothing
    case bytes([UInt8])
    /// The last bytes; then the connection ends.
    case ended([UInt8])
  }

  let id: Int
  private let feed: LiveFeed

  init(id: Int, feed: LiveFeed) {
    self.id = id
    self.feed = feed
  }

  deinit { feed.leave(id) }

  /// What the client has not seen, a piece at a time.
  package func take() -> Taken { feed.take(for: id) }

  /// Says that the connection lives, and where to go on.
  package func heartbeat() -> [UInt8] { feed.heartbeat(for: id) }

  /// Nobody listens any more.
  package func cancel() { feed.leave(id) }
}
