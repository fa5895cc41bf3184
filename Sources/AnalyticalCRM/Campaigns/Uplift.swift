import Foundation

/// How many of a group did something.
package struct Proportion: Sendable {
  package let successes: Int
  /// Above 0.
  package let total: Int

  package init(_ successes: Int, of total: Int) {
    self.successes = successes
    self.total = total
  }

  package var share: Double { Double(successes) / Double(total) }

  /// Wilson's score interval (1927).
  package func wilson(z: Double) -> ClosedRange<Double> {
    let n = Double(total)
    let middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    let half = z / (1 + z * z / n) * (share * (1 - share) / n + z * z / (4 * n * n)).squareRoot()
    return max(0, middle - half)...min(1, middle + half)
  }
}

/// The difference between the shares of two groups that were divided at random.
package struct ProportionUplift: Sendable {
  package let difference: Double
  /// Wald's interval: the normal approximation with the variances of both groups.
  package let wald: ClosedRange<Double>
  /// Newcombe's interval (1998, method 10): from the score intervals of both groups; stays within -1 and 1, and is honest for small groups and shares.
  package let newcombe: ClosedRange<Double>
  /// The test of no difference, with the pooled share; nil when nobody or everybody did it, and nothing is to be tested.
  package let z: Double?
  package let p: Double?

  /// - Parameter confidence: such as 0.95.
  package init(treated: Proportion, control: Proportion, confidence: Double) {
    let quantile = NormalDistribution.quantile(1 - (1 - confidence) / 2)
    let (pt, pc, nt, nc) = (treated.share, control.share, Double(treated.total), Double(control.total))
    difference = pt - pc
    let half = quantile * (pt * (1 - pt) / nt + pc * (1 - pc) / nc).squareRoot()
    wald = (difference - half)...(difference + half)
    let (t, c) = (treated.wilson(z: quantile), control.wilson(z: quantile))
    let below = ((pt - t.lowerBound) * (pt - t.lowerBound) + (c.upperBound - pc) * (c.upperBound - pc)).squareRoot()
    let above = ((t.upperBound - pt) * (t.upperBound - pt) + (pc - c.lowerBound) * (pc - c.lowerBound)).squareRoot()
    newcombe = (difference - below)...(difference + above)
    let pooled = Double(treated.successes + control.successes) / (nt + nc)
    let error = (pooled * (1 - pooled) * (1 / nt + 1 / nc)).squareRoot()
    z = error > 0 ? difference / error : nil
    p = z.map(NormalDistribution.twoSided)
  }
}

/// What a group spent: its size, the mean, and the variance with n - 1 below.
package struct Moments: Sendable {
  package let count: Int
  package let mean: Double
  package let variance: Double

  package init(count: Int, mean: Double, variance: Double) {
    self.count = count
    self.mean = mean
    self.variance = variance
  }
}

/// The difference between two means whose variances need not be equal (Welch 1947).
package struct WelchDifference: Sendable {
  package let difference: Double
  package let standardError: Double
  /// Welch–Satterthwaite; nil when neither group varies.
  package let df: Double?
  package let t: Double?
  package let p: Double?
  package let interval: ClosedRange<Double>?

  /// - Parameters:
  ///   - treated, control: at least two each.
  ///   - confidence: such as 0.95.
  package init(treated: Moments, control: Moments, confidence: Double) {
    difference = treated.mean - control.mean
    let (vt, vc) = (treated.variance / Double(treated.count), control.variance / Double(control.count))
    standardError = (vt + vc).squareRoot()
    guard standardError > 0 else {
      (df, t, p, interval) = (nil, nil, nil, nil)
      return
    }
    let freedom = (vt + vc) * (vt + vc) / (vt * vt / Double(treated.count - 1) + vc * vc / Double(control.count - 1))
    let half = StudentDistribution.quantile(1 - (1 - confidence) / 2, df: freedom) * standardError
    df = freedom
    t = difference / standardError
    p = StudentDistribution.twoSided(difference / standardError, df: freedom)
    interval = (difference - half)...(difference + half)
  }
}

/// Whether groups have the sizes that the division promised. If they do not, something went wrong before the result, and the result means nothing.
package struct SampleRatio: Sendable {
  package let chiSquare: Double
  package let df: Int
  package let p: Double
  /// Below this p a result is withheld: a right division is refused once in a thousand times.
  package static let limit = 0.001

  package var isMismatch: Bool { p < Self.limit }

  /// - Parameters:
  ///   - observed: how many are in each group, two or more groups.
  ///   - shares: what share of all each was to have; above 0, together 1.
  package init(observed: [Int], shares: [Double]) {
    let total = Double(observed.reduce(0, +))
    chiSquare = zip(observed, shares).reduce(0) { sum, pair in
      let expected = total * pair.1
      return expected > 0 ? sum + (Double(pair.0) - expected) * (Double(pair.0) - expected) / expected : sum
    }
    df = observed.count - 1
    p = ChiSquareDistribution.upperTail(chiSquare, df: max(df, 1))
  }
}

/// Holm's step-down adjustment (1979): holds the chance of any false finding among several to what one test would have.
package enum Holm {
  /// p-values made larger, in the order given.
  package static func adjusted(_ p: [Double]) -> [Double] {
    var adjusted = p
    var largest = 0.0
    for (place, index) in p.indices.sorted(by: { (p[$0], $0) < (p[$1], $1) }).enumerated() {
      largest = max(largest, min(1, Double(p.count - place) * p[index]))
      adjusted[index] = largest
    }
    return adjusted
  }
}

/// How many customers it takes to see a difference between two shares.
package enum Power {
  /// Customers in each of two groups: (z_{α/2} + z_β)² (p₁q₁ + p₂q₂) / (p₁ - p₂)², rounded up.
  /// - Parameters:
  ///   - control, treated: the shares without and with the campaign; not equal.
  ///   - alpha: how often a difference is seen where there is none, such as 0.05, on both sides.
  ///   - power: how often it is seen where there is one, such as 0.8.
  package static func sampleSize(control: Double, treated: Double, alpha: Double, power: Double) -> Int? {
    guard control != treated else { return nil }
    let z = NormalDistribution.quantile(1 - alpha / 2) + NormalDistribution.quantile(power)
    let size = (z * z * (control * (1 - control) + treated * (1 - treated)) / ((treated - control) * (treated - control))).rounded(.up)
    return size < 1e15 ? max(Int(size), 1) : nil
  }

  /// The power that groups of a size have.
  package static func power(control: Double, treated: Double, alpha: Double, size: Int) -> Double {
    let error = ((control * (1 - control) + treated * (1 - treated)) / Double(size)).squareRoot()
    guard error > 0 else { return control == treated ? alpha : 1 }
    return NormalDistribution.cumulative(abs(treated - control) / error - NormalDistribution.quantile(1 - alpha / 2))
  }
}
