import Foundation

/// sBG, the shifted beta-geometric model (Fader & Hardie 2007): at the end of each term a contract ends with a probability of its own from Beta(alpha, beta).
package struct RenewalModel: Sendable {
  package static let name = "sbg"
  package static let parameterNames = ["alpha", "beta"]

  let alpha, beta: Double

  package init(parameters: [Double]) { (alpha, beta) = (parameters[0], parameters[1]) }

  /// What became of the contracts that were up for renewal for the so-manieth time.
  package struct Term: Sendable {
    package let number: Int
    /// How many ended with this term.
    package let ended: Int
    /// How many are in this term now: they were renewed one time less.
    package let running: Int

    package init(number: Int, ended: Int, running: Int) {
      self.number = number
      self.ended = ended
      self.running = running
    }
  }

  /// The share of contracts in a term that is renewed at its end; it rises, because those that end are the ones likelier to.
  package func retention(term: Int) -> Double { (beta + Double(term) - 1) / (alpha + beta + Double(term) - 1) }

  /// The share of all contracts that is renewed so many times.
  package func survival(terms: Int) -> Double { exp(logSurvival(terms)) }

  /// Terms that a contract in a term is expected still to last, the present one not counted, each later one discounted.
  /// - Parameter discount: per term; above 0.
  package func expectedTerms(after term: Int, discount: Double) -> Double {
    var (sum, weight, number) = (0.0, 1.0, term)
    while number < term + 10_000 {
      weight *= retention(term: number) / (1 + discount)
      sum += weight
      number += 1
      if weight < 1e-12 { break }
    }
    return sum
  }

  private func logSurvival(_ terms: Int) -> Double {
    typealias F = SpecialFunctions
    let t = Double(terms)
    return F.logGamma(beta + t) - F.logGamma(beta) + F.logGamma(alpha + beta) - F.logGamma(alpha + beta + t)
  }

  package func logLikelihood(of terms: [Term]) -> Double {
    terms.reduce(0) { sum, term in
      sum + Double(term.ended) * (logSurvival(term.number - 1) + log1p(-retention(term: term.number))) + Double(term.running) * logSurvival(term.number - 1)
    }
  }

  /// The parameters of greatest likelihood.
  /// - Throws: `FitFailure`.
  package static func fit(_ terms: [Term]) throws -> ModelFit {
    let count = Double(terms.reduce(0) { $0 + $1.ended + $1.running })
    guard terms.contains(where: { $0.ended > 0 }), terms.contains(where: { $0.number > 1 }) else { throw FitFailure.noData }
    let mean = Minimisation.Function(value: { RenewalModel(parameters: $0.map(exp)).logLikelihood(of: terms) / -count })
    return try ModelFit.maximising(mean, names: parameterNames, start: [0, 0], count: count)
  }
}
