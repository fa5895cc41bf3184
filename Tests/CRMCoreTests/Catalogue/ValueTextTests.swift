import Foundation
import Testing

@testable import CRMCore

@Suite("Values held against column types")
struct ValueTextTests {
  private let money = ColumnType.numeric(precision: 18, scale: 2)

  @Test(
    "what PostgreSQL would refuse is refused before it is asked",
    arguments: [
      (ColumnType.integer(bits: 16), "32768"), (.integer(bits: 32), "-2147483649"), (.integer(bits: 64), "9223372036854775808"), (.integer(bits: 32), "1.0"),
      (.integer(bits: 32), "+1"), (.integer(bits: 32), " 1"), (.integer(bits: 32), ""), (.double, "NaN"), (.double, "1e999"), (.double, "Infinity"),
      (.numeric(precision: 18, scale: 2), "1.234"), (.numeric(precision: 18, scale: 2), "12345678901234567"), (.numeric(precision: nil, scale: nil), "NaN"),
      (.numeric(precision: 18, scale: 2), "1e3"), (.numeric(precision: 18, scale: 2), "."), (.numeric(precision: 18, scale: 2), "1."),
      (.uuid, "x"), (.uuid, "0192f3a45b6c7d8e9fa0b1c2d3e4f5a6"), (.date, "2025-02-29"), (.date, "2025-13-01"), (.date, "25-01-01"), (.date, "0000-01-01"),
      (.timestamp, "2025-01-01"), (.timestamp, "2025-01-01T00:00:00"), (.timestamp, "2025-01-01T24:00:00Z"), (.timestamp, "2025-01-01 00:00:00Z"),
      (.timestamp, "2025-01-01T00:00:00+25:00"), (.timestamp, "infinity"), (.time, ""), (.time, "9:30"), (.time, "24:01"), (.time, "25:00"), (.time, "23:60"),
      (.time, "10:00:60"), (.time, "10:00:00."), (.time, "10:00:00.1234567"), (.time, "now"), (.time, "10:00Z"), (.time, "10-00"),
      (.other("interval"), "1 day"), (.boolean, "t"), (.boolean, "1"), (.text, "a\0b"), (.bytes, "%%%"), (.json, "{}"),
    ])
  func refused(type: ColumnType, text: String) {
    #expect(throws: ValueMismatch.self) { _ = try type.parameter(fromText: text) }
  }

  @Test(
    "what fits is passed on as PostgreSQL spells it",
    arguments: [
      (ColumnType.integer(bits: 16), "-32768", "-32768"), (.integer(bits: 64), "9223372036854775807", "9223372036854775807"), (.double, "1e300", "1e300"),
      (.numeric(precision: 18, scale: 2), "9999999999999999.99", "9999999999999999.99"), (.numeric(precision: 18, scale: 2), "0001.500", "0001.500"),
      (.uuid, "0192F3A4-5B6C-7D8E-9FA0-B1C2D3E4F5A6", "0192f3a4-5b6c-7d8e-9fa0-b1c2d3e4f5a6"), (.date, "2024-02-29", "2024-02-29"),
      (.time, "09:30", "09:30"), (.time, "23:59:59.999999", "23:59:59.999999"), (.time, "24:00", "24:00"), (.time, "00:00:00", "00:00:00"),
      (.timestamp, "2024-02-29T23:59:59.123456+03:00", "2024-02-29T23:59:59.123456+03:00"), (.timestamp, "2024-02-29t00:00:00z", "2024-02-29t00:00:00z"),
      (.boolean, "true", "true"), (.text, "Çağrı 🙂", "Çağrı 🙂"), (.bytes, "AP8=", "\\x00ff"),
    ])
  func accepted(type: ColumnType, text: String, expected: String) throws {
    #expect(try type.parameter(fromText: text) == expected)
  }

  @Test(
    "an instant is read in every spelling of RFC 3339, to the microsecond",
    arguments: [
      ("2026-03-31T09:30:00Z", 1_774_949_400.0), ("2026-03-31T12:30:00+03:00", 1_774_949_400), ("2026-03-31T09:30:00.000Z", 1_774_949_400),
      ("2026-03-31T09:30:00.25Z", 1_774_949_400.25), ("2026-03-31T12:30:00.123456+03:00", 1_774_949_400.123456),
    ])
  func instants(text: String, seconds: Double) throws {
    #expect(abs(try #require(Date(instant: text)).timeIntervalSince1970 - seconds) < 1e-6, "\(text)")
  }

  @Test("a text that is no instant is none", arguments: ["2026-03-31", "2026-03-31T09:30:00", "2026-02-30T00:00:00Z", "2026-03-31 09:30:00Z", "now", ""])
  func noInstants(text: String) { #expect(Date(instant: text) == nil) }

  @Test("money may come as a number or as text, and keeps its digits")
  func moneyFromJSON() throws {
    #expect(try money.parameter(from: .number(Decimal(string: "1234567890123456.78") ?? 0)) == "1234567890123456.78")
    #expect(try money.parameter(from: "0.10") == "0.10")
    #expect(throws: ValueMismatch.self) { _ = try money.parameter(from: true) }
  }

  @Test("a list becomes an array whose quotes and backslashes survive")
  func array() throws {
    #expect(try ColumnType.array(.text).parameter(from: [#"a"b"#, #"c\d"#, "e,f"]) == #"{"a\"b","c\\d","e,f"}"#)
    #expect(throws: ValueMismatch.self) { _ = try ColumnType.array(.text).parameter(from: ["a", nil]) }
  }

  @Test("JSON with U+0000 anywhere is refused, because jsonb cannot hold it")
  func nulInJSON() {
    #expect(throws: ValueMismatch.self) { _ = try ColumnType.json.parameter(from: ["a": "x\0y"]) }
  }

  @Test("a misspelt name finds its nearest, and nonsense finds nothing")
  func nearest() {
    #expect(nearestName(to: "nmae", in: ["name", "note", "id"]) == "name")
    #expect(nearestName(to: "custmer_id", in: ["customer_id", "contact_id"]) == "customer_id")
    #expect(nearestName(to: "zzzzzz", in: ["name", "note"]) == nil)
    #expect(nearestName(to: String(repeating: "x", count: 100_000), in: ["name"]) == nil)
  }
}
