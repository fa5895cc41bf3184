import Foundation
import Testing

@testable import AnalyticalCRM

/// Weeks in remission of 42 children with leukaemia (Freireich et al. 1963), the standard example of the field: those given 6-mercaptopurine and those given a placebo.
private enum Remission {
  static let treated = counts(ended: [6, 6, 6, 7, 10, 13, 16, 22, 23], censored: [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35])
  static let placebo = counts(ended: [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23], censored: [])

  static func counts(ended: [Int], censored: [Int]) -> [DurationCount] {
    Set(ended + censored).map { time in DurationCount(time: time, ended: ended.count { $0 == time }, censored: censored.count { $0 == time }) }
  }
}

@Suite("Models of survival")
struct SurvivalModelTests {
  @Test("Kaplan-Meier gives the published curve of the remission data with its intervals")
  func kaplanMeier() throws {
    let curve = KaplanMeier(Remission.treated)
    let expected = [
      6: (0.857143, 0.619718, 0.951552), 7: (0.806723, 0.563147, 0.922809), 13: (0.690196, 0.431610, 0.849066), 23: (0.448179, 0.188052, 0.680143),
    ]
    for (time, (survival, lower, upper)) in expected {
      let point = try #require(curve.points.first { $0.time == time })
      #expect(abs(point.survival - survival) < 1e-6 && abs(point.lower - lower) < 1e-6 && abs(point.upper - upper) < 1e-6, "\(point)")
    }
    #expect(curve.median == 23 && KaplanMeier(Remission.placebo).median == 8)
    #expect(curve.points.first { $0.time == 6 }?.atRisk == 21 && curve.points.first { $0.time == 10 }?.atRisk == 15)
    #expect(KaplanMeier(Remission.placebo).points.last?.survival == 0)
  }

  @Test("the median is where exactly half is left, whatever the last place of the product says")
  func medianOfHalf() {
    // 8/10 · 7/8 · 5/7 is one half, and comes out as 0.5000000000000001.
    let curve = KaplanMeier([
      .init(time: 1, ended: 2, censored: 0), .init(time: 2, ended: 1, censored: 0), .init(time: 3, ended: 2, censored: 2),
      .init(time: 9, ended: 3, censored: 0),
    ])
    #expect(curve.points[2].survival > 0.5 && curve.median == 3)
  }

  @Test("the log-rank test of the remission data is as published, with three groups as well")
  func logRank() throws {
    let two = try #require(LogRank([Remission.treated, Remission.placebo]))
    #expect(abs(two.statistic - 16.792940989) < 1e-6 && deviation(two.probability, from: 4.168809e-5) < 1e-5 && two.degrees == 1)
    let third = Remission.counts(ended: [3, 20, 30], censored: [9, 40])
    let three = try #require(LogRank([Remission.treated, Remission.placebo, third]))
    #expect(abs(three.statistic - 19.525802178) < 1e-6 && deviation(three.probability, from: 5.754743e-5) < 1e-5 && three.degrees == 2)
    let other = try #require(LogRank([third, Remission.placebo, Remission.treated]))
    #expect(deviation(other.statistic, from: three.statistic) < 1e-12, "the order of groups does not matter")
    #expect(LogRank([Remission.treated]) == nil)
    #expect(LogRank([[.init(time: 3, ended: 0, censored: 5)], [.init(time: 4, ended: 0, censored: 5)]]) == nil)
  }

  @Test("a curve that nothing ends, and one that ends at once, have intervals without width")
  func extremes() {
    let whole = KaplanMeier([.init(time: 10, ended: 0, censored: 4)])
    #expect(whole.points.map(\.survival) == [1] && whole.points.map(\.lower) == [1] && whole.median == nil)
    let gone = KaplanMeier([.init(time: 0, ended: 4, censored: 0)])
    #expect(gone.points.map(\.survival) == [0] && gone.points.map(\.upper) == [0] && gone.median == 0)
    #expect(KaplanMeier([]).points.isEmpty)
  }

  /// Contracts that are left after each year.
  private func terms(_ left: [Int]) -> [RenewalModel.Term] {
    zip(left, left.dropFirst()).enumerated().map { RenewalModel.Term(number: $0 + 1, ended: $1.0 - $1.1, running: 0) }
      + [RenewalModel.Term(number: left.count, ended: 0, running: left[left.count - 1])]
  }

  @Test("sBG finds the published parameters of both segments of Fader & Hardie 2007")
  func renewal() throws {
    let regular = try RenewalModel.fit(terms([1000, 631, 468, 382, 326, 289, 262, 241]))
    let high = try RenewalModel.fit(terms([1000, 869, 743, 653, 593, 551, 517, 491]))
    #expect(abs(regular.parameters[0] - 0.704) < 0.001 && abs(regular.parameters[1] - 1.182) < 0.001, "\(regular.parameters)")
    #expect(abs(high.parameters[0] - 0.668) < 0.001 && abs(high.parameters[1] - 3.806) < 0.002, "\(high.parameters)")
    #expect(abs(high.logLikelihood + 1611.16) < 0.01 && abs(regular.logLikelihood + 1680.27) < 0.01, "\(high.logLikelihood) \(regular.logLikelihood)")
    let model = RenewalModel(parameters: regular.parameters)
    #expect(abs(model.retention(term: 1) - 1.182 / (0.704 + 1.182)) < 0.001)
    #expect(deviation(model.survival(terms: 3), from: model.retention(term: 1) * model.retention(term: 2) * model.retention(term: 3)) < 1e-12)
    #expect(throws: FitFailure.noData) { try RenewalModel.fit([.init(number: 1, ended: 0, running: 9)]) }
  }
}
