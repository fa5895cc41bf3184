import AnalyticalCRM
import Foundation
import Testing

/// Whether two numbers agree to a relative error.
func agrees(_ a: Double?, _ b: Double, _ error: Double = 1e-9) -> Bool {
  guard let a else { return false }
  return abs(a - b) <= error * max(1e-300, abs(b))
}

@Suite("Statistics of campaigns")
struct StatisticsTests {
  @Test("quantiles and tails are those of scipy 1.17")
  func distributions() {
    #expect(agrees(NormalDistribution.quantile(0.975), 1.959963984540054, 1e-14))
    #expect(agrees(NormalDistribution.quantile(1e-10), -6.361340902404056, 1e-12))
    #expect(agrees(StudentDistribution.quantile(0.975, df: 3.7), 2.8675207071911895, 1e-11))
    #expect(agrees(StudentDistribution.quantile(0.995, df: 1), 63.656741162871526, 1e-11))
    #expect(agrees(StudentDistribution.quantile(0.1, df: 250), -1.2849470554222564, 1e-11))
    #expect(agrees(StudentDistribution.twoSided(2.1, df: 7.3), 0.0722467134248534, 1e-12))
    #expect(agrees(ChiSquareDistribution.upperTail(10.83, df: 1), 0.0009986863791802592, 1e-12))
    #expect(agrees(ChiSquareDistribution.upperTail(2.5, df: 3), 0.4752910833430205, 1e-12))
    #expect(agrees(ChiSquareDistribution.upperTail(150, df: 60), 1.1612157500765441e-09, 1e-11))
    #expect(agrees(ChiSquareDistribution.upperTail(1e-3, df: 2), 0.9995001249791693, 1e-14))
  }

  @Test(
    "intervals of a difference of shares are those that Newcombe published (1998, table II, methods 1 and 10)",
    arguments: [
      (56, 70, 48, 80, 0.0575, 0.3425, 0.0524, 0.3339), (9, 10, 3, 10, 0.2605, 0.9395, 0.1705, 0.8090), (5, 56, 0, 29, 0.0146, 0.1640, -0.0381, 0.1926),
      (10, 10, 0, 10, 1, 1, 0.6075, 1),
    ])
  func newcombe(a: Int, m: Int, b: Int, n: Int, waldLow: Double, waldHigh: Double, low: Double, high: Double) {
    let uplift = ProportionUplift(treated: Proportion(a, of: m), control: Proportion(b, of: n), confidence: 0.95)
    #expect(abs(uplift.wald.lowerBound - waldLow) < 6e-5 && abs(uplift.wald.upperBound - waldHigh) < 6e-5, "\(uplift.wald)")
    #expect(abs(uplift.newcombe.lowerBound - low) < 6e-5 && abs(uplift.newcombe.upperBound - high) < 6e-5, "\(uplift.newcombe)")
  }

  @Test("the test of two shares is the z test with the pooled share; where nobody did anything there is none")
  func zTest() {
    let uplift = ProportionUplift(treated: Proportion(56, of: 70), control: Proportion(48, of: 80), confidence: 0.95)
    #expect(agrees(uplift.z, 2.6501719512585336, 1e-12) && agrees(uplift.p, 0.00804508136819656, 1e-11))
    let nothing = ProportionUplift(treated: Proportion(0, of: 70), control: Proportion(0, of: 80), confidence: 0.95)
    #expect(nothing.z == nil && nothing.p == nil && nothing.difference == 0 && nothing.newcombe.upperBound > 0)
  }

  @Test("Welch's test is that of scipy; groups that do not vary have no test")
  func welch() {
    let difference = WelchDifference(
      treated: Moments(count: 6, mean: 11.458333333333334, variance: 30.610416666666662), control: Moments(count: 4, mean: 8.1875, variance: 0.390625),
      confidence: 0.95)
    #expect(agrees(difference.t, 1.4344391145674347, 1e-12) && agrees(difference.df, 5.190080246278327, 1e-12))
    #expect(agrees(difference.p, 0.2088454524024138, 1e-11))
    #expect(agrees(difference.interval?.lowerBound, -2.526669641261055, 1e-10) && agrees(difference.interval?.upperBound, 9.068336307927723, 1e-10))
    let still = WelchDifference(treated: Moments(count: 3, mean: 2, variance: 0), control: Moments(count: 3, mean: 1, variance: 0), confidence: 0.95)
    #expect(still.difference == 1 && still.p == nil && still.interval == nil)
  }

  @Test("sizes of groups are held against what the division promised")
  func sampleRatio() {
    let halves = SampleRatio(observed: [5100, 4900], shares: [0.5, 0.5])
    #expect(agrees(halves.chiSquare, 4) && agrees(halves.p, 0.04550026389635857, 1e-12) && !halves.isMismatch)
    let three = SampleRatio(observed: [90, 310, 600], shares: [0.1, 0.3, 0.6])
    #expect(agrees(three.chiSquare, 1.3333333333333333) && three.df == 2 && agrees(three.p, 0.5134171190325922, 1e-12))
    #expect(SampleRatio(observed: [5200, 4800], shares: [0.5, 0.5]).isMismatch)
  }

  @Test("Holm's adjustment is that of statsmodels, whatever the order, and never makes a p smaller")
  func holm() {
    #expect(zip(Holm.adjusted([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02]).allSatisfy { agrees($0, $1, 1e-12) })
    #expect(Holm.adjusted([0.7]) == [0.7] && Holm.adjusted([]) == [] && Holm.adjusted([0.9, 0.8]) == [1, 1])
    var random = SystemRandomNumberGenerator()
    for _ in 0..<200 {
      let p = (0..<Int.random(in: 1...8, using: &random)).map { _ in Double.random(in: 0...1, using: &random) }
      let order = p.indices.shuffled()
      let adjusted = Holm.adjusted(p)
      #expect(Holm.adjusted(order.map { p[$0] }) == order.map { adjusted[$0] })
      #expect(zip(p, adjusted).allSatisfy { $0 <= $1 && $1 <= 1 })
    }
  }

  @Test("5 % against 6 % takes 8,155 customers each, who then have the power that was asked for")
  func power() {
    #expect(Power.sampleSize(control: 0.05, treated: 0.06, alpha: 0.05, power: 0.8) == 8155)
    #expect(Power.sampleSize(control: 0.06, treated: 0.05, alpha: 0.05, power: 0.8) == 8155)
    #expect(Power.sampleSize(control: 0.05, treated: 0.05, alpha: 0.05, power: 0.8) == nil)
    #expect(abs(Power.power(control: 0.05, treated: 0.06, alpha: 0.05, size: 8155) - 0.8) < 1e-4)
  }
}

@Suite("Statistics of attribution")
struct AttributionStatisticsTests {
  @Test("what is divided adds up again to the cent, is at most one cent from its exact share, and does not depend on the order")
  func apportionment() throws {
    #expect(Apportionment.divide(100, by: [1, 1, 1]) == [34, 33, 33])
    #expect(Apportionment.divide(-100, by: [1, 1, 1]) == [-33, -33, -34])
    #expect(Apportionment.divide(0, by: [0, 0]) == [0, 0] && Apportionment.divide(5, by: [0, 0]) == nil)
    var random = SystemRandomNumberGenerator()
    for _ in 0..<500 {
      let weights = (0..<Int.random(in: 1...12, using: &random)).map { _ in Double.random(in: 0.001...1_000, using: &random) }
      let total = Int.random(in: -1_000_000_000...1_000_000_000, using: &random)
      let parts = try #require(Apportionment.divide(total, by: weights))
      #expect(parts.reduce(0, +) == total)
      let sum = weights.reduce(0, +)
      #expect(zip(parts, weights).allSatisfy { abs(Double($0) - Double(total) * $1 / sum) <= 1 + 1e-6 })
      let order = weights.indices.shuffled()
      #expect(try #require(Apportionment.divide(total, by: order.map { weights[$0] })).sorted() == parts.sorted())
    }
  }

  @Test("removal effects are those of the example that is usually worked: A→B→C converts, A and B→C do not")
  func markov() {
    let chain = MarkovChain(
      channels: 3,
      counts: [
        (.start, .channel(0), 2), (.start, .channel(1), 1), (.channel(0), .channel(1), 1), (.channel(0), .nothing, 1), (.channel(1), .channel(2), 2),
        (.channel(2), .conversion, 1), (.channel(2), .nothing, 1),
      ])
    #expect(agrees(chain.conversionRate(), 1.0 / 3))
    #expect(zip(chain.removalEffects(), [0.5, 1, 1]).allSatisfy { agrees($0, $1) }, "\(chain.removalEffects())")
  }

  @Test("journeys that come back to a channel, and channels that nobody came to, have removal effects too")
  func loops() {
    let chain = MarkovChain(
      channels: 3, counts: [(.start, .channel(0), 1), (.channel(0), .channel(0), 3), (.channel(0), .conversion, 1), (.channel(0), .nothing, 1)])
    #expect(agrees(chain.conversionRate(), 0.5))
    #expect(chain.removalEffects() == [1, 0, 0])
    #expect(MarkovChain(channels: 1, counts: []).removalEffects() == [0])
  }

  @Test("Shapley's values are the mean of what each channel adds, over all orders, and add up to the whole")
  func shapley() {
    var random = SystemRandomNumberGenerator()
    for _ in 0..<20 {
      let journeys = (0..<8).map { _ in
        (
          channels: Set((0..<Int.random(in: 1...4, using: &random)).map { _ in Int.random(in: 0..<4, using: &random) }),
          revenue: Double.random(in: -10...100, using: &random)
        )
      }
      func worth(_ coalition: Set<Int>) -> Double { journeys.reduce(0) { $0 + ($1.channels.isSubset(of: coalition) ? $1.revenue : 0) } }
      var expected = [Double](repeating: 0, count: 4)
      for order in permutations([0, 1, 2, 3]) {
        var before: Set<Int> = []
        for channel in order {
          expected[channel] += (worth(before.union([channel])) - worth(before)) / 24
          before.insert(channel)
        }
      }
      let values = ShapleyValue.values(channels: 4, journeys: journeys)
      #expect(zip(values, expected).allSatisfy { abs($0 - $1) < 1e-9 })
    }
  }

  private func permutations(_ items: [Int]) -> [[Int]] {
    items.isEmpty ? [[]] : items.flatMap { item in permutations(items.filter { $0 != item }).map { [item] + $0 } }
  }
}

@Suite("Statistics of scoring")
struct ScoringStatisticsTests {
  /// Spector and Mazzeo (1980), as printed in Greene's Econometric Analysis: GPA, TUCE, PSI, and whether the grade improved.
  static let spector: [(Double, Double, Double, Bool)] = [
    (2.66, 20, 0, false), (2.89, 22, 0, false), (3.28, 24, 0, false), (2.92, 12, 0, false), (4.00, 21, 0, true), (2.86, 17, 0, false), (2.76, 17, 0, false),
    (2.87, 21, 0, false), (3.03, 25, 0, false), (3.92, 29, 0, true), (2.63, 20, 0, false), (3.32, 23, 0, false), (3.57, 23, 0, false), (3.26, 25, 0, true),
    (3.53, 26, 0, false), (2.74, 19, 0, false), (2.75, 25, 0, false), (2.83, 19, 0, false), (3.12, 23, 1, false), (3.16, 25, 1, true), (2.06, 22, 1, false),
    (3.62, 28, 1, true), (2.89, 14, 1, false), (3.51, 26, 1, false), (3.54, 24, 1, true), (2.83, 27, 1, true), (3.39, 17, 1, true), (2.67, 24, 1, false),
    (3.65, 21, 1, true), (4.00, 23, 1, true), (3.10, 21, 1, false), (2.39, 19, 1, true),
  ]

  @Test("the fit is the one that Greene prints, to his last digit")
  func published() throws {
    let fit = try LogisticRegression(rows: Self.spector.map { [$0.0, $0.1, $0.2] }, outcomes: Self.spector.map(\.3))
    #expect(abs(fit.intercept - -13.02135) < 1e-5 && abs(fit.interceptError - 4.931) < 1e-3, "\(fit)")
    #expect(zip(fit.coefficients, [2.826113, 0.0951577, 2.378688]).allSatisfy { abs($0 - $1) < 1e-6 }, "\(fit)")
    #expect(zip(fit.errors, [1.262941, 0.1415542, 1.064564]).allSatisfy { abs($0 - $1) < 1e-5 }, "\(fit)")
    #expect(abs(fit.logLikelihood - -12.88963) < 1e-5 && fit.penalty == 0 && fit.findings.isEmpty, "\(fit)")
  }

  @Test("a column that others give exactly, or that never changes, is left out and named")
  func collinear() throws {
    let rows = Self.spector.map { [$0.0, $0.2, 1 - $0.2, 7] }
    let fit = try LogisticRegression(rows: rows, outcomes: Self.spector.map(\.3))
    #expect(Set(fit.findings) == [.init(2, .collinear), .init(3, .constant)])
    let without = try LogisticRegression(rows: Self.spector.map { [$0.0, $0.2] }, outcomes: Self.spector.map(\.3))
    #expect(fit.coefficients[2] == 0 && fit.coefficients[3] == 0 && fit.coefficients[0] == without.coefficients[0])
  }

  @Test("a column that tells the outcomes apart is named, and the fit made finite by a penalty")
  func separated() throws {
    let outcomes = Self.spector.map(\.3)
    // Two cases only have the mark, and both had the outcome.
    var left = 2
    let rows = Self.spector.map { row -> [Double] in
      defer { if row.3, left > 0 { left -= 1 } }
      return [row.0, row.3 && left > 0 ? 1 : 0]
    }
    let fit = try LogisticRegression(rows: rows, outcomes: outcomes)
    #expect(fit.findings == [.init(1, .separated)] && fit.penalty == 1 && fit.coefficients[1] > 0 && fit.coefficients[1] < 5, "\(fit)")
    let perfect = try LogisticRegression(rows: outcomes.map { [$0 ? 1 : 0] }, outcomes: outcomes)
    #expect(perfect.findings == [.init(0, .separated)] && perfect.penalty == 1)
    #expect(throws: LogisticRegression.NotConverged.self) { try LogisticRegression(rows: [[1], [2], [3]], outcomes: [true, true, true]) }
  }

  @Test("cases in another order give the same fit")
  func permutation() throws {
    let cases = Self.spector.shuffled()
    let a = try LogisticRegression(rows: cases.map { [$0.0, $0.1, $0.2] }, outcomes: cases.map(\.3))
    let b = try LogisticRegression(rows: Self.spector.map { [$0.0, $0.1, $0.2] }, outcomes: Self.spector.map(\.3))
    #expect(zip(a.coefficients, b.coefficients).allSatisfy { agrees($0, $1, 1e-9) })
  }

  @Test("AUC with ties, Brier score and deciles are those counted by hand")
  func quality() {
    let quality = ScoreQuality([(0.9, true), (0.8, false), (0.8, true), (0.3, false), (0.1, false)])
    #expect(quality.auc == 5.5 / 6)
    #expect(agrees(quality.brier, (0.01 + 0.64 + 0.04 + 0.09 + 0.01) / 5, 1e-12))
    #expect(quality.deciles.map(\.count) == [1, 1, 1, 1, 1] && quality.deciles[0].observed == 1 && agrees(quality.deciles[0].lift, 2.5))
    #expect(ScoreQuality([(0.5, true)]).auc == nil)
    var random = SystemRandomNumberGenerator()
    let cases = (0..<137).map { _ in (probability: Double.random(in: 0...1, using: &random), happened: Bool.random(using: &random)) }
    let deciles = ScoreQuality(cases).deciles
    #expect(deciles.count == 10 && deciles.reduce(0) { $0 + $1.count } == 137 && deciles.allSatisfy { (13...14).contains($0.count) })
  }
}
