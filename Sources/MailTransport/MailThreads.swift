import NIOCore
import NIOPosix

/// The threads on which libcurl and GMime work: both block, so they never run on Swift's own.
package enum MailThreads {
  private static let pool: NIOThreadPool = {
    let pool = NIOThreadPool(numberOfThreads: 6)
    pool.start()
    return pool
  }()

  /// Threads for connections that stay open between pieces of work; each stays on one of them. There are more than a worker has connections at a time.
  static let loops = MultiThreadedEventLoopGroup(numberOfThreads: 16)

  /// Runs blocking work on a thread of its own. Work of more than six callers waits its turn; each piece has a deadline of its own.
  package static func run<Value: Sendable>(_ work: @Sendable @escaping () throws -> Value) async throws -> Value {
    try await pool.runIfActive(work)
  }
}
