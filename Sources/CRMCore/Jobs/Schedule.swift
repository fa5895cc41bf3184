package import Foundation

/// Work that comes round again. Every worker knows all schedules; an occurrence is put in the queue once, by whichever worker is first.
/// After a time without workers only the latest occurrence is made up for.
package struct Schedule: Sendable {
  package enum Rule: Sendable {
    /// At every whole multiple of this time since 1970.
    case every(Duration)
    case cron(CronExpression, timeZone: TimeZone)
  }

  /// Names it in the keys of its jobs; unique.
  package let name: String
  package let kind: String
  package let payload: JSON
  package let rule: Rule

  package init(_ name: String, kind: String, payload: JSON = [:], _ rule: Rule) {
    self.name = name
    self.kind = kind
    self.payload = payload
    self.rule = rule
  }

  /// The last occurrence that is not after `now`; nil when there was none in the last four years.
  package func latestOccurrence(before now: Date) -> Date? {
    switch rule {
    case .every(let period):
      let seconds = period.milliseconds / 1_000
      guard seconds > 0 else { return nil }
      return Date(timeIntervalSince1970: (now.timeIntervalSince1970 / seconds).rounded(.down) * seconds)
    case .cron(let expression, let timeZone):
      return expression.latestOccurrence(before: now, in: timeZone)
    }
  }
}
