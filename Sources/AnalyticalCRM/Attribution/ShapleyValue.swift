/// Shapley's value (1953) of channels, where a coalition of channels is worth the revenue of the journeys that touched no other channel (Zhao et al. 2018).
/// That worth is a sum of unanimity games, so the value is exact and simple: each journey's revenue in equal parts to the different channels it touched.
package enum ShapleyValue {
  /// - Parameters:
  ///   - channels: how many there are.
  ///   - journeys: the different channels of each journey, or group of journeys, and the revenue.
  package static func values(channels: Int, journeys: [(channels: Set<Int>, revenue: Double)]) -> [Double] {
    var values = [Double](repeating: 0, count: channels)
    for journey in journeys {
      for channel in journey.channels { values[channel] += journey.revenue / Double(journey.channels.count) }
    }
    return values
  }
}
