import CoreMetrics
import Synchronization

final class PrometheusCounter: CounterHandler, Sendable {
  private let value = Atomic<Int64>(0)

  var count: Int64 { value.load(ordering: .relaxed) }

  func increment(by amount: Int64) { value.wrappingAdd(amount, ordering: .relaxed) }
  func reset() { value.store(0, ordering: .relaxed) }
}

final class PrometheusGauge: MeterHandler, RecorderHandler, Sendable {
  private let value = Mutex(0.0)

  var current: Double { value.withLock { $0 } }

  func set(_ value: Int64) { set(Double(value)) }
  func set(_ value: Double) { self.value.withLock { $0 = value } }
  func increment(by amount: Double) { value.withLock { $0 += amount } }
  func decrement(by amount: Double) { value.withLock { $0 -= amount } }
  func record(_ value: Int64) { set(Double(value)) }
  func record(_ value: Double) { set(value) }
}

/// A histogram over fixed bounds that suit the latencies of an API, in seconds.
final class PrometheusHistogram: TimerHandler, RecorderHandler, Sendable {
  private static let bounds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

  private struct State {
    var counts = [UInt64](repeating: 0, count: PrometheusHistogram.bounds.count + 1)
    var sum = 0.0
  }

  private let state = Mutex(State())

  func recordNanoseconds(_ duration: Int64) { record(Double(duration) / 1e9) }
  func record(_ value: Int64) { record(Double(value)) }
  func record(_ value: Double) {
    let index = Self.bounds.firstIndex { value <= $0 } ?? Self.bounds.count
    state.withLock {
      $0.counts[index] += 1
      $0.sum += value
    }
  }

  /// Whether anything was recorded: a route that nobody asked for is not worth sixteen lines.
  var hasValues: Bool { state.withLock { $0.counts.contains { $0 > 0 } } }

  /// The lines of one series: cumulative buckets, sum and count.
  func lines(name: String, labels: String) -> [String] {
    let (counts, sum) = state.withLock { ($0.counts, $0.sum) }
    let prefix = labels.isEmpty ? "" : "\(labels),"
    let braces = labels.isEmpty ? "" : "{\(labels)}"
    var total: UInt64 = 0
    var lines: [String] = []
    for (index, count) in counts.enumerated() {
      total += count
      let bound = index < Self.bounds.count ? "\(Self.bounds[index])" : "+Inf"
      lines.append("\(name)_bucket{\(prefix)le=\"\(bound)\"} \(total)")
    }
    return lines + ["\(name)_sum\(braces) \(sum)", "\(name)_count\(braces) \(total)"]
  }
}
