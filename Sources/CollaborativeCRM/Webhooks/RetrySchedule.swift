/// When a message that was not taken is tried again: ten times within about three days, as Standard Webhooks recommends, and then no more.
enum RetrySchedule {
  /// Seconds to wait after the first failed attempt, the second, and so on.
  private static let waits: [Double] = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400]

  /// - Parameters:
  ///   - attempts: how many have failed, from 1.
  ///   - jitter: 0 to 1; spreads attempts by a tenth to both sides, so that receivers that come back are not overrun.
  /// - Returns: seconds to wait; nil when it is given up.
  static func wait(after attempts: Int, jitter: Double) -> Double? {
    guard waits.indices.contains(attempts - 1) else { return nil }
    return waits[attempts - 1] * (0.9 + 0.2 * jitter)
  }

  /// Failures in a row from which on a receiver is given rest.
  static let breaksAt = 5

  /// How long a receiver is given rest, in seconds: longer each time, at most a quarter of an hour.
  /// - Parameter failures: how many attempts in a row have failed; nil below `breaksAt`.
  static func rest(after failures: Int, jitter: Double) -> Double? {
    guard failures >= breaksAt else { return nil }
    var rest = 30.0
    for _ in breaksAt..<min(failures, breaksAt + 5) { rest *= 2 }
    return min(rest, 900) * (0.9 + 0.2 * jitter)
  }
}
