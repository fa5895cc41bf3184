import Foundation

/// How long something lasted, or is known to have lasted at least.
package struct DurationCount: Sendable {
  package let time: Int
  /// How many ended then.
  package let ended: Int
  /// How many are not known to have lasted longer: censored.
  package let censored: Int

  package init(time: Int, ended: Int, censored: Int) {
    self.time = time
    self.ended = ended
    self.censored = censored
  }
}

/// The curve of survival by Kaplan & Meier (1958), with Greenwood's variance and 95 % intervals on the scale of log(−log S).
package struct KaplanMeier: Sendable {
  package struct Point: Sendable {
    package let time: Int
    /// How many were there just before.
    package let atRisk: Int
    package let ended: Int
    package let censored: Int
    /// The share that lasts longer.
    package let survival: Double
    package let lower: Double
    package let upper: Double
  }

  /// One a time at which something ended or was censored, in their order.
  package let points: [Point]

  /// The 0.975 quantile of the normal distribution.
  private static let quantile = 1.959963984540054

  /// - Parameter counts: each time once, in any order.
  package init(_ counts: [DurationCount]) {
    var atRisk = counts.reduce(0) { $0 + $1.ended + $1.censored }
    var (survival, variance) = (1.0, 0.0)
    points = counts.sorted { $0.time < $1.time }.map { count in
      let (n, d) = (Double(atRisk), Double(count.ended))
      if count.ended > 0 {
        survival *= 1 - d / n
        variance += d / (n * (n - d))
      }
      var (lower, upper) = (survival, survival)
      if survival > 0, survival < 1 {
        let width = Self.quantile * variance.squareRoot() / log(survival)
        (lower, upper) = (pow(survival, exp(-width)), pow(survival, exp(width)))
      }
      defer { atRisk -= count.ended + count.censored }
      return Point(
        time: count.time, atRisk: atRisk, ended: count.ended, censored: count.censored, survival: survival, lower: min(lower, survival),
        upper: max(upper, survival))
    }
  }

  /// The first time at which no more than half are left; nil when more than half last to the end of the observation.
  package var median: Int? {
    // Exactly half comes out of the product a few units of the last place above or below it.
    points.first { $0.survival <= 0.5 + 1e-12 }?.time
  }
}

/// Whether groups last equally long: the log-rank test (Mantel 1966; Peto & Peto 1972).
package struct LogRank: Sendable {
  package let statistic: Double
  package let degrees: Int
  package let probability: Double

  /// - Parameter groups: at least two.
  /// - Returns: nil where nothing ended, or where only one group was ever there while something did.
  package init?(_ groups: [[DurationCount]]) {
    let size = groups.count
    var events: [Int: [Int]] = [:]
    for (place, group) in groups.enumerated() {
      for count in group where count.ended > 0 { events[count.time, default: Array(repeating: 0, count: size)][place] += count.ended }
    }
    var leaving = groups.map { $0.sorted { $0.time > $1.time } }
    var atRisk = groups.map { $0.reduce(0) { $0 + $1.ended + $1.censored } }
    var excess = [Double](repeating: 0, count: size)
    var covariance = Array(repeating: [Double](repeating: 0, count: size), count: size)
    for time in events.keys.sorted() {
      for place in 0..<size {
        while let count = leaving[place].last, count.time < time {
          atRisk[place] -= count.ended + count.censored
          leaving[place].removeLast()
        }
      }
      let ended = events[time] ?? []
      let (n, d) = (Double(atRisk.reduce(0, +)), Double(ended.reduce(0, +)))
      for place in 0..<size {
        let share = Double(atRisk[place]) / n
        excess[place] += Double(ended[place]) - d * share
        guard n > 1 else { continue }
        for other in 0..<size {
          covariance[place][other] += d * (n - d) / (n - 1) * share * ((place == other ? 1 : 0) - Double(atRisk[other]) / n)
        }
      }
    }
    // The excesses sum to zero: the last group says nothing new.
    guard size > 1, let solution = Self.solve(covariance.dropLast().map { Array($0.dropLast()) }, Array(excess.dropLast())) else { return nil }
    statistic = zip(solution, excess).reduce(0) { $0 + $1.0 * $1.1 }
    degrees = size - 1
    probability = SpecialFunctions.chiSquareTail(statistic, degrees: degrees)
  }

  /// Solves a system of equations by elimination; nil where it has no one solution.
  private static func solve(_ matrix: [[Double]], _ right: [Double]) -> [Double]? {
    let size = right.count
    var rows = zip(matrix, right).map { $0 + [$1] }
    for column in 0..<size {
      guard let pivot = (column..<size).max(by: { abs(rows[$0][column]) < abs(rows[$1][column]) }), abs(rows[pivot][column]) > 1e-12 else { return nil }
      rows.swapAt(column, pivot)
      for row in 0..<size where row != column {
        let factor = rows[row][column] / rows[column][column]
        for place in column...size { rows[row][place] -= factor * rows[column][place] }
      }
    }
    return (0..<size).map { rows[$0][size] / rows[$0][$0] }
  }
}
