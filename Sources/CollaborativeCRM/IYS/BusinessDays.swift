package import Foundation

/// Business days in Türkiye: Monday to Friday without whole holidays; half days count.
package struct BusinessDays: Sendable {
  /// Whole holidays, as days since 1970.
  package let holidays: Set<Int>

  package init(holidays: Set<Int>) { self.holidays = holidays }

  /// The day in Türkiye (+03:00 all year) on which an instant lies, as days since 1970.
  package static func day(of instant: Date) -> Int { Int(((instant.timeIntervalSince1970 + 10_800) / 86_400).rounded(.down)) }

  /// - Parameter day: days since 1970, which was a Thursday.
  package func contains(_ day: Int) -> Bool { (day + 3) % 7 < 5 && !holidays.contains(day) }

  /// The end of the day so many business days after an instant.
  package func deadline(after instant: Date, days: Int) -> Date {
    var day = Self.day(of: instant)
    var left = days
    while left > 0 {
      day += 1
      if contains(day) { left -= 1 }
    }
    return Date(timeIntervalSince1970: Double(day + 1) * 86_400 - 10_800)
  }
}
