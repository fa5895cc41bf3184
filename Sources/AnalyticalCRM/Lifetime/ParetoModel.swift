import Foundation

/// Pareto/NBD (Schmittlein, Morrison & Colombo 1987; likelihood as Fader & Hardie 2005): purchases at a rate from Gamma(r, alpha), for a life whose length is
/// exponential with a rate from Gamma(s, beta).
package struct ParetoModel: PurchaseModel {
  package static let name = "pareto_nbd"
  package static let parameterNames = ["r", "alpha", "s", "beta"]

  let r, alpha, s, beta: Double

  package var parameters: [Double] { [r, alpha, s, beta] }

  package init(parameters: [Double]) { (r, alpha, s, beta) = (parameters[0], parameters[1], parameters[2], parameters[3]) }

  package func logLikelihood(of histories: [PurchaseHistory]) -> Double {
    let common = r * log(alpha) + s * log(beta) - SpecialFunctions.logGamma(r)
    return histories.reduce(0) { sum, history in
      let (alive, dead) = parts(history)
      return sum + Double(history.customers)
        * (common + SpecialFunctions.logGamma(r + Double(history.frequency)) + SpecialFunctions.logSumExp(alive, dead))
    }
  }

  package static func objective(_ histories: [PurchaseHistory], checkpoint: @escaping () throws -> Void) -> Minimisation.Function {
    let customers = Double(histories.reduce(0) { $0 + $1.customers })
    var evaluations = 0
    return Minimisation.Function(value: { point in
      try checkpoint()
      // Some hundreds lead to a maximum where there is one; on a ridge the search would go on for hours.
      evaluations += 1
      guard evaluations <= 1_000 else { throw FitFailure.noMaximum }
      return -ParetoModel(parameters: point.map(exp)).logLikelihood(of: histories) / customers
    })
  }

  package func probabilityAlive(_ history: PurchaseHistory) -> Double {
    let (alive, dead) = parts(history)
    return 1 / (1 + exp(dead - alive))
  }

  package func expectedPurchases(within time: Double, after history: PurchaseHistory) -> Double {
    let rate = (r + Double(history.frequency)) / (alpha + history.age)
    let ratio = log((beta + history.age) / (beta + history.age + time))
    let life = abs(s - 1) < 1e-9 ? -(beta + history.age) * ratio : (beta + history.age) / (s - 1) * -expm1((s - 1) * ratio)
    return probabilityAlive(history) * rate * life
  }

  /// The logarithms of the likelihoods of having bought like this and being alive, and of having stopped, without what both have in common.
  private func parts(_ history: PurchaseHistory) -> (alive: Double, dead: Double) {
    let x = Double(history.frequency)
    let alive = -(r + x) * log(alpha + history.age) - s * log(beta + history.age)
    guard history.age > history.recency else { return (alive, -.infinity) }
    let (first, last) = (tail(x, history.recency), tail(x, history.age))
    // The difference of two integrals to infinity: what lies between the last purchase and now.
    return (alive, log(s) - log(r + s + x) + first + log(-expm1(min(last - first, -1e-300))))
  }

  /// ln of ₂F₁(…; r+s+x+1; |α−β|/(max(α, β)+t)) / (max(α, β)+t)^(r+s+x), after Euler's transformation.
  private func tail(_ x: Double, _ time: Double) -> Double {
    let larger = max(alpha, beta) + time
    let z = abs(alpha - beta) / larger
    let (power, second) = alpha >= beta ? (-s, r + x) : (1 - r - x, s + 1)
    return log(SpecialFunctions.series(1, second, r + s + x + 1, z)) + power * log1p(-z) - (r + s + x) * log(larger)
  }
}
