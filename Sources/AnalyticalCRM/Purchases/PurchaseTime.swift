import CRMCore
import Foundation

/// Until when purchases count, and what a day is.
struct PurchaseTime: OperationInput {
  /// Purchases at this instant or later do not count.
  let asOf: Date
  /// IANA name.
  let timeZone: String

  init(_ fields: inout InputReader) {
    // Now, rounded up to what an answer shows of an instant.
    let now = Date(timeIntervalSince1970: (Date().timeIntervalSince1970 * 1_000).rounded(.up) / 1_000)
    asOf = fields.optionalInstant("as_of", "Facts before this instant count; now when left out.") ?? now
    timeZone = fields.optionalText("time_zone", "What a day or month is, such as Europe/Istanbul; UTC when left out.", maximum: 64) ?? "UTC"
    if asOf > now {
      fields.refuse(
        "as_of", code: "future", Phrase("as_of lies in the future; nothing is known of it yet.", tr: "as_of gelecekte; henüz hiçbir şey bilinmiyor."))
    }
    // Only names that Foundation and PostgreSQL mean the same by: `GMT+3` is not among them.
    if timeZone != "UTC", !TimeZone.knownTimeZoneIdentifiers.contains(timeZone) {
      fields.refuse(
        "time_zone", code: "option", Phrase("This is no IANA time zone, such as Europe/Istanbul.", tr: "Europe/Istanbul gibi bir IANA saat dilimi değil."))
    }
  }
}
