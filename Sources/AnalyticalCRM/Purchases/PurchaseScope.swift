import CRMCore
import Foundation
import PostgresClient

/// Which purchases an analysis counts, and in which currency and time zone.
struct PurchaseScope: OperationInput {
  /// Purchases at this instant or later do not count.
  let asOf: Date
  /// IANA name; says what a day or a month is.
  let timeZone: String
  /// Nil for the only currency that occurs.
  let currency: String?
  /// Nil for the whole company's business.
  let departmentID: UUID?

  init(_ fields: inout InputReader) {
    let when = PurchaseTime(&fields)
    (asOf, timeZone) = (when.asOf, when.timeZone)
    currency = fields.optionalText(
      "currency", "Three capital letters: amounts are converted to it at the rate of the day of the purchase. The only one that occurs when left out.",
      maximum: 3)
    departmentID = fields.optionalID("department_id", "Only the business of this department.")
    if let currency, currency.utf8.count != 3 || !currency.utf8.allSatisfy({ (65...90).contains($0) }) {
      fields.refuse(
        "currency", code: "type", Phrase("A currency code has three capital letters, such as EUR.", tr: "Para birimi kodu üç büyük harftir, örneğin EUR."))
    }
  }

  /// The scope that a run was asked for.
  init(_ run: AnalysisRun) {
    asOf = run.asOf
    timeZone = run.parameters["time_zone"]?.string ?? "UTC"
    currency = run.parameters["currency"]?.string
    departmentID = run.departmentID
  }

  /// What a run keeps of it, beside as_of and department.
  var parameters: [String: JSON] { ["time_zone": .string(timeZone), "currency": currency.map(JSON.string) ?? .null] }

  /// The arguments that functions of schema analytics begin with: `as_of, time_zone, currency, department`.
  var arguments: SQL { "\(asOf), \(timeZone), \(currency), \(departmentID)" }

  /// The members that every answer begins with but for `n`.
  func heading(method: SQL, model: SQL) -> SQL {
    "\(asOf)::timestamptz AS as_of, \(method) AS method, \(model) AS model, 1 AS version, \(timeZone)::text AS time_zone"
  }

  /// Which currencies occur, for `currency(checking:)`.
  var currencies: SQL {
    "SELECT c.currency, c.purchases, c.without_rate, \(currency)::text AS wanted FROM analytics.purchase_currencies(\(arguments)) AS c ORDER BY c.currency"
  }

  /// The currency of the amounts. Throws a problem when nobody bought, when several currencies occur and none was chosen, and when a rate is missing.
  /// - Parameter result: of `currencies`.
  static func currency(checking result: PostgresResult) throws -> String {
    guard result.count > 0 else {
      throw Problem(
        422, "empty-population", Phrase("Nobody bought anything before this instant.", tr: "Bu andan önce kimse bir şey satın almamış."),
        detail: Phrase("Choose a later as_of or another department.", tr: "Daha geç bir as_of ya da başka bir departman seçin."))
    }
    let found = try result.rows.map { try $0.decode(String.self, "currency") }
    guard let wanted = try result[0].decode(String?.self, "wanted") else {
      guard found.count == 1 else { throw Problem.mixedCurrencies(found) }
      return found[0]
    }
    let missing = try result.rows.filter { try $0.decode(Int.self, "without_rate") > 0 }
    guard missing.isEmpty else {
      throw Problem.noRate(to: wanted, try missing.map { "\(try $0.decode(String.self, "currency")) (\(try $0.decode(Int.self, "without_rate")))" })
    }
    return wanted
  }
}
