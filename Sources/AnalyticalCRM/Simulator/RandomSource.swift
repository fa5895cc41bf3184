import Foundation

/// Reproducible chance: the same seed gives the same numbers on every machine (SplitMix64; Marsaglia & Tsang 2000 for gamma variables).
package struct RandomSource: RandomNumberGenerator, Sendable {
  private var state: UInt64

  package init(seed: UInt64) { state = seed }

  /// A source of its own for one of many, so that each can be made without the others.
  package init(seed: UInt64, stream: UInt64) {
    var start = RandomSource(seed: seed ^ stream &* 0xd1b5_4a32_d192_ed03)
    self.init(seed: start.next())
  }

  package mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }

  /// In (0, 1).
  package mutating func uniform() -> Double { (Double(next() >> 11) + 0.5) * 0x1p-53 }

  /// A whole number from 0 to one less than `bound`.
  package mutating func index(below bound: Int) -> Int { min(bound - 1, Int(uniform() * Double(bound))) }

  package mutating func exponential(rate: Double) -> Double { -log(uniform()) / rate }

  package mutating func normal() -> Double { (-2 * log(uniform())).squareRoot() * cos(2 * .pi * uniform()) }

  package mutating func gamma(shape: Double, rate: Double) -> Double {
    if shape < 1 { return gamma(shape: shape + 1, rate: rate) * pow(uniform(), 1 / shape) }
    let d = shape - 1.0 / 3
    let c = 1 / (9 * d).squareRoot()
    while true {
      let x = normal()
      let v = pow(1 + c * x, 3)
      if v > 0, log(uniform()) < 0.5 * x * x + d - d * v + d * log(v) { return d * v / rate }
    }
  }

  package mutating func beta(_ a: Double, _ b: Double) -> Double {
    let left = gamma(shape: a, rate: 1)
    return left / (left + gamma(shape: b, rate: 1))
  }

  /// The place of one of several outcomes whose shares sum to 1.
  package mutating func outcome(_ shares: [Double]) -> Int {
    var rest = uniform()
    for (place, share) in shares.enumerated() {
      rest -= share
      if rest < 0 { return place }
    }
    return shares.count - 1
  }
}
