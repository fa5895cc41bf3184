package import CoreMetrics
import Synchronization

/// A swift-metrics backend that keeps every metric in memory and writes them in Prometheus' text format (version 0.0.4).
/// Counters become counters, timers and aggregating recorders histograms, meters and other recorders gauges.
package final class PrometheusRegistry: MetricsFactory, Sendable {
  struct Key: Hashable, Sendable {
    let name: String
    let labels: String

    init(_ label: String, _ dimensions: [(String, String)]) {
      name = String(label.map { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_" || $0 == ":") ? $0 : "_" })
      labels = dimensions.map { "\($0.0)=\"\(Self.escape($0.1))\"" }.joined(separator: ",")
    }

    private static func escape(_ text: String) -> String {
      text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
    }
  }

  private struct State {
    var counters: [Key: PrometheusCounter] = [:]
    var gauges: [Key: PrometheusGauge] = [:]
    var histograms: [Key: PrometheusHistogram] = [:]
    var sources: [@Sendable () async -> [Reading]] = []
  }

  /// The value of a gauge that is only looked up when somebody asks.
  package struct Reading: Sendable {
    package let name: String
    package let dimensions: [(String, String)]
    package let value: Double

    package init(_ name: String, _ dimensions: [(String, String)] = [], _ value: Double) {
      self.name = name
      self.dimensions = dimensions
      self.value = value
    }
  }

  private let state = Mutex(State())

  package init() {}

  /// Adds gauges whose values are asked for at each reading, such as the sizes of a pool.
  package func observe(_ source: @escaping @Sendable () async -> [Reading]) {
    state.withLock { $0.sources.append(source) }
  }

  package func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
    let key = Key(label, dimensions)
    return state.withLock { state in
      let counter = state.counters[key] ?? PrometheusCounter()
      state.counters[key] = counter
      return counter
    }
  }

  package func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
    gauge(label, dimensions)
  }

  package func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler {
    aggregate ? histogram(label, dimensions) : gauge(label, dimensions)
  }

  package func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
    histogram(label, dimensions)
  }

  private func gauge(_ label: String, _ dimensions: [(String, String)]) -> PrometheusGauge {
    let key = Key(label, dimensions)
    return state.withLock { state in
      let gauge = state.gauges[key] ?? PrometheusGauge()
      state.gauges[key] = gauge
      return gauge
    }
  }

  private func histogram(_ label: String, _ dimensions: [(String, String)]) -> PrometheusHistogram {
    let key = Key(label, dimensions)
    return state.withLock { state in
      let histogram = state.histograms[key] ?? PrometheusHistogram()
      state.histograms[key] = histogram
      return histogram
    }
  }

  // A metric lives as long as the process: its series would otherwise restart at zero under the same name.
  package func destroyCounter(_ handler: any CounterHandler) {}
  package func destroyMeter(_ handler: any MeterHandler) {}
  package func destroyRecorder(_ handler: any RecorderHandler) {}
  package func destroyTimer(_ handler: any TimerHandler) {}

  /// All metrics as Prometheus reads them, sorted by name.
  package func text() async -> String {
    let (counters, gauges, histograms, sources) = state.withLock { ($0.counters, $0.gauges, $0.histograms, $0.sources) }
    var families: [String: (type: String, lines: [String])] = [:]
    func add(_ key: Key, _ type: String, _ lines: [String]) {
      families[key.name, default: (type, [])].lines += lines
    }
    func braces(_ labels: String) -> String { labels.isEmpty ? "" : "{\(labels)}" }
    for (key, counter) in counters { add(key, "counter", ["\(key.name)\(braces(key.labels)) \(counter.count)"]) }
    for (key, gauge) in gauges { add(key, "gauge", ["\(key.name)\(braces(key.labels)) \(gauge.current)"]) }
    for source in sources {
      for reading in await source() {
        let key = Key(reading.name, reading.dimensions)
        add(key, "gauge", ["\(key.name)\(braces(key.labels)) \(reading.value)"])
      }
    }
    for (key, histogram) in histograms where histogram.hasValues { add(key, "histogram", histogram.lines(name: key.name, labels: key.labels)) }
    return families.sorted { $0.key < $1.key }
      .map { "# TYPE \($0.key) \($0.value.type)\n" + ($0.value.type == "histogram" ? $0.value.lines : $0.value.lines.sorted()).joined(separator: "\n") + "\n" }
      .joined()
  }
}
