/// Divides a whole number so that nothing is lost: everyone gets their share rounded down, and what is left goes to the largest remainders (Hamilton's method).
package enum Apportionment {
  /// - Parameters:
  ///   - total: what is divided, such as cents; may be negative.
  ///   - weights: the shares, together above 0 unless `total` follows from them; a weight may be negative where returns outweigh sales.
  /// - Returns: whole numbers that add up to `total`; nil if the weights add up to nothing. Ties go to the first.
  package static func divide(_ total: Int, by weights: [Double]) -> [Int]? {
    let sum = weights.reduce(0, +)
    guard sum != 0, sum.isFinite else { return total == 0 ? weights.map { _ in 0 } : nil }
    let exact = weights.map { Double(total) * ($0 / sum) }
    guard exact.allSatisfy({ abs($0) < 9e15 }) else { return nil }
    var parts = exact.map { Int($0.rounded(.down)) }
    let order = exact.indices.sorted { left, right in
      let (l, r) = (exact[left] - exact[left].rounded(.down), exact[right] - exact[right].rounded(.down))
      return l != r ? l > r : left < right
    }
    var left = total - parts.reduce(0, +)
    // Rounding of the shares themselves can leave a little more, or less, than one for each.
    while left > 0 {
      for index in order where left > 0 {
        parts[index] += 1
        left -= 1
      }
    }
    while left < 0 {
      for index in order.reversed() where left < 0 {
        parts[index] -= 1
        left += 1
      }
    }
    return parts
  }
}
