import CRMCore
import Foundation
import PostgresClient

/// A number that is counted of each customer over a window that ends as of the evaluation: a metric, or how often something happened.
struct SegmentMeasure: Sendable, Hashable {
  enum Subject: Sendable, Hashable {
    case purchases(PurchaseMetric)
    /// Any other metric of `analytics.customer_metric`, by its name.
    case metric(String)
    /// Rows of a resource that belong to the customer and fit a filter.
    case events(String, Filter?)
  }

  /// What purchases alone say.
  enum PurchaseMetric: String, Sendable, CaseIterable {
    case revenue, orders, recency, tenure, intensity
    case averageOrder = "average_order"
  }

  let subject: Subject
  /// The window in days, each of 24 hours; nil for all time.
  let windowDays: Int?
  /// Where it stands in the definition.
  let pointer: String

  static let longestWindow = 36_500

  /// Reads `metric` or `events`, `window_days` and `where`.
  init(_ members: [String: JSON], _ pointer: String) throws(Problem) {
    self.pointer = pointer
    switch members["window_days"] {
    case nil, .null?: windowDays = nil
    case .number(let number)?:
      guard let days = Int("\(number)"), (1...Self.longestWindow).contains(days) else { throw Self.badWindow(pointer) }
      windowDays = days
    default: throw Self.badWindow(pointer)
    }
    if let events = members["events"] {
      guard members["metric"] == nil, let resource = events.string else {
        throw .badFilter("\(pointer)/events", Phrase("events names a resource, such as orders.", tr: "events bir kaynak adıdır; örneğin orders."))
      }
      subject = .events(resource, try members["where"].map { value throws(Problem) in try Filter(json: value, pointer: "\(pointer)/where") })
      return
    }
    guard let name = members["metric"]?.string else {
      throw .badFilter("\(pointer)/metric", Phrase("metric is a name, such as revenue.", tr: "metric bir addır; örneğin revenue."))
    }
    if members["where"] != nil {
      throw .badFilter(
        "\(pointer)/where",
        Phrase("where belongs to events; a metric says itself what it counts.", tr: "where yalnızca events ile kullanılır; metriğin neyi saydığı bellidir."))
    }
    subject = PurchaseMetric(rawValue: name).map { .purchases($0) } ?? .metric(name)
  }

  private static func badWindow(_ pointer: String) -> Problem {
    .badFilter(
      "\(pointer)/window_days",
      Phrase(
        "Give whole days from 1 to \(longestWindow), or leave the window out.", tr: "1 ile \(longestWindow) arasında tam gün verin ya da pencereyi çıkarın."))
  }

  /// Whether it is a metric, and no count of events.
  var isMetric: Bool { if case .events = subject { false } else { true } }

  /// What it is called in explanations.
  var name: String {
    switch subject {
    case .purchases(let metric): metric.rawValue
    case .metric(let name): name
    case .events(let resource, _): resource
    }
  }
}
