package import Foundation

/// When something comes round, in the five fields of cron: minute, hour, day of month, month, day of week (0 or 7 is Sunday).
/// A field is `*`, a number, a range `a-b`, a list `a,b`, and any of them with a step `/n`. As in cron, when both days are
/// restricted, either is enough.
package struct CronExpression: Sendable, Hashable {
  private let minutes: Set<Int>
  private let hours: Set<Int>
  private let days: Set<Int>
  private let months: Set<Int>
  private let weekdays: Set<Int>
  private let anyDay: Bool
  private let anyWeekday: Bool

  /// Nil when the text is not such an expression.
  package init?(_ text: String) {
    let fields = text.split(separator: " ").map(String.init)
    guard fields.count == 5, let minutes = Self.values(fields[0], in: 0...59), let hours = Self.values(fields[1], in: 0...23),
      let days = Self.values(fields[2], in: 1...31), let months = Self.values(fields[3], in: 1...12),
      let weekdays = Self.values(fields[4], in: 0...7)
    else { return nil }
    self.minutes = minutes
    self.hours = hours
    self.days = days
    self.months = months
    self.weekdays = Set(weekdays.map { $0 % 7 })
    anyDay = fields[2].hasPrefix("*")
    anyWeekday = fields[4].hasPrefix("*")
  }

  private static func values(_ field: String, in bounds: ClosedRange<Int>) -> Set<Int>? {
    var values: Set<Int> = []
    for part in field.split(separator: ",", omittingEmptySubsequences: false) {
      let pieces = part.split(separator: "/", omittingEmptySubsequences: false)
      guard pieces.count <= 2, let step = pieces.count == 2 ? Int(pieces[1]) : 1, step > 0 else { return nil }
      let range: ClosedRange<Int>
      let ends = pieces[0].split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
      if pieces[0] == "*" {
        range = bounds
      } else if ends.count == 1, let only = ends[0] {
        range = only...(pieces.count == 2 ? max(only, bounds.upperBound) : only)
      } else if ends.count == 2, let first = ends[0], let last = ends[1], first <= last {
        range = first...last
      } else {
        return nil
      }
      guard bounds.contains(range.lowerBound), bounds.contains(range.upperBound) else { return nil }
      values.formUnion(stride(from: range.lowerBound, through: range.upperBound, by: step))
    }
    return values
  }

  /// The last occurrence that is not after `now`, looking back at most four years. Local times that a clock change skips do not occur.
  package func latestOccurrence(before now: Date, in timeZone: TimeZone) -> Date? {
    var calendar = Calendar(identifier: .gregorian)
    calendar.timeZone = timeZone
    var day = calendar.startOfDay(for: now)
    for _ in 0..<1_462 {
      if includes(day, calendar), let found = latestTime(of: day, before: now, calendar) { return found }
      guard let before = calendar.date(byAdding: .day, value: -1, to: day) else { return nil }
      day = before
    }
    return nil
  }

  private func includes(_ day: Date, _ calendar: Calendar) -> Bool {
    let parts = calendar.dateComponents([.day, .month, .weekday], from: day)
    guard let month = parts.month, let number = parts.day, let weekday = parts.weekday, months.contains(month) else { return false }
    let dayFits = days.contains(number)
    let weekdayFits = weekdays.contains(weekday - 1)
    return anyDay || anyWeekday ? dayFits && weekdayFits : dayFits || weekdayFits
  }

  private func latestTime(of day: Date, before now: Date, _ calendar: Calendar) -> Date? {
    for hour in hours.sorted(by: >) {
      for minute in minutes.sorted(by: >) {
        guard let time = calendar.date(bySettingHour: hour, minute: minute, second: 0, of: day), time <= now else { continue }
        let parts = calendar.dateComponents([.hour, .minute], from: time)
        if parts.hour == hour, parts.minute == minute { return time }
      }
    }
    return nil
  }
}
