import Foundation
import Testing

@testable import AnalyticalCRM

@Suite("Models of lifetime")
struct LifetimeModelTests {
  private static let history = PurchaseHistory(frequency: 2, recency: 30.43, age: 38.86)

  @Test("BG/NBD finds the published parameters of CDNOW, and forecasts as the published implementation does")
  func betaGeometric() throws {
    let fit = try BetaGeometricModel.fit(CDNOW.histories)
    for (found, published) in zip(fit.parameters, [0.2425929, 4.4135315, 0.7928860, 2.4257524]) { #expect(deviation(found, from: published) < 1e-3) }
    for (found, published) in zip(fit.parameters, [0.243, 4.414, 0.793, 2.426]) { #expect(abs(found - published) < 0.001) }
    #expect(abs(fit.logLikelihood + 9582.43) < 0.01, "\(fit.logLikelihood)")
    let model = BetaGeometricModel(parameters: fit.parameters)
    #expect(abs(model.probabilityAlive(Self.history) - 0.72660914) < 1e-4)
    #expect(abs(model.expectedPurchases(within: 39, after: Self.history) - 1.2259104) < 1e-3)
    #expect(abs(model.expectedPurchases(within: 39) - 1.1950162) < 1e-3)
    #expect(model.probabilityAlive(PurchaseHistory(frequency: 0, recency: 0, age: 30)) == 1)
  }

  @Test("Pareto/NBD is exact where alpha and beta lie far apart, and takes no longer there")
  func paretoFarApart() {
    // Integrated numerically with 30 digits (mpmath): P(alive) and ln L.
    let cases: [(parameters: [Double], history: PurchaseHistory, alive: Double, likelihood: Double)] = [
      ([0.5, 0.02, 1.2, 60], PurchaseHistory(frequency: 3, recency: 0.4, age: 9), 0.005588834965936803, -4.006187915901621),
      ([2.5, 40, 0.3, 0.01], PurchaseHistory(frequency: 0, recency: 0, age: 5), 0.12247329196671432, -0.059577121936693365),
      ([1.1, 0.001, 0.7, 900], PurchaseHistory(frequency: 120, recency: 9.5, age: 10), 0.9706135431959463, 171.90986420719918),
    ]
    for (parameters, history, alive, likelihood) in cases {
      let model = ParetoModel(parameters: parameters)
      #expect(deviation(model.probabilityAlive(history), from: alive) < 1e-10, "\(parameters)")
      #expect(deviation(model.logLikelihood(of: [history]), from: likelihood) < 1e-10, "\(parameters)")
    }
  }

  @Test("Pareto/NBD finds the published parameters of CDNOW, and forecasts as the published implementation does")
  func pareto() throws {
    var groups: [PurchaseHistory: Int] = [:]
    for history in CDNOW.histories { groups[history, default: 0] += 1 }
    let fit = try ParetoModel.fit(groups.map { PurchaseHistory(frequency: $0.key.frequency, recency: $0.key.recency, age: $0.key.age, customers: $0.value) })
    for (found, published) in zip(fit.parameters, [0.5533, 10.578, 0.6062, 11.668]) { #expect(deviation(found, from: published) < 1e-3, "\(fit.parameters)") }
    #expect(abs(fit.logLikelihood + 9594.98) < 0.01, "\(fit.logLikelihood)")
    let model = ParetoModel(parameters: fit.parameters)
    #expect(abs(model.probabilityAlive(Self.history) - 0.8691241) < 1e-4)
    #expect(abs(model.expectedPurchases(within: 39, after: Self.history) - 1.4551351) < 1e-3)
  }

  @Test("Gamma-Gamma finds the published parameters of CDNOW")
  func gammaGamma() throws {
    let fit = try GammaGammaModel.fit(CDNOW.spending)
    for (found, published) in zip(fit.parameters, [6.2488, 3.74459, 15.44775]) { #expect(deviation(found, from: published) < 1e-3, "\(fit.parameters)") }
    #expect(abs(fit.logLikelihood + 4055.92) < 0.01)
    let model = GammaGammaModel(parameters: fit.parameters)
    #expect(deviation(try #require(model.expectedValue(frequency: 2, mean: 30)), from: 30.931117) < 1e-3)
  }

  @Test("neither the order of customers, nor grouping equal ones, nor the unit of time changes a model")
  func invariance() throws {
    let fit = try BetaGeometricModel.fit(CDNOW.histories)
    var groups: [PurchaseHistory: Int] = [:]
    for history in CDNOW.histories { groups[history, default: 0] += 1 }
    let days = groups.map { PurchaseHistory(frequency: $0.key.frequency, recency: $0.key.recency * 7, age: $0.key.age * 7, customers: $0.value) }
    let other = try BetaGeometricModel.fit(days.shuffled())
    for (index, scale) in [1.0, 7, 1, 1].enumerated() { #expect(deviation(other.parameters[index], from: fit.parameters[index] * scale) < 1e-5) }
    let (inWeeks, inDays) = (BetaGeometricModel(parameters: fit.parameters), BetaGeometricModel(parameters: other.parameters))
    let history = PurchaseHistory(frequency: 2, recency: 213.01, age: 272.02)
    #expect(deviation(inDays.expectedPurchases(within: 273, after: history), from: inWeeks.expectedPurchases(within: 39, after: Self.history)) < 1e-5)
  }

  @Test("the slope of each likelihood is what its differences say")
  func slopes() throws {
    let histories = Array(CDNOW.histories.prefix(300))
    let point = [-0.4, 0.9, 0.3, 0.8]
    let slope = BetaGeometricLikelihood(histories).slope(BetaGeometricModel(parameters: point.map(exp)))
    #expect(deviation(slope.value, from: BetaGeometricModel(parameters: point.map(exp)).logLikelihood(of: histories)) < 1e-12)
    for index in point.indices {
      var (up, down) = (point, point)
      up[index] += 1e-5
      down[index] -= 1e-5
      let difference =
        (BetaGeometricModel(parameters: up.map(exp)).logLikelihood(of: histories) - BetaGeometricModel(parameters: down.map(exp)).logLikelihood(of: histories))
        / 2e-5
      #expect(deviation(slope.gradient[index], from: difference) < 1e-5)
    }
  }

  @Test("a population in which nobody stops has no believable rate of stopping, and the fit says so")
  func ridge() throws {
    // Everybody bought until the last day.
    let histories = (1...200).map { PurchaseHistory(frequency: $0 % 9 + 1, recency: Double(50 + $0 % 40), age: Double(50 + $0 % 40)) }
    #expect(throws: FitFailure.self) { try BetaGeometricModel.fit(histories) }
  }

  @Test("without a repeat purchase, or without time, there is nothing to fit")
  func nothing() {
    #expect(throws: FitFailure.noData) { try BetaGeometricModel.fit((1...50).map { PurchaseHistory(frequency: 0, recency: 0, age: Double($0)) }) }
    #expect(throws: FitFailure.noData) { try BetaGeometricModel.fit([]) }
    #expect(throws: FitFailure.noData) { try BetaGeometricModel.fit([PurchaseHistory(frequency: 3, recency: 0, age: 0)]) }
    #expect(throws: FitFailure.noData) { try GammaGammaModel.fit([.init(frequency: 2, means: [10])]) }
  }

  @Test("the special functions agree with published tables")
  func specialFunctions() {
    #expect(abs(SpecialFunctions.digamma(0.3) + 3.5025242222001327) < 1e-13)
    #expect(abs(SpecialFunctions.digamma(1) + 0.5772156649015329) < 1e-13)
    #expect(deviation(SpecialFunctions.hypergeometric(2.3, 4.1, 3.3, 0.97), from: 39463.976736194585) < 1e-11)
    #expect(deviation(SpecialFunctions.hypergeometric(1, 1, 2, 0.5), from: 1.3862943611198906) < 1e-14)
    #expect(deviation(SpecialFunctions.chiSquareTail(7.5, degrees: 3), from: 0.0575584519726364) < 1e-12)
    #expect(deviation(SpecialFunctions.chiSquareTail(1.2, degrees: 4), from: 0.878098618) < 1e-8)
  }

  @Test("a model forgets its work when it is cancelled")
  func cancelled() {
    #expect(throws: CancellationError.self) { try BetaGeometricModel.fit(CDNOW.histories) { throw CancellationError() } }
  }
}
