import CRMCore
import Foundation
import PostgresClient

/// One way to cut customers apart.
enum GridAxis: Sendable {
  /// By a field of the customer, of a to-one neighbour, a custom field, or an output of a model such as the tier.
  case field(FieldPath)
  /// Into groups of equal size by a metric: q1 has the highest values.
  case quantile(SegmentMeasure, groups: Int)
  /// By k-means over metrics: k1 has the highest mean of the last one.
  case clusters([SegmentMeasure], count: Int, log: Bool)

  static let meaning = """
    {"by": "tier"} or {"by": "field", "field": "kind"} (any field of customers, dotted, custom, a member of profile such as profile.region, or an output of a model such as rfm.segment), \
    {"by": "quantile", "metric": "revenue", "window_days": 365, "groups": 4}, or \
    {"by": "kmeans", "features": [{"metric": "recency"}, {"metric": "orders"}, {"metric": "revenue"}], "clusters": 4, "scale": "log"}.
    """
  /// What customers without a value are put under.
  static let none = "none"

  init(json: JSON, pointer: String) throws(Problem) {
    guard let members = json.object, let by = members["by"]?.string else {
      throw .badFilter(
        pointer,
        Phrase("Say how to cut: by is tier, field, quantile or kmeans.", tr: "Nasıl bölüneceğini belirtin: by; tier, field, quantile ya da kmeans olur."))
    }
    let known: [String]
    switch by {
    case "tier":
      known = ["by"]
      self = .field(FieldPath("tier", pointer: "\(pointer)/by"))
    case "field":
      known = ["by", "field"]
      guard let field = members["field"]?.string, !field.isEmpty else {
        throw .badFilter("\(pointer)/field", Phrase("Name the field.", tr: "Alanı belirtin."))
      }
      self = .field(FieldPath(field, pointer: "\(pointer)/field"))
    case "quantile":
      known = ["by", "metric", "window_days", "groups"]
      self = .quantile(
        try SegmentMeasure(members.filter { ["metric", "window_days"].contains($0.key) }, pointer),
        groups: try Self.number(members["groups"], 2...20, "\(pointer)/groups"))
    case "kmeans":
      known = ["by", "features", "clusters", "scale"]
      self = try Self.clusters(members, pointer)
    default:
      throw .badFilter("\(pointer)/by", Phrase("by is tier, field, quantile or kmeans.", tr: "by; tier, field, quantile ya da kmeans olur."))
    }
    for name in members.keys.sorted() where !known.contains(name) {
      throw .unknownField(FieldPath(name), of: by, at: "\(pointer)/\(name.jsonPointerEscaped)", candidates: known)
    }
  }

  private static func clusters(_ members: [String: JSON], _ pointer: String) throws(Problem) -> GridAxis {
    var features: [SegmentMeasure] = []
    for (index, item) in (members["features"]?.array ?? []).enumerated() {
      let here = "\(pointer)/features/\(index)"
      guard let feature = item.object, feature["metric"] != nil, feature.keys.allSatisfy(["metric", "window_days"].contains) else {
        throw .badFilter(here, Phrase("A feature has a metric and may have window_days.", tr: "Her özelliğin bir metric değeri olur; window_days verilebilir."))
      }
      features.append(try SegmentMeasure(feature, here))
    }
    guard (1...8).contains(features.count) else {
      throw .badFilter("\(pointer)/features", Phrase("Give one to eight features.", tr: "Bir ile sekiz arasında özellik verin."))
    }
    let scale = members["scale"]?.string ?? "log"
    guard ["log", "linear"].contains(scale) else {
      throw .badFilter("\(pointer)/scale", Phrase("scale is log or linear.", tr: "scale, log ya da linear olabilir."))
    }
    return .clusters(features, count: try number(members["clusters"], 2...20, "\(pointer)/clusters"), log: scale == "log")
  }

  private static func number(_ json: JSON?, _ range: ClosedRange<Int>, _ pointer: String) throws(Problem) -> Int {
    guard case .number(let given)? = json, let number = Int("\(given)"), range.contains(number) else {
      throw .badFilter(
        pointer,
        Phrase(
          "Give a whole number from \(range.lowerBound) to \(range.upperBound).", tr: "\(range.lowerBound) ile \(range.upperBound) arasında bir tam sayı verin."
        ))
    }
    return number
  }

  var measures: [SegmentMeasure] {
    switch self {
    case .field: []
    case .quantile(let measure, _): [measure]
    case .clusters(let measures, _, _): measures
    }
  }
}
