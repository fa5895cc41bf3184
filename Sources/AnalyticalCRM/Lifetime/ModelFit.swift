import Foundation

/// Why a model has no parameters that could be believed.
package enum FitFailure: Error, Hashable {
  /// The likelihood goes on rising as a parameter leaves every plausible value.
  case runaway(parameter: String)
  /// Very different parameters explain the data equally well.
  case ridge(parameter: String)
  /// The search ended on a slope.
  case noMaximum
  /// There is nothing that the model could be fitted to.
  case noData
}

/// Parameters of greatest likelihood, and how well they are known.
package struct ModelFit: Sendable {
  package let parameters: [Double]
  /// Of the logarithm of each parameter.
  package let standardErrors: [Double]
  package let logLikelihood: Double
  package let evaluations: Int

  /// The largest standard error of a parameter's logarithm with which it still counts as known: a factor of e² either way.
  static let largestStandardError = 2.0

  /// Maximises a likelihood over the logarithms of positive parameters within ±7.
  /// - Parameters:
  ///   - names: of the parameters, in order.
  ///   - count: how many observations there are; the function is the mean of −log L over them.
  /// - Throws: `FitFailure`, or what the function throws.
  static func maximising(_ mean: Minimisation.Function, names: [String], start: [Double], count: Double) throws -> ModelFit {
    var search = Minimisation(mean)
    let minimum = try search.run(from: start)
    if let index = minimum.point.firstIndex(where: { abs($0) >= search.bound - 1e-3 }) { throw FitFailure.runaway(parameter: names[index]) }
    guard minimum.isStationary, minimum.value.isFinite else { throw FitFailure.noMaximum }
    let information = try curvature(of: mean, at: minimum.point).map { $0.map { $0 * count } }
    let errors = standardErrors(information)
    if let index = errors.firstIndex(where: { !($0 < largestStandardError) }) { throw FitFailure.ridge(parameter: names[index]) }
    return ModelFit(
      parameters: minimum.point.map(exp), standardErrors: errors, logLikelihood: -minimum.value * count, evaluations: minimum.evaluations)
  }

  /// The Hessian by central differences of the slope, made symmetric.
  private static func curvature(of function: Minimisation.Function, at point: [Double]) throws -> [[Double]] {
    let step = 1e-3
    let rows = try point.indices.map { index in
      var (up, down) = (point, point)
      up[index] += step
      down[index] -= step
      return zip(try function.slope(up).gradient, try function.slope(down).gradient).map { ($0 - $1) / (2 * step) }
    }
    return point.indices.map { row in point.indices.map { (rows[row][$0] + rows[$0][row]) / 2 } }
  }

  /// Roots of the diagonal of the inverse, by Cholesky; infinite where the information is not positive definite.
  private static func standardErrors(_ information: [[Double]]) -> [Double] {
    let size = information.count
    var root = information.map { $0.map { _ in 0.0 } }
    for row in 0..<size {
      for column in 0...row {
        let rest = information[row][column] - (0..<column).reduce(0) { $0 + root[row][$1] * root[column][$1] }
        if row == column {
          guard rest > 0 else { return (0..<size).map { $0 == row ? .infinity : 0 } }
          root[row][row] = rest.squareRoot()
        } else {
          root[row][column] = rest / root[column][column]
        }
      }
    }
    return (0..<size).map { index in
      // The column of the inverse of the root; the variance is its squared length.
      var column = [Double](repeating: 0, count: size)
      for row in index..<size {
        let unit = row == index ? 1.0 : 0
        column[row] = (unit - (index..<row).reduce(0) { $0 + root[row][$1] * column[$1] }) / root[row][row]
      }
      return column.reduce(0) { $0 + $1 * $1 }.squareRoot()
    }
  }
}
