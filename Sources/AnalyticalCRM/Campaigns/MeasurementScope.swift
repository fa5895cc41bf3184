import CRMCore
import Foundation
import PostgresClient

/// What every question about campaigns says of time and money.
struct MeasurementScope: OperationInput {
  /// Facts at it or later do not count.
  let asOf: Date
  let timeZone: String
  let currency: String?
  let departmentID: UUID?

  init(_ fields: inout InputReader) {
    let now = Date()
    asOf = fields.optionalInstant("as_of", "The instant up to which facts count; now when left out.") ?? now
    timeZone = fields.optionalText("time_zone", "IANA name of the time zone that says what a day is; UTC when left out.", maximum: 64) ?? "UTC"
    currency = fields.optionalText("currency", "Currency of the amounts; the only one that occurs when left out.", maximum: 3)
    departmentID = fields.optionalID("department_id", "Only the business of this department.")
    if asOf > now {
      fields.refuse(
        "as_of", code: "future", Phrase("Nothing is known of the future; give an instant that has passed.", tr: "Gelecek bilinmez; geçmiş bir an verin."))
    }
    if TimeZone(identifier: timeZone) == nil || timeZone.contains(where: { $0.isNewline }) {
      fields.refuse(
        "time_zone", code: "time-zone", Phrase("This is no time zone; an example is Europe/Istanbul.", tr: "Böyle bir saat dilimi yok; örnek: Europe/Istanbul.")
      )
    }
    if let currency, currency.utf8.count != 3 || !currency.utf8.allSatisfy({ (65...90).contains($0) }) {
      fields.refuse(
        "currency", code: "currency", Phrase("A currency code has three capital letters, such as EUR.", tr: "Para birimi kodu üç büyük harftir, örneğin EUR."))
    }
  }

  /// The currency to count in, in SQL, for purchases of a time.
  func measuredCurrency(_ since: SQL, _ until: SQL) -> SQL { "analytics.measured_currency(\(currency), \(since), \(until), \(departmentID))" }

  /// Refuses amounts that cannot be added up.
  /// - Parameter row: has `currencies`, those that occur, and `without_rate`, how many amounts could not be converted.
  func mustAddUp(_ row: PostgresRow) throws {
    let currencies = try row.decode([String].self, "currencies")
    if currency == nil, currencies.count > 1 { throw Problem.mixedCurrencies(currencies) }
    if try row.decode(Int.self, "without_rate") > 0 { throw Problem.noRate(to: currency ?? currencies.first, currencies) }
  }
}

/// How much of a margin there is, and for how long something counts.
struct CampaignQuestion: OperationInput {
  let scope: MeasurementScope
  let windowDays: Int
  let marginPercent: Decimal?

  init(_ fields: inout InputReader) {
    scope = MeasurementScope(&fields)
    windowDays =
      fields.optionalInteger("window_days", "Days after the campaign's last one in which purchases and responses still count; 0 when left out.", in: 0...730)
      ?? 0
    marginPercent = fields.optionalDecimal(
      "margin_percent", "What remains of revenue, in percent; when left out, revenue less the known cost of the goods.", scale: 4, in: -100...100)
  }

  /// The first instant of the campaign, in SQL; `c` is the campaign.
  var begin: SQL { "(c.starts_on::timestamp AT TIME ZONE \(scope.timeZone))" }
  /// The instant before which purchases and responses count.
  var end: SQL { "least((c.ends_on + 1 + \(windowDays)::integer)::timestamp AT TIME ZONE \(scope.timeZone), \(scope.asOf)::timestamptz)" }

  /// The campaign: its facts, the time that counts, and the money that occurs in it. Finds nothing when there is no such campaign, or it is hidden.
  func campaign(_ id: UUID) -> SQL {
    """
    SELECT c.code, c.name, c.starts_on, c.ends_on, c.assignment, c.holdout_percent, c.arms, \(scope.asOf)::timestamptz AS as_of, \(begin) AS since, \(end) AS until, \(begin) < \(end) AS begun,
           analytics.currencies_between(\(begin), \(end), \(scope.departmentID)) AS currencies, m.currency, coalesce(round(crm.convert(c.cost, c.currency, m.currency, c.starts_on), 10), 0)::text AS cost,
           CASE WHEN c.cost <> 0 AND m.currency IS NOT NULL AND crm.convert(c.cost, c.currency, m.currency, c.starts_on) IS NULL THEN 1 ELSE 0 END AS without_rate
      FROM crm.campaign c
      -- A campaign without purchases is told in the currency of its own cost.
      CROSS JOIN LATERAL (SELECT coalesce(\(scope.measuredCurrency(begin, end)),
        CASE WHEN analytics.currencies_between(\(begin), \(end), \(scope.departmentID)) = '{}' THEN c.currency END) AS currency) m
     WHERE c.id = \(id)
    """
  }

  /// Its members with what they did, as a relation.
  func members(_ id: UUID) -> SQL {
    """
    crm.campaign c CROSS JOIN LATERAL (SELECT coalesce(\(scope.measuredCurrency(begin, end)), c.currency) AS currency) k
      CROSS JOIN LATERAL analytics.campaign_member_result(c.id, \(begin), \(end), \(scope.asOf), k.currency, \(scope.departmentID), \(marginPercent)) r
    """
  }
}

/// A campaign as it is measured.
struct MeasuredCampaign {
  let code, name, assignment: String
  let holdoutPercent: Int
  let arms: [String]
  let asOf, since, until: Date
  let currency: String?
  /// Cost beyond that of the touches, in that currency.
  let cost: Double

  /// - Throws: 404 when there is none, 409 when it has not begun or its amounts cannot be added up.
  init(_ result: PostgresResult, _ scope: MeasurementScope) throws {
    guard result.count == 1 else { throw Problem.notFound }
    let row = result[0]
    guard try row.decode(Bool.self, "begun") else {
      throw Problem(
        409, "not-begun",
        Phrase("This campaign had not begun at that time; there is nothing to measure.", tr: "Bu kampanya o tarihte başlamamıştı; ölçülecek bir şey yok."))
    }
    try scope.mustAddUp(row)
    code = try row.decode("code")
    name = try row.decode("name")
    assignment = try row.decode("assignment")
    holdoutPercent = try row.decode("holdout_percent")
    arms = try row.decode([String].self, "arms")
    asOf = try row.decode("as_of")
    since = try row.decode("since")
    until = try row.decode("until")
    currency = try row.decode(String?.self, "currency")
    cost = try row.decode(Double.self, "cost")
  }

  /// What every answer about a campaign begins with.
  func write(_ writer: inout JSONWriter, id: UUID, method: String, n: Int) {
    writer.member("campaign_id", id.lowercase)
    writer.member("code", code)
    writer.member("name", name)
    writer.head(method: method, asOf: asOf, n: n)
    writer.member("since", since.written)
    writer.member("until", until.written)
    writer.member("currency", currency)
  }
}

extension Date {
  /// The instant as the API writes them.
  var written: String { formatted(.iso8601.year().month().day().timeZone(separator: .colon).time(includingFractionalSeconds: true)) }
}

extension JSONWriter {
  /// What every answer of an analysis says of itself.
  mutating func head(method: String, asOf: Date, n: Int) {
    member("as_of", asOf.written)
    member("method", method)
    member("model", method)
    member("version", 1)
    member("n", n)
  }

  mutating func member(_ name: String, _ value: String?) {
    key(name)
    if let value { string(value) } else { null() }
  }

  mutating func member(_ name: String, _ value: Int?) {
    key(name)
    if let value { integer(value) } else { null() }
  }

  mutating func member(_ name: String, _ value: Bool) {
    key(name)
    bool(value)
  }

  mutating func member(_ name: String, _ value: Double?) {
    key(name)
    if let value, value.isFinite { double(value) } else { null() }
  }

  /// An interval as its two ends.
  mutating func member(_ name: String, _ value: ClosedRange<Double>?) {
    key(name)
    guard let value else { return null() }
    beginArray()
    double(value.lowerBound)
    double(value.upperBound)
    endArray()
  }
}

/// JSON Schemas that the answers of measurements share.
enum MeasurementSchema {
  static let interval: JSON = ["type": ["array", "null"], "minItems": 2, "maxItems": 2, "items": ["type": "number"]]
  static let number = AnswerField.optional(AnswerField.number)
  static let text = AnswerField.optional(AnswerField.text)
  static let money = AnswerField.optional(AnswerField.decimal)
  static let head: [String: JSON] = [
    "as_of": AnswerField.instant, "method": AnswerField.text, "model": AnswerField.text, "version": AnswerField.count, "n": AnswerField.count,
  ]
  static let campaign: [String: JSON] = head.merging([
    "campaign_id": AnswerField.id, "code": AnswerField.text, "name": AnswerField.text, "since": AnswerField.instant, "until": AnswerField.instant,
    "currency": text,
  ]) { $1 }

  static func object(_ properties: [String: JSON]) -> JSON {
    ["type": "object", "required": .array(properties.keys.sorted().map(JSON.string)), "properties": .object(properties)]
  }

  static func list(of properties: [String: JSON]) -> JSON { ["type": "array", "items": object(properties)] }
}

extension Request {
  /// The id in the path; whatever is none names no record.
  func pathID() throws(Problem) -> UUID {
    guard let id = parameters["id"].flatMap(UUID.init(uuidString:)) else { throw .notFound }
    return id
  }
}
