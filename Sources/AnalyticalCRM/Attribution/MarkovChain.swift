/// The journeys of customers as a chain of first order: from the start by way of channels to a conversion, or to nothing. The removal effect of a channel is the
/// share of conversions that would be lost if whoever came to it went to nothing instead (Anderl et al. 2016).
package struct MarkovChain: Sendable {
  /// Where a step begins or ends.
  package enum State: Hashable, Sendable {
    case start, conversion, nothing
    case channel(Int)
  }

  private let channels: Int
  /// The probability of each step, from the start (row 0) and each channel (row i + 1), to each channel and, last, to a conversion.
  private let steps: [[Double]]

  /// - Parameters:
  ///   - channels: how many there are.
  ///   - counts: how often each step was taken.
  package init(channels: Int, counts: [(from: State, to: State, count: Double)]) {
    self.channels = channels
    var table = [[Double]](repeating: [Double](repeating: 0, count: channels + 1), count: channels + 1)
    var leaving = [Double](repeating: 0, count: channels + 1)
    for step in counts {
      let row: Int
      switch step.from {
      case .start: row = 0
      case .channel(let channel): row = channel + 1
      case .conversion, .nothing: continue
      }
      leaving[row] += step.count
      switch step.to {
      case .channel(let channel): table[row][channel] += step.count
      case .conversion: table[row][channels] += step.count
      case .start, .nothing: continue
      }
    }
    for row in table.indices where leaving[row] > 0 {
      for column in table[row].indices { table[row][column] /= leaving[row] }
    }
    steps = table
  }

  /// The share of journeys that end in a conversion, without one channel if one is named.
  package func conversionRate(without removed: Int? = nil) -> Double {
    // x_i = p(i → conversion) + Σ_j p(i → j) x_j over the channels: solved by elimination with pivots.
    let size = channels
    var matrix = [[Double]](repeating: [Double](repeating: 0, count: size + 1), count: size)
    for row in 0..<size {
      for column in 0..<size { matrix[row][column] = (row == column ? 1 : 0) - (column == removed ? 0 : steps[row + 1][column]) }
      matrix[row][size] = steps[row + 1][size]
    }
    for pivot in 0..<size {
      guard let best = (pivot..<size).max(by: { abs(matrix[$0][pivot]) < abs(matrix[$1][pivot]) }), abs(matrix[best][pivot]) > 1e-14 else { continue }
      matrix.swapAt(pivot, best)
      for row in 0..<size where row != pivot && matrix[row][pivot] != 0 {
        let factor = matrix[row][pivot] / matrix[pivot][pivot]
        for column in pivot...size { matrix[row][column] -= factor * matrix[pivot][column] }
      }
    }
    var rate = steps[0][size]
    for channel in 0..<size where channel != removed && steps[0][channel] > 0 && abs(matrix[channel][channel]) > 1e-14 {
      rate += steps[0][channel] * matrix[channel][size] / matrix[channel][channel]
    }
    return rate
  }

  /// For each channel the share of conversions lost without it, from 0 to 1.
  package func removalEffects() -> [Double] {
    let whole = conversionRate()
    guard whole > 0 else { return [Double](repeating: 0, count: channels) }
    return (0..<channels).map { max(0, 1 - conversionRate(without: $0) / whole) }
  }
}
