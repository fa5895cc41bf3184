package import CRMCore
import Foundation

/// What is true of a simulated company: what its models ought to find.
package struct CompanyPlan: Sendable {
  package let seed: UInt64
  package let customers: Int
  package let months: Int
  /// The first day; customers arrive from it on, evenly over three quarters of the months.
  package let firstDay: CalendarDay
  /// The number of lines on an order, at most; 0 for orders without lines.
  package let linesPerOrder: Int
  /// BG/NBD in days: r, alpha, a, b.
  package let purchases: BetaGeometricModel
  /// Gamma-Gamma in Turkish lira: p, q, gamma.
  package let spending = GammaGammaModel(parameters: [4, 3.5, 600])
  /// Shifted beta-geometric: what share of contracts end at the end of a term.
  package let renewals = (alpha: 0.9, beta: 3.2)
  package let termMonths: Int
  /// How many customers have a contract.
  package let contractShare = 0.2
  /// Why contracts end.
  package static let churnCauses: [(cause: String, share: Double)] = [("price", 0.35), ("service", 0.25), ("competitor", 0.25), ("need_ended", 0.15)]
  /// Days after the last one for which the truth tells what would have been bought.
  package static let futureDays = 90

  package init(
    seed: UInt64, customers: Int, months: Int, ordersPerCustomer: Double, linesPerOrder: Int, firstDay: CalendarDay = CalendarDay(year: 2024, month: 1)
  ) {
    self.seed = seed
    self.customers = customers
    self.months = months
    self.firstDay = firstDay
    self.linesPerOrder = linesPerOrder
    termMonths = months < 24 ? 1 : 3
    let days = Double(firstDay.months(later: months).day - firstDay.day)
    purchases = Self.purchases(reaching: max(ordersPerCustomer - 1, 0.1), days: days)
  }

  package var start: Int { firstDay.day }
  package var end: Int { firstDay.months(later: months).day }
  /// Customers arrive in the first three quarters.
  var arrivalDays: Double { Double(end - start) * 0.75 }

  /// The model in which customers repeat their first purchase so many times on average, over all times of arrival.
  private static func purchases(reaching repeats: Double, days: Double) -> BetaGeometricModel {
    func model(_ logAlpha: Double) -> BetaGeometricModel { BetaGeometricModel(parameters: [1.1, exp(logAlpha), 1.2, 12]) }
    func mean(_ model: BetaGeometricModel) -> Double {
      (0..<24).reduce(0) { $0 + model.expectedPurchases(within: days * (1 - 0.75 * (Double($1) + 0.5) / 24)) } / 24
    }
    var (low, high) = (log(0.01), log(100_000.0))
    for _ in 0..<60 {
      let middle = (low + high) / 2
      if mean(model(middle)) > repeats { low = middle } else { high = middle }
    }
    return model((low + high) / 2)
  }

  /// What is known before anything is drawn; `totals` is what was drawn.
  package func truth(_ totals: CompanyTotals) -> JSON {
    func number(_ value: Double) -> JSON { .number(Decimal(string: "\(value)") ?? 0) }
    func count(_ value: Int) -> JSON { .number(Decimal(value)) }
    func named(_ names: [String], _ values: [Double]) -> [String: JSON] { Dictionary(zip(names, values.map(number)), uniquingKeysWith: { $1 }) }
    return [
      "seed": .number(Decimal(seed)), "customers": count(customers), "months": count(months), "first_day": .string(firstDay.text),
      "as_of": .string("\(firstDay.months(later: months).text)T00:00:00Z"),
      "purchases": .object(
        named(BetaGeometricModel.parameterNames, purchases.parameters).merging(["model": .string(BetaGeometricModel.name), "unit": "days"]) { $1 }),
      "spending": .object(
        named(GammaGammaModel.parameterNames, spending.parameters).merging(["model": .string(GammaGammaModel.name), "currency": "TRY"]) { $1 }),
      "renewals": ["model": "sbg", "alpha": number(renewals.alpha), "beta": number(renewals.beta), "term_months": count(termMonths)],
      "churn_causes": .object(Dictionary(uniqueKeysWithValues: Self.churnCauses.map { ($0.cause, number($0.share)) })),
      "campaign": [
        "code": .string(SimulatedCampaign.code(plan: self)), "starts_on": .string(SimulatedCampaign.firstDay(of: self).text),
        "days": count(SimulatedCampaign.days),
        "holdout_percent": count(SimulatedCampaign.holdOutPercent), "extra_orders_per_treated": number(Double(SimulatedCampaign.effectPercent) / 100),
        "members": count(totals.campaign.members), "held_out": count(totals.campaign.heldOut), "extra_orders": count(totals.campaign.extraOrders),
        "extra_revenue_cents": count(totals.campaign.extraCents),
      ],
      "totals": [
        "orders": count(totals.orders + totals.campaign.extraOrders), "order_lines": count(totals.lines + totals.campaign.extraLines),
        "alive": count(totals.alive), "revenue_cents": count(totals.cents + totals.campaign.extraCents),
        "contracts": count(totals.contracts), "ended_contracts": count(totals.endedContracts),
        "causes": .object(Dictionary(uniqueKeysWithValues: zip(Self.churnCauses.map(\.cause), totals.causes.map(count)))),
        "future_days": count(Self.futureDays), "future_purchases": count(totals.futurePurchases),
      ],
    ]
  }
}

/// What has been drawn so far.
package struct CompanyTotals: Sendable {
  package var orders = 0
  package var lines = 0
  package var cents = 0
  /// Customers who have not stopped at the end.
  package var alive = 0
  package var contracts = 0
  package var endedContracts = 0
  package var causes = [Int](repeating: 0, count: CompanyPlan.churnCauses.count)
  package var futurePurchases = 0
  package var campaign = SimulatedCampaign.Totals()
}

/// A day of the Gregorian calendar as a number since 1970-01-01.
package struct CalendarDay: Sendable {
  package let year, month, dayOfMonth: Int
  package let day: Int

  package init(year: Int, month: Int, dayOfMonth: Int = 1) {
    (self.year, self.month, self.dayOfMonth) = (year, month, dayOfMonth)
    let y = month <= 2 ? year - 1 : year
    let era = y / 400
    let yearOfEra = y - era * 400
    let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + dayOfMonth - 1
    day = era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
  }

  package init(day: Int) {
    let z = day + 719_468
    let era = z / 146_097
    let dayOfEra = z - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shifted = (5 * dayOfYear + 2) / 153
    let month = shifted < 10 ? shifted + 3 : shifted - 9
    self.init(year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month: month, dayOfMonth: dayOfYear - (153 * shifted + 2) / 5 + 1)
  }

  /// The first day of the month so many months later.
  package func months(later count: Int) -> CalendarDay {
    let months = year * 12 + month - 1 + count
    return CalendarDay(year: months / 12, month: months % 12 + 1)
  }

  package var text: String { "\(year)-\(month < 10 ? "0" : "")\(month)-\(dayOfMonth < 10 ? "0" : "")\(dayOfMonth)" }
}
