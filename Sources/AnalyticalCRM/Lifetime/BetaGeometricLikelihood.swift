import Foundation

/// The likelihood of BG/NBD with its slope, for one set of customers and many parameters. Frequencies and times are few beside the customers: what depends on one of them
/// alone is computed once each.
struct BetaGeometricLikelihood {
  private struct Row {
    /// Places in `frequencies` and `times`.
    let frequency, age, recency: Int
    let customers: Double
  }

  private struct Part {
    let front, dead, power, byR, byA, byB, further: Double
  }

  private let rows: [Row]
  private let frequencies: [Int]
  private let times: [Double]
  let customers: Double

  init(_ histories: [PurchaseHistory]) {
    var (frequencies, times): ([Int], [Double]) = ([], [])
    var (frequencyPlaces, timePlaces): ([Int: Int], [Double: Int]) = ([:], [:])
    func place<Value: Hashable>(_ value: Value, _ places: inout [Value: Int], _ values: inout [Value]) -> Int {
      if let place = places[value] { return place }
      places[value] = values.count
      values.append(value)
      return values.count - 1
    }
    rows = histories.map { history in
      Row(
        frequency: place(history.frequency, &frequencyPlaces, &frequencies), age: place(history.age, &timePlaces, &times),
        recency: place(history.recency, &timePlaces, &times), customers: Double(history.customers))
    }
    self.frequencies = frequencies
    self.times = times
    customers = Double(histories.reduce(0) { $0 + $1.customers })
  }

  /// ln L and its derivatives by the logarithms of the parameters.
  func slope(_ model: BetaGeometricModel) -> (value: Double, gradient: [Double]) {
    let (r, alpha, a, b) = (model.r, model.alpha, model.a, model.b)
    let parts = parts(model)
    let logs = times.map { log(alpha + $0) }
    let inverses = times.map { 1 / (alpha + $0) }
    var (sum, sumR, sumAlpha, sumA, sumB) = (0.0, 0.0, 0.0, 0.0, 0.0)
    for row in rows {
      let part = parts[row.frequency]
      let (logAge, logRecency) = (logs[row.age], logs[row.recency])
      let alive = -part.power * logAge
      // ln of the likelihood of having stopped over that of being alive; nobody stops before a repeat purchase.
      let ratio = part.dead + part.power * (logAge - logRecency)
      let odds = exp(-abs(ratio))
      let share = ratio > 0 ? 1 / (1 + odds) : odds / (1 + odds)
      let weight = row.customers
      sum += weight * (part.front + alive + max(ratio, 0) + log1p(odds))
      sumR += weight * (part.byR - (1 - share) * logAge - share * logRecency)
      sumAlpha += weight * (r / alpha - part.power * ((1 - share) * inverses[row.age] + share * inverses[row.recency]))
      sumA += weight * (part.byA + share / a)
      sumB += weight * (part.byB - share * part.further)
    }
    return (sum, [sumR * r, sumAlpha * alpha, sumA * a, sumB * b])
  }

  private func parts(_ model: BetaGeometricModel) -> [Part] {
    typealias F = SpecialFunctions
    let (r, alpha, a, b) = (model.r, model.alpha, model.a, model.b)
    let common = r * log(alpha) - F.logGamma(r) + F.logGamma(a + b) - F.logGamma(b)
    let (byR, byA, byB) = (log(alpha) - F.digamma(r), F.digamma(a + b), F.digamma(a + b) - F.digamma(b))
    return frequencies.map { frequency in
      let x = Double(frequency)
      let all = F.digamma(a + b + x)
      return Part(
        front: common + F.logGamma(r + x) + F.logGamma(b + x) - F.logGamma(a + b + x), dead: frequency > 0 ? log(a) - log(b + x - 1) : -.infinity, power: r + x,
        byR: byR + F.digamma(r + x), byA: byA - all, byB: byB + F.digamma(b + x) - all, further: frequency > 0 ? 1 / (b + x - 1) : 0)
    }
  }
}
