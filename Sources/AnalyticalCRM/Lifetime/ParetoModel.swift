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
    if abs(alpha - beta) > 0.9 * (max(alpha, beta) + history.recency) { return (alive, log(s) + stopping(r + x, history)) }
    let (first, last) = (tail(x, history.recency), tail(x, history.age))
    // The difference of two integrals to infinity: what lies between the last purchase and now.
    return (alive, log(s) - log(r + s + x) + first + log(-expm1(min(last - first, -1e-300))))
  }

  /// The positive nodes of Gauss and Legendre's rule of twelve on −1…1, with their weights.
  private static let nodes = [
    (0.1252334085114689, 0.2491470458134028), (0.3678314989981802, 0.2334925365383548), (0.5873179542866175, 0.2031674267230659),
    (0.7699026741943047, 0.1600783285433462), (0.9041172563704749, 0.1069393259953184), (0.9815606342467192, 0.0471753363865118),
  ]

  /// ln of the integral of (α+u)^−power (β+u)^−(s+1) over u from the last purchase to now, where the series would need thousands of terms: over the logarithm
  /// of min(α, β) + u, in steps within which the integrand changes little.
  private func stopping(_ power: Double, _ history: PurchaseHistory) -> Double {
    let smaller = min(alpha, beta)
    let (start, end) = (log(smaller + history.recency), log(smaller + history.age))
    func height(_ place: Double) -> Double {
      let time = history.recency + (smaller + history.recency) * expm1(place - start)
      return place - power * log(alpha + time) - (s + 1) * log(beta + time)
    }
    let reference = height(start)
    var (sum, place) = (0.0, start)
    while place < end {
      let shifted = exp(place)
      let time = shifted - smaller
      let slope = 1 + power * shifted / (alpha + time) + (s + 1) * shifted / (beta + time)
      let half = min(1, 4 / slope, end - place) / 2
      let part = Self.nodes.reduce(0) { total, node in
        let (left, right) = (height(place + half * (1 - node.0)), height(place + half * (1 + node.0)))
        return total + node.1 * (exp(left - reference) + exp(right - reference))
      }
      sum += half * part
      place += 2 * half
      // It only falls from here, by e⁻⁴ a step at the least.
      if slope > 8, half * part < 1e-17 * sum { break }
    }
    return reference + log(sum)
  }

  /// ln of ₂F₁(…; r+s+x+1; |α−β|/(max(α, β)+t)) / (max(α, β)+t)^(r+s+x), after Euler's transformation.
  private func tail(_ x: Double, _ time: Double) -> Double {
    let larger = max(alpha, beta) + time
    let z = abs(alpha - beta) / larger
    let (power, second) = alpha >= beta ? (-s, r + x) : (1 - r - x, s + 1)
    return log(SpecialFunctions.series(1, second, r + s + x + 1, z)) + power * log1p(-z) - (r + s + x) * log(larger)
  }
}
