import CRMCore
import Foundation
import Testing

@Suite("Cron expressions")
struct CronExpressionTests {
  private func latest(_ text: String, _ now: String, _ zone: String = "UTC") throws -> String? {
    let expression = try #require(CronExpression(text))
    let timeZone = try #require(TimeZone(identifier: zone))
    let date = try Date(now, strategy: .iso8601)
    return expression.latestOccurrence(before: date, in: timeZone)?.formatted(.iso8601)
  }

  @Test(
    "the latest occurrence is found",
    arguments: [
      ("30 2 * * *", "2026-11-21T22:00:00Z", "UTC", "2026-11-21T02:30:00Z"),
      ("30 2 * * *", "2026-11-21T02:29:59Z", "UTC", "2026-11-20T02:30:00Z"),
      ("*/15 * * * *", "2026-11-21T22:14:00Z", "UTC", "2026-11-21T22:00:00Z"),
      ("0 9-17/4 * * 1-5", "2026-11-22T10:00:00Z", "UTC", "2026-11-20T17:00:00Z"),
      ("0 0 1 * *", "2026-11-21T22:00:00Z", "Europe/Istanbul", "2026-10-31T21:00:00Z"),
      ("0 0 29 2 *", "2026-11-21T22:00:00Z", "UTC", "2024-02-29T00:00:00Z"),
      ("0 12 1,15 * 0", "2026-11-21T00:00:00Z", "UTC", "2026-11-15T12:00:00Z"),
      ("0 12 1 * 7", "2026-11-23T00:00:00Z", "UTC", "2026-11-22T12:00:00Z"),
    ])
  func found(text: String, now: String, zone: String, expected: String) throws {
    #expect(try latest(text, now, zone) == expected)
  }

  @Test("a local time that a clock change skips does not occur")
  func skipped() throws {
    #expect(try latest("30 2 * * *", "2026-03-08T20:00:00Z", "America/New_York") == "2026-03-07T07:30:00Z")
  }

  @Test(
    "what is not an expression is refused",
    arguments: ["", "* * * *", "60 * * * *", "a * * * *", "*/0 * * * *", "5-1 * * * *", "1,,2 * * * *", "* * 0 * *"])
  func refused(text: String) {
    #expect(CronExpression(text) == nil)
  }
}
