import Foundation

/// What a customer without a contract has done, in the model's unit of time.
package struct PurchaseHistory: Sendable, Hashable {
  /// Repeat purchases: days with a purchase after the first one.
  package let frequency: Int
  /// From the first purchase to the last.
  package let recency: Double
  /// From the first purchase to the end of the observation.
  package let age: Double
  /// How many customers have this same history.
  package let customers: Int

  package init(frequency: Int, recency: Double, age: Double, customers: Int = 1) {
    self.frequency = frequency
    self.recency = recency
    self.age = age
    self.customers = customers
  }
}

/// A model of customers who buy at a rate of their own until, unnoticed, they stop for good.
package protocol PurchaseModel: Sendable {
  /// As docs/methods.md has it.
  static var name: String { get }
  static var parameterNames: [String] { get }
  /// In the order of their names.
  var parameters: [Double] { get }
  init(parameters: [Double])

  /// ln L of all customers.
  func logLikelihood(of histories: [PurchaseHistory]) -> Double
  /// The mean of −ln L over the customers by the logarithms of the parameters, prepared to be computed again and again.
  /// - Parameter checkpoint: called at each evaluation.
  static func objective(_ histories: [PurchaseHistory], checkpoint: @escaping () throws -> Void) -> Minimisation.Function
  /// The probability that the customer has not stopped.
  func probabilityAlive(_ history: PurchaseHistory) -> Double
  /// Purchases expected in the next `time`.
  func expectedPurchases(within time: Double, after history: PurchaseHistory) -> Double
}

extension PurchaseModel {
  /// Purchases that a new customer, whose first purchase is just made, is expected to repeat within `time`.
  package func expectedPurchases(within time: Double) -> Double {
    expectedPurchases(within: time, after: PurchaseHistory(frequency: 0, recency: 0, age: 0))
  }

  /// The parameters of greatest likelihood. Time is scaled so that the longest history has 10 units: the bounds then mean the same whatever the unit.
  /// - Parameter checkpoint: called between evaluations of the likelihood; throws when the work was cancelled.
  /// - Throws: `FitFailure`.
  package static func fit(_ histories: [PurchaseHistory], checkpoint: @escaping () throws -> Void = {}) throws -> ModelFit {
    let customers = Double(histories.reduce(0) { $0 + $1.customers })
    let longest = histories.map(\.age).max() ?? 0
    guard longest > 0, histories.contains(where: { $0.frequency > 0 }) else { throw FitFailure.noData }
    let scale = longest / 10
    let scaled = histories.map { PurchaseHistory(frequency: $0.frequency, recency: $0.recency / scale, age: $0.age / scale, customers: $0.customers) }
    let fit = try ModelFit.maximising(objective(scaled, checkpoint: checkpoint), names: parameterNames, start: parameterNames.map { _ in 0 }, count: customers)
    let purchases = Double(histories.reduce(0) { $0 + $1.frequency * $1.customers })
    return ModelFit(
      parameters: zip(parameterNames, fit.parameters).map { timeParameters.contains($0) ? $1 * scale : $1 }, standardErrors: fit.standardErrors,
      logLikelihood: fit.logLikelihood - purchases * log(scale), evaluations: fit.evaluations)
  }
}

/// The parameters that are lengths of time.
private let timeParameters: Set<String> = ["alpha", "beta"]
