import Foundation

/// Why a column took no part in a fit, or cannot be trusted to have a coefficient of its own.
package struct ColumnFinding: Sendable, Hashable {
  package enum Kind: String, Sendable {
    /// The same value everywhere: it says nothing. Left out.
    case constant
    /// Follows exactly from other columns. Left out.
    case collinear
    /// One of its values, or a side of a threshold, knows one outcome only: without a penalty its coefficient would be infinite.
    case separated
  }

  package let column: Int
  package let kind: Kind

  package init(_ column: Int, _ kind: Kind) {
    self.column = column
    self.kind = kind
  }
}

/// p = 1 / (1 + e^-(b₀ + b·x)), by maximum likelihood (iteratively reweighted least squares); with a ridge penalty where that has no finite answer.
package struct LogisticRegression: Sendable {
  package let intercept: Double
  /// One a column; 0 for those left out.
  package let coefficients: [Double]
  /// Of the intercept and of each column; 0 for those left out. With a penalty they are those of the penalised fit.
  package let interceptError: Double
  package let errors: [Double]
  package let logLikelihood: Double
  package let iterations: Int
  /// What half the sum of squared coefficients was weighed with; 0 for plain maximum likelihood.
  package let penalty: Double
  package let findings: [ColumnFinding]

  /// It did not converge even with a penalty.
  package struct NotConverged: Error {}

  /// - Parameters:
  ///   - rows: the values of each column, one array a case; all of the same length.
  ///   - outcomes: whether it happened, one a case.
  ///   - ridge: the penalty used when plain maximum likelihood has no finite answer.
  package init(rows: [[Double]], outcomes: [Bool], ridge: Double = 1) throws(NotConverged) {
    let columns = rows.first?.count ?? 0
    var findings = Self.redundant(rows, columns)
    let leftOut = Set(findings.map(\.column))
    let kept = (0..<columns).filter { !leftOut.contains($0) }
    findings += Self.separated(rows, outcomes, kept)
    let design = rows.map { row in [1] + kept.map { row[$0] } }
    let plain = findings.contains { $0.kind == .separated } ? nil : Self.fit(design, outcomes, penalty: 0)
    guard let fit = plain ?? Self.fit(design, outcomes, penalty: ridge) else { throw NotConverged() }
    var coefficients = [Double](repeating: 0, count: columns)
    var errors = coefficients
    for (place, column) in kept.enumerated() {
      coefficients[column] = fit.beta[place + 1]
      errors[column] = fit.errors[place + 1]
    }
    intercept = fit.beta[0]
    interceptError = fit.errors[0]
    self.coefficients = coefficients
    self.errors = errors
    logLikelihood = fit.logLikelihood
    iterations = fit.iterations
    penalty = plain == nil ? ridge : 0
    self.findings = findings
  }

  /// How likely it is for a case.
  package func probability(_ row: [Double]) -> Double { Self.logistic(intercept + zip(coefficients, row).reduce(0) { $0 + $1.0 * $1.1 }) }

  private static func logistic(_ x: Double) -> Double { x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x)) }

  /// Columns that are constant, or that the columns before them give exactly (Gram–Schmidt on the centred columns).
  private static func redundant(_ rows: [[Double]], _ columns: Int) -> [ColumnFinding] {
    var findings: [ColumnFinding] = []
    var basis: [[Double]] = []
    for column in 0..<columns {
      let values = rows.map { $0[column] }
      let mean = values.reduce(0, +) / Double(max(values.count, 1))
      var rest = values.map { $0 - mean }
      let size = dot(rest, rest)
      if size <= 1e-18 * Double(values.count) * max(1, mean * mean) {
        findings.append(.init(column, .constant))
        continue
      }
      for _ in 0..<2 {
        for vector in basis {
          let part = dot(rest, vector)
          for index in rest.indices { rest[index] -= part * vector[index] }
        }
      }
      let left = dot(rest, rest)
      if left <= 1e-10 * size {
        findings.append(.init(column, .collinear))
      } else {
        let length = left.squareRoot()
        basis.append(rest.map { $0 / length })
      }
    }
    return findings
  }

  private static func dot(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }

  /// Columns that tell outcomes apart without fail: above or below some value there is one outcome only, and that value divides the cases
  /// (of a column with two values: one of them knows one outcome only).
  private static func separated(_ rows: [[Double]], _ outcomes: [Bool], _ columns: [Int]) -> [ColumnFinding] {
    columns.compactMap { column in
      var range: [Bool: (low: Double, high: Double)] = [:]
      for (row, outcome) in zip(rows, outcomes) {
        let value = row[column]
        let known = range[outcome] ?? (value, value)
        range[outcome] = (min(known.low, value), max(known.high, value))
      }
      guard let yes = range[true], let no = range[false] else { return ColumnFinding(column, .separated) }
      let twoValued = Set(rows.lazy.map { $0[column] }.prefix(10_000)).count == 2
      let apart = yes.high <= no.low || no.high <= yes.low
      return apart || (twoValued && (yes.low == yes.high || no.low == no.high)) ? ColumnFinding(column, .separated) : nil
    }
  }

  private struct Fit {
    let beta, errors: [Double]
    let logLikelihood: Double
    let iterations: Int
  }

  /// - Returns: nil if it does not converge within 50 steps, runs away, or has no unique answer.
  private static func fit(_ design: [[Double]], _ outcomes: [Bool], penalty: Double) -> Fit? {
    let size = design.first?.count ?? 1
    var beta = [Double](repeating: 0, count: size)
    var last = -Double.infinity
    for iteration in 1...50 {
      var gradient = [Double](repeating: 0, count: size)
      var information = [[Double]](repeating: gradient, count: size)
      for (row, outcome) in zip(design, outcomes) {
        let p = logistic(dot(row, beta))
        let weight = max(p * (1 - p), 1e-12)
        for i in 0..<size {
          gradient[i] += row[i] * ((outcome ? 1 : 0) - p)
          for j in 0...i { information[i][j] += weight * row[i] * row[j] }
        }
      }
      // The intercept is not penalised.
      for i in 1..<max(size, 1) {
        gradient[i] -= penalty * beta[i]
        information[i][i] += penalty
      }
      guard let factor = cholesky(information) else { return nil }
      let step = solve(factor, gradient)
      var scale = 1.0
      var next = beta
      var value = last
      repeat {
        next = zip(beta, step).map { $0 + scale * $1 }
        value = objective(design, outcomes, next, penalty)
        scale /= 2
      } while value < last && scale > 1e-6
      guard value.isFinite, next.allSatisfy({ abs($0) < 1e6 }) else { return nil }
      beta = next
      if abs(value - last) <= 1e-12 * (abs(value) + 1), step.allSatisfy({ abs($0) < 1e-8 }) {
        let errors = (0..<size).map { i in
          var unit = [Double](repeating: 0, count: size)
          unit[i] = 1
          return solve(factor, unit)[i].squareRoot()
        }
        // Everything told apart without fail: coefficients would go on growing.
        guard penalty > 0 || zip(design, outcomes).contains(where: { abs(logistic(dot($0, beta)) - ($1 ? 1 : 0)) > 1e-6 }) else { return nil }
        return Fit(beta: beta, errors: errors, logLikelihood: objective(design, outcomes, beta, 0), iterations: iteration)
      }
      last = value
    }
    return nil
  }

  private static func objective(_ design: [[Double]], _ outcomes: [Bool], _ beta: [Double], _ penalty: Double) -> Double {
    var sum = 0.0
    for (row, outcome) in zip(design, outcomes) {
      let x = dot(row, beta) * (outcome ? 1 : -1)
      sum -= x > 0 ? log1p(exp(-x)) : log1p(exp(x)) - x
    }
    return sum - penalty / 2 * beta.dropFirst().reduce(0) { $0 + $1 * $1 }
  }

  /// The lower triangle L of a symmetric matrix, whose lower triangle is given; nil if it is not positive definite.
  private static func cholesky(_ matrix: [[Double]]) -> [[Double]]? {
    var l = matrix
    for i in matrix.indices {
      for j in 0...i {
        var sum = matrix[i][j]
        for k in 0..<j { sum -= l[i][k] * l[j][k] }
        if i == j {
          guard sum > 1e-14 * max(1, matrix[i][i]) else { return nil }
          l[i][i] = sum.squareRoot()
        } else {
          l[i][j] = sum / l[j][j]
        }
      }
    }
    return l
  }

  private static func solve(_ l: [[Double]], _ right: [Double]) -> [Double] {
    var x = right
    for i in x.indices {
      for k in 0..<i { x[i] -= l[i][k] * x[k] }
      x[i] /= l[i][i]
    }
    for i in x.indices.reversed() {
      for k in (i + 1)..<max(x.count, i + 1) { x[i] -= l[k][i] * x[k] }
      x[i] /= l[i][i]
    }
    return x
  }
}
