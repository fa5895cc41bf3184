#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// The instant by which an answer is wanted, on the machine's monotonic clock, which no clock change moves.
package struct Deadline: Sendable, Hashable, Comparable {
  /// Nanoseconds on the monotonic clock.
  let nanoseconds: Int64

  /// A deadline that never passes.
  package static let never = Deadline(nanoseconds: .max)

  /// The deadline `duration` from now.
  package static func after(_ duration: Duration) -> Deadline {
    let (seconds, attoseconds) = duration.components
    let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
    if overflow { return seconds > 0 ? never : Deadline(nanoseconds: 0) }
    let (sum, tooLate) = now.nanoseconds.addingReportingOverflow(whole)
    return tooLate ? never : Deadline(nanoseconds: sum + attoseconds / 1_000_000_000)
  }

  /// This instant.
  package static var now: Deadline {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Deadline(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
  }

  /// What is left until the deadline; zero when it has passed.
  package var remaining: Duration { .nanoseconds(max(0, nanoseconds - Deadline.now.nanoseconds)) }

  package var hasPassed: Bool { self <= .now }

  package static func < (left: Deadline, right: Deadline) -> Bool { left.nanoseconds < right.nanoseconds }

  func adding(_ nanoseconds: Int64) -> Deadline {
    self == .never ? self : Deadline(nanoseconds: self.nanoseconds.addingReportingOverflow(nanoseconds).partialValue)
  }

  /// Whole milliseconds left at `now`, rounded up so that waiting for them never ends early; zero when the deadline has passed.
  func milliseconds(from now: Deadline) -> Int64 {
    let left = nanoseconds - now.nanoseconds
    return left <= 0 ? 0 : left / 1_000_000 + (left % 1_000_000 == 0 ? 0 : 1)
  }
}
