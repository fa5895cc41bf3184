package import CoreMetrics
import Synchronization

/// Counts and times requests by the template of their route, never by their address, which would have no end.
package final class RequestMetrics: Sendable {
  private let factory: any MetricsFactory
  /// Requests that found no route, or never became one.
  let unrouted: RouteMetrics

  package init(factory: any MetricsFactory) {
    self.factory = factory
    unrouted = RouteMetrics(method: "", path: "", factory: factory)
  }

  func route(method: String, path: String) -> RouteMetrics {
    RouteMetrics(method: method, path: path, factory: factory)
  }
}

/// The metrics of one route, made once.
final class RouteMetrics: Sendable {
  private let method: String
  private let path: String
  private let factory: any MetricsFactory
  private let duration: CoreMetrics.Timer
  private let counters = Mutex<[Int: Counter]>([:])

  init(method: String, path: String, factory: any MetricsFactory) {
    self.method = method
    self.path = path
    self.factory = factory
    duration = CoreMetrics.Timer(
      label: "muhatap_request_duration_seconds", dimensions: [("method", method), ("route", path)], factory: factory)
  }

  func record(status: Int, nanoseconds: Int64) {
    duration.recordNanoseconds(nanoseconds)
    let counter = counters.withLock { counters in
      if let counter = counters[status] { return counter }
      let counter = Counter(
        label: "muhatap_requests_total", dimensions: [("method", method), ("route", path), ("status", "\(status)")], factory: factory)
      counters[status] = counter
      return counter
    }
    counter.increment()
  }
}
