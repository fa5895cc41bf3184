import Foundation

/// The functions of the gamma family that the likelihoods need. `lgamma` itself is the C library's.
package enum SpecialFunctions {
  /// ln Γ(x) for x > 0.
  package static func logGamma(_ x: Double) -> Double { lgamma(x).0 }

  /// ψ(x), the derivative of ln Γ, for x > 0: the recurrence up to 10, then the asymptotic series. Exact to about 1e-14.
  package static func digamma(_ x: Double) -> Double {
    var x = x
    var shift = 0.0
    while x < 10 {
      shift -= 1 / x
      x += 1
    }
    let square = 1 / (x * x)
    let series =
      square * (1.0 / 12 - square * (1.0 / 120 - square * (1.0 / 252 - square * (1.0 / 240 - square * (1.0 / 132 - square * 691.0 / 32760)))))
    return shift + log(x) - 0.5 / x - series
  }

  /// ₂F₁(a, b; c; z) for 0 ≤ z < 1 by its series, after Euler's transformation (1−z)^(c−a−b) ₂F₁(c−a, c−b; c; z) where that converges faster.
  package static func hypergeometric(_ a: Double, _ b: Double, _ c: Double, _ z: Double) -> Double {
    if z > 0.5, c - a - b < 0 { return pow(1 - z, c - a - b) * series(c - a, c - b, c, z) }
    return series(a, b, c, z)
  }

  /// The series of ₂F₁ itself. Its terms shrink at least like zⁿ once n is past the parameters.
  static func series(_ a: Double, _ b: Double, _ c: Double, _ z: Double) -> Double {
    var sum = 1.0
    var term = 1.0
    var n = 0.0
    while n < 200_000 {
      let factor = (a + n) * (b + n) / ((c + n) * (n + 1)) * z
      term *= factor
      sum += term
      n += 1
      // What follows is at most a geometric series with this factor.
      if abs(factor) < 1, abs(term) <= 1e-15 * abs(sum) * (1 - abs(factor)) { break }
    }
    return sum
  }

  /// ln(eᵃ + eᵇ) without overflow.
  package static func logSumExp(_ a: Double, _ b: Double) -> Double {
    let larger = max(a, b)
    return larger == -.infinity ? larger : larger + log1p(exp(min(a, b) - larger))
  }

  /// The probability that a chi-square variable of `degrees` degrees of freedom exceeds `x`: the upper regularised incomplete gamma function Q(degrees/2, x/2).
  package static func chiSquareTail(_ x: Double, degrees: Int) -> Double {
    guard x > 0 else { return 1 }
    let (a, x) = (Double(degrees) / 2, x / 2)
    let front = exp(a * log(x) - x - logGamma(a))
    if x < a + 1 {
      var (term, sum, n) = (1 / a, 1 / a, a)
      while abs(term) > abs(sum) * 1e-16 {
        n += 1
        term *= x / n
        sum += term
      }
      return max(0, 1 - sum * front)
    }
    // Lentz's continued fraction.
    var b = x + 1 - a
    var c = 1e300
    var d = 1 / b
    var fraction = d
    for i in 1...1_000 {
      let numerator = -Double(i) * (Double(i) - a)
      b += 2
      d = 1 / (numerator * d + b)
      c = b + numerator / c
      fraction *= c * d
      if abs(c * d - 1) < 1e-16 { break }
    }
    return front * fraction
  }
}
