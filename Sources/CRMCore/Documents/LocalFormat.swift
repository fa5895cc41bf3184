package import Foundation
package import PostgresClient

/// Numbers, money and dates as readers of a language write them.
extension Language {
  private var locale: Locale {
    switch self {
    case .english: Locale(identifier: "en_GB")
    case .turkish: Locale(identifier: "tr_TR")
    }
  }

  /// `1.234,5` or `1,234.5`
  /// - Parameter digits: how many digits stand after the decimal point.
  package func number(_ value: Decimal, digits: ClosedRange<Int>) -> String {
    value.formatted(.number.locale(locale).grouping(.automatic).precision(.fractionLength(digits)))
  }

  /// `1.234,56 ₺` or `₺1,234.56`. A currency without a sign of its own is named by its code.
  /// - Parameter digits: how many digits stand after the decimal point; unit prices have more than amounts.
  package func money(_ amount: Decimal, _ currency: String, digits: ClosedRange<Int> = 2...2) -> String {
    let number = number(amount.magnitude, digits: digits)
    let minus = amount < 0 ? "-" : ""
    let sign = Self.currencySigns[currency]
    return switch self {
    case .turkish: "\(minus)\(number)\u{a0}\(sign ?? currency)"
    case .english: sign.map { "\(minus)\($0)\(number)" } ?? "\(minus)\(currency)\u{a0}\(number)"
    }
  }

  /// `%20` or `20%`
  package func percent(_ value: Decimal) -> String {
    let number = number(value, digits: 0...2)
    return switch self {
    case .turkish: "%\(number)"
    case .english: "\(number)%"
    }
  }

  /// `21.11.2026` or `21 November 2026`
  package func date(_ day: CalendarDate) -> String {
    switch self {
    case .turkish: "\(day.day < 10 ? "0" : "")\(day.day).\(day.month < 10 ? "0" : "")\(day.month).\(day.year)"
    case .english: "\(day.day) \(Self.months[day.month - 1]) \(day.year)"
    }
  }

  private static let currencySigns = ["TRY": "₺", "EUR": "€", "USD": "$", "GBP": "£"]
  private static let months = [
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December",
  ]
}
