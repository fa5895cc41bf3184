import CRMCore
import PostgresClient
import Synchronization

/// How often somebody nobody knows may do something that makes records. Kept in memory, by each gateway for itself: behind several of them it allows as many
/// times more.
final class RateLimit: Sendable {
  private struct Window {
    var count: Int
    let end: Deadline
  }

  private static let capacity = 100_000
  private let most: Int
  private let period: Duration
  private let windows = Mutex<[String: Window]>([:])

  init(_ most: Int, per period: Duration) {
    self.most = most
    self.period = period
  }

  /// Counts one more of `key`.
  /// - Throws: a problem 429 when there were too many.
  func count(_ key: String) throws(Problem) {
    let now = Deadline.now
    let isTooMuch = windows.withLock { windows in
      if windows.count >= Self.capacity { windows = windows.filter { $0.value.end > now } }
      var window = windows[key].flatMap { $0.end > now ? $0 : nil } ?? Window(count: 0, end: .after(period))
      window.count += 1
      windows[key] = window
      return window.count > most
    }
    if isTooMuch { throw .tooFast(Int(period.components.seconds)) }
  }
}

extension Problem {
  static func tooFast(_ seconds: Int) -> Problem {
    Problem(
      429, "too-many-requests", Phrase("Too many at once. Try again later.", tr: "Çok sık denendi. Daha sonra yeniden deneyin."), retryAfter: seconds)
  }
}
