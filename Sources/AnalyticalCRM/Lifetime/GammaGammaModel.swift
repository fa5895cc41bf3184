import Foundation

/// Gamma-Gamma (Fader, Hardie & Lee 2005b): what a customer spends on a purchase varies around a mean of their own, which varies over the customers.
package struct GammaGammaModel: Sendable {
  package static let name = "gamma_gamma"
  package static let parameterNames = ["p", "q", "gamma"]

  let p, q, gamma: Double

  package var parameters: [Double] { [p, q, gamma] }

  package init(parameters: [Double]) { (p, q, gamma) = (parameters[0], parameters[1], parameters[2]) }

  /// What customers have spent, by how many repeat purchases they made.
  package struct Spending: Sendable {
    /// Repeat purchases, at least one.
    package let frequency: Int
    /// The mean value of each customer's repeat purchases; positive.
    package var means: [Double]

    package init(frequency: Int, means: [Double]) {
      self.frequency = frequency
      self.means = means
    }
  }

  /// What a customer of this frequency and mean is expected to spend on a purchase: between the mean of all and their own, nearer to their own the more they bought.
  /// - Returns: nil where the mean of all customers is infinite (q ≤ 1) and the customer's own purchases do not make up for it.
  package func expectedValue(frequency: Int, mean: Double) -> Double? {
    let evidence = p * Double(frequency) + q - 1
    guard evidence > 0 else { return nil }
    return p * (gamma + Double(frequency) * mean) / evidence
  }

  package func logLikelihood(of spending: [Spending]) -> Double { slope(of: spending).value }

  /// ln L and its derivatives by the logarithms of the parameters.
  package func slope(of spending: [Spending]) -> (value: Double, gradient: [Double]) {
    typealias F = SpecialFunctions
    var (sum, sumP, sumQ, sumGamma) = (0.0, 0.0, 0.0, 0.0)
    for group in spending {
      let x = Double(group.frequency)
      let count = Double(group.means.count)
      var (logs, logTotals, inverses) = (0.0, 0.0, 0.0)
      for mean in group.means {
        let total = gamma + x * mean
        logs += log(mean)
        logTotals += log(total)
        inverses += 1 / total
      }
      let all = F.digamma(p * x + q)
      sum +=
        count * (F.logGamma(p * x + q) - F.logGamma(p * x) - F.logGamma(q) + q * log(gamma) + p * x * log(x)) + (p * x - 1) * logs - (p * x + q) * logTotals
      sumP += x * (count * (all - F.digamma(p * x) + log(x)) + logs - logTotals)
      sumQ += count * (all - F.digamma(q) + log(gamma)) - logTotals
      sumGamma += count * q / gamma - (p * x + q) * inverses
    }
    return (sum, [sumP * p, sumQ * q, sumGamma * gamma])
  }

  /// The parameters of greatest likelihood. Amounts are scaled by their mean, so that the currency does not matter.
  /// - Throws: `FitFailure`.
  package static func fit(_ spending: [Spending], checkpoint: @escaping () throws -> Void = {}) throws -> ModelFit {
    let customers = Double(spending.reduce(0) { $0 + $1.means.count })
    guard customers > 1 else { throw FitFailure.noData }
    let scale = spending.reduce(0) { $0 + $1.means.reduce(0, +) } / customers
    let scaled = spending.map { Spending(frequency: $0.frequency, means: $0.means.map { $0 / scale }) }
    let mean = Minimisation.Function(slope: { point in
      try checkpoint()
      let slope = GammaGammaModel(parameters: point.map(exp)).slope(of: scaled)
      return (-slope.value / customers, slope.gradient.map { -$0 / customers })
    })
    let fit = try ModelFit.maximising(mean, names: parameterNames, start: [log(2), log(2), 0], count: customers)
    return ModelFit(
      parameters: [fit.parameters[0], fit.parameters[1], fit.parameters[2] * scale], standardErrors: fit.standardErrors,
      logLikelihood: fit.logLikelihood - customers * log(scale), evaluations: fit.evaluations)
  }
}
