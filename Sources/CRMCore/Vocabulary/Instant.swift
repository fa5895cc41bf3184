package import Foundation

extension Date {
  /// Reads an instant as RFC 3339 spells it, such as `2026-03-31T09:30:00Z` or `2026-03-31T12:30:00.123+03:00`; nil for anything else, also without a zone.
  package init?(instant text: String) {
    guard ColumnType.isInstant(text) else { return nil }
    let style = Date.ISO8601FormatStyle.iso8601.year().month().day().timeZone(separator: .colon).time(includingFractionalSeconds: text.contains("."))
    guard let instant = (try? Date(text, strategy: style)) ?? (try? Date(text, strategy: .iso8601)) else { return nil }
    self = instant
  }
}
