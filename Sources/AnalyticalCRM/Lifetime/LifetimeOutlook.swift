import Foundation

/// What a fitted model says of customers with one history.
struct LifetimeOutlook: Sendable {
  /// Days that forecasts are given for, beside the months of the lifetime value.
  static let horizons = [30.0, 90, 180, 365]

  let pAlive: Double
  /// By horizon, then within all the months.
  let expected: [Double]
  /// Purchases of each month, discounted to now.
  let discounted: Double

  /// - Parameters:
  ///   - unit: days of one unit of the model's time.
  ///   - month: units of time of a month.
  ///   - monthlyDiscount: such as 0.01.
  init(_ model: any PurchaseModel, _ history: PurchaseHistory, unit: Double, months: Int, month: Double, monthlyDiscount: Double) {
    pAlive = model.probabilityAlive(history)
    var expected = Self.horizons.map { model.expectedPurchases(within: $0 / unit, after: history) }
    var (before, sum) = (0.0, 0.0)
    for number in 1...months {
      let now = model.expectedPurchases(within: Double(number) * month, after: history)
      sum += (now - before) / pow(1 + monthlyDiscount, Double(number))
      before = now
    }
    expected.append(before)
    self.expected = expected
    discounted = sum
  }
}

/// A model of purchases by the name it has in questions and answers.
enum LifetimeMethod: String, CaseIterable, Sendable {
  case bgNBD = "bg_nbd"
  case paretoNBD = "pareto_nbd"

  var type: any PurchaseModel.Type {
    switch self {
    case .bgNBD: BetaGeometricModel.self
    case .paretoNBD: ParetoModel.self
    }
  }
}

/// The unit of time of a model's parameters.
enum LifetimeUnit: String, CaseIterable, Sendable {
  case days, weeks

  var inDays: Double { self == .days ? 1 : 7 }
  /// A month has 30 days or 4.345 weeks, as in the implementations that published figures come from.
  var month: Double { self == .days ? 30 : 4.345 }
}
