import CRMCore
import Foundation
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

  /// Whom an address stands for: whoever has one address of IPv6 has the 2^64 around it.
  static func source(_ address: String?) -> String {
    var bytes = [UInt8](repeating: 0, count: 16)
    guard let address, address.contains(":"), inet_pton(AF_INET6, address, &bytes) == 1 else { return address ?? "" }
    // ::ffff:192.0.2.1 is an address of IPv4.
    if bytes.prefix(10).allSatisfy({ $0 == 0 }), bytes[10] == 0xFF, bytes[11] == 0xFF { return bytes.suffix(4).map { "\($0)" }.joined(separator: ".") }
    return bytes.prefix(8).map { String($0, radix: 16) }.joined(separator: ":") + "/64"
  }

  /// Counts one more of `key`.
  /// - Parameter most: another limit than usual.
  /// - Throws: a problem 429 when there were too many.
  func count(_ key: String, most: Int? = nil) throws(Problem) {
    let now = Deadline.now
    let isTooMuch = windows.withLock { windows in
      if windows.count >= Self.capacity {
        windows = windows.filter { $0.value.end > now }
        // Of more than fit nobody is refused for others' sake, and nobody waits for the sweeping: counting begins anew.
        if windows.count > Self.capacity / 2 { windows = [:] }
      }
      var window = windows[key].flatMap { $0.end > now ? $0 : nil } ?? Window(count: 0, end: .after(period))
      window.count += 1
      windows[key] = window
      return window.count > most ?? self.most
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
