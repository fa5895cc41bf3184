import Foundation

/// The standard normal distribution.
package enum NormalDistribution {
  /// The share below `z`.
  package static func cumulative(_ z: Double) -> Double { 0.5 * erfc(-z / 2.0.squareRoot()) }

  /// The share further from 0 than `z`, on both sides.
  package static func twoSided(_ z: Double) -> Double { erfc(abs(z) / 2.0.squareRoot()) }

  /// The value below which the share `p` lies (0 < p < 1), to the precision of a double: Acklam's rational approximation and two steps of Halley.
  package static func quantile(_ p: Double) -> Double {
    guard p > 0, p < 1 else { return p <= 0 ? -.infinity : .infinity }
    let a = [-3.969683028665376e+01, 2.209460984245205e+02, -2.759285104469687e+02, 1.383577518672690e+02, -3.066479806614716e+01, 2.506628277459239e+00]
    let b = [-5.447609879822406e+01, 1.615858368580409e+02, -1.556989798598866e+02, 6.680131188771972e+01, -1.328068155288572e+01, 1]
    let c = [-7.784894002430293e-03, -3.223964580411365e-01, -2.400758277161838e+00, -2.549732539343734e+00, 4.374664141464968e+00, 2.938163982698783e+00]
    let d = [7.784695709041462e-03, 3.224671290700398e-01, 2.445134137142996e+00, 3.754408661907416e+00, 1]
    func polynomial(_ coefficients: [Double], _ x: Double) -> Double { coefficients.reduce(0) { $0 * x + $1 } }
    var x: Double
    if p < 0.02425 || p > 1 - 0.02425 {
      let q = (-2 * log(min(p, 1 - p))).squareRoot()
      x = polynomial(c, q) / polynomial(d, q) * (p < 0.5 ? 1 : -1)
    } else {
      let q = p - 0.5
      x = polynomial(a, q * q) * q / polynomial(b, q * q)
    }
    for _ in 0..<2 {
      let error = (cumulative(x) - p) * (2 * Double.pi).squareRoot() * exp(x * x / 2)
      x -= error / (1 + x * error / 2)
    }
    return x
  }
}

/// Student's t distribution.
package enum StudentDistribution {
  /// The share further from 0 than `t`, on both sides.
  /// - Parameter df: degrees of freedom, above 0; need not be whole.
  package static func twoSided(_ t: Double, df: Double) -> Double { IncompleteBeta.regularised(df / (df + t * t), df / 2, 0.5) }

  /// The value below which the share `p` lies (0 < p < 1).
  package static func quantile(_ p: Double, df: Double) -> Double {
    guard p > 0, p < 1 else { return p <= 0 ? -.infinity : .infinity }
    if p == 0.5 { return 0 }
    let tail = 2 * min(p, 1 - p)
    var low = 0.0
    var high = max(2, 2 * abs(NormalDistribution.quantile(p)))
    while twoSided(high, df: df) > tail, high < 1e300 { high *= 2 }
    for _ in 0..<200 {
      let middle = (low + high) / 2
      if middle == low || middle == high { break }
      if twoSided(middle, df: df) > tail { low = middle } else { high = middle }
    }
    return p < 0.5 ? -(low + high) / 2 : (low + high) / 2
  }
}

/// The chi-square distribution.
package enum ChiSquareDistribution {
  /// The share above `x`.
  /// - Parameter df: degrees of freedom, at least 1.
  package static func upperTail(_ x: Double, df: Int) -> Double { IncompleteGamma.upper(Double(df) / 2, x / 2) }
}

/// The regularised incomplete gamma functions: the series below a + 1, Lentz's continued fraction above.
package enum IncompleteGamma {
  /// Q(a, x), the upper one.
  package static func upper(_ a: Double, _ x: Double) -> Double {
    guard x > 0 else { return 1 }
    guard x.isFinite else { return 0 }
    let scale = exp(-x + a * log(x) - lgamma(a))
    if x < a + 1 {
      var term = 1 / a
      var sum = term
      var n = a
      for _ in 0..<10_000 where abs(term) > abs(sum) * 1e-17 {
        n += 1
        term *= x / n
        sum += term
      }
      return max(0, 1 - sum * scale)
    }
    let tiny = 1e-300
    var b = x + 1 - a
    var c = 1 / tiny
    var d = 1 / b
    var h = d
    for i in 1..<10_000 {
      let an = -Double(i) * (Double(i) - a)
      b += 2
      d = an * d + b
      if abs(d) < tiny { d = tiny }
      c = b + an / c
      if abs(c) < tiny { c = tiny }
      d = 1 / d
      h *= d * c
      if abs(d * c - 1) < 1e-16 { break }
    }
    return h * scale
  }
}

/// The regularised incomplete beta function, by Lentz's continued fraction.
package enum IncompleteBeta {
  /// I_x(a, b) for 0 ≤ x ≤ 1.
  package static func regularised(_ x: Double, _ a: Double, _ b: Double) -> Double {
    guard x > 0 else { return 0 }
    guard x < 1 else { return 1 }
    let front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x))
    return x < (a + 1) / (a + b + 2) ? front * fraction(x, a, b) / a : 1 - front * fraction(1 - x, b, a) / b
  }

  private static func fraction(_ x: Double, _ a: Double, _ b: Double) -> Double {
    let tiny = 1e-300
    var c = 1.0
    var d = 1 - (a + b) * x / (a + 1)
    d = 1 / (abs(d) < tiny ? tiny : d)
    var h = d
    for i in 1..<10_000 {
      let m = Double(i)
      for numerator in [m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)), -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))] {
        d = 1 + numerator * d
        d = 1 / (abs(d) < tiny ? tiny : d)
        c = 1 + numerator / c
        if abs(c) < tiny { c = tiny }
        h *= d * c
      }
      if abs(d * c - 1) < 1e-16 { break }
    }
    return h
  }
}
