import Foundation

/// BG/NBD (Fader, Hardie & Lee 2005): purchases at a rate from Gamma(r, alpha), and after each repeat purchase an end with a probability from Beta(a, b).
package struct BetaGeometricModel: PurchaseModel {
  package static let name = "bg_nbd"
  package static let parameterNames = ["r", "alpha", "a", "b"]

  let r, alpha, a, b: Double

  package var parameters: [Double] { [r, alpha, a, b] }

  package init(parameters: [Double]) { (r, alpha, a, b) = (parameters[0], parameters[1], parameters[2], parameters[3]) }

  package func logLikelihood(of histories: [PurchaseHistory]) -> Double {
    typealias F = SpecialFunctions
    let common = r * log(alpha) - F.logGamma(r) + F.logGamma(a + b) - F.logGamma(b)
    var gammas = ByFrequency<(front: Double, dead: Double)>()
    var sum = 0.0
    for history in histories {
      let x = Double(history.frequency)
      let part = gammas.value(of: history.frequency) {
        (common + F.logGamma(r + x) + F.logGamma(b + x) - F.logGamma(a + b + x), log(a) - log(b + x - 1))
      }
      var likelihood = -(r + x) * log(alpha + history.age)
      if history.frequency > 0 { likelihood = F.logSumExp(likelihood, part.dead - (r + x) * log(alpha + history.recency)) }
      sum += Double(history.customers) * (part.front + likelihood)
    }
    return sum
  }

  package static func objective(_ histories: [PurchaseHistory], checkpoint: @escaping () throws -> Void) -> Minimisation.Function {
    let likelihood = BetaGeometricLikelihood(histories)
    return Minimisation.Function(slope: { point in
      try checkpoint()
      let (value, gradient) = likelihood.slope(BetaGeometricModel(parameters: point.map(exp)))
      return (-value / likelihood.customers, gradient.map { -$0 / likelihood.customers })
    })
  }

  package func probabilityAlive(_ history: PurchaseHistory) -> Double {
    guard history.frequency > 0 else { return 1 }
    let x = Double(history.frequency)
    return 1 / (1 + exp(log(a) - log(b + x - 1) + (r + x) * log((alpha + history.age) / (alpha + history.recency))))
  }

  package func expectedPurchases(within time: Double, after history: PurchaseHistory) -> Double {
    guard time > 0 else { return 0 }
    let x = Double(history.frequency)
    // The formula has removable holes at a = 1 and a + b + x = 1; a nearby value differs by less than 1e-5 of the result.
    var a = abs(self.a - 1) < 1e-6 ? 1 + 1e-6 : self.a
    if abs(a + b + x - 1) < 1e-9 { a += 1e-7 }
    let z = time / (alpha + history.age + time)
    // ((α+T)/(α+T+t))^(r+x) ₂F₁(r+x, b+x; a+b+x−1; z) by Euler's transformation, in which the large powers cancel.
    let left = pow(1 - z, a - 1) * SpecialFunctions.series(a + b - 1 - r, a - 1, a + b + x - 1, z)
    return (a + b + x - 1) / (a - 1) * (1 - left) * probabilityAlive(history)
  }
}

/// Values that depend on the frequency alone, computed once each: many customers have bought equally often.
struct ByFrequency<Value> {
  private var values: [Value?] = []

  mutating func value(of frequency: Int, _ compute: () -> Value) -> Value {
    if frequency < values.count, let value = values[frequency] { return value }
    let value = compute()
    // Whoever bought tens of thousands of times is alone in that.
    guard frequency < 10_000 else { return value }
    if frequency >= values.count { values += Array(repeating: nil, count: frequency - values.count + 1) }
    values[frequency] = value
    return value
  }
}
