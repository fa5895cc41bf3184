import CRMCore
import Foundation

/// Who is in a segment: the filter language of the API, and beside its fields two more conditions: a metric and a count of events, each over a window.
///
///     {"and": [{"kind": "organisation"}, {"custom.sector": ["retail", "food"]}, {"addresses.city": "İzmir"}, {"tier": "gold"}, {"p_alive": {"lt": 0.4}},
///       {"metric": "revenue", "window_days": 90, "op": "gte", "value": "1000"},
///       {"events": "activities", "window_days": 30, "where": {"kind": "call"}, "op": "gte", "value": 2}]}
indirect enum SegmentRule: Sendable {
  case all([SegmentRule])
  case any([SegmentRule])
  case not(SegmentRule)
  /// A field of the customer, of a neighbour, or of what a model says of the customer.
  case field(FieldPath, Comparison, Filter.Operand)
  case measure(SegmentMeasure, Comparison, String, pointer: String)

  init(json: JSON, pointer: String) throws(Problem) {
    guard let members = json.object else {
      throw .badFilter(pointer, Phrase("A condition is a JSON object.", tr: "Koşul bir JSON nesnesidir."))
    }
    if members["metric"] != nil || members["events"] != nil {
      self = try Self.measure(members, pointer)
      return
    }
    var parts: [SegmentRule] = []
    for (name, value) in members.sorted(by: { $0.key < $1.key }) {
      let here = "\(pointer)/\(name.jsonPointerEscaped)"
      switch name {
      case "and": parts.append(.all(try Self.list(value, here)))
      case "or": parts.append(.any(try Self.list(value, here)))
      case "not": parts.append(.not(try SegmentRule(json: value, pointer: here)))
      default: parts.append(SegmentRule(try Filter(json: .object([name: value]), pointer: pointer)))
      }
    }
    self = parts.count == 1 ? parts[0] : .all(parts)
  }

  private init(_ filter: Filter) {
    switch filter {
    case .all(let parts): self = .all(parts.map(SegmentRule.init))
    case .any(let parts): self = .any(parts.map(SegmentRule.init))
    case .not(let part): self = .not(SegmentRule(part))
    case .compare(let path, let comparison, let operand): self = .field(path, comparison, operand)
    }
  }

  private static func list(_ value: JSON, _ pointer: String) throws(Problem) -> [SegmentRule] {
    guard let items = value.array else {
      throw .badFilter(pointer, Phrase("and/or take a list of conditions.", tr: "and/or bir koşul listesi alır."))
    }
    var rules: [SegmentRule] = []
    for (index, item) in items.enumerated() { rules.append(try SegmentRule(json: item, pointer: "\(pointer)/\(index)")) }
    return rules
  }

  private static func measure(_ members: [String: JSON], _ pointer: String) throws(Problem) -> SegmentRule {
    let known = ["metric", "events", "window_days", "where", "op", "value"]
    for name in members.keys.sorted() where !known.contains(name) {
      throw .unknownField(FieldPath(name), of: "condition", at: "\(pointer)/\(name.jsonPointerEscaped)", candidates: known)
    }
    let measure = try SegmentMeasure(members, pointer)
    let word = members["op"]?.string ?? "eq"
    guard let comparison = Comparison(rawValue: word) else { throw .unknownOperator(word, at: "\(pointer)/op") }
    guard [.equal, .notEqual, .less, .lessOrEqual, .greater, .greaterOrEqual, .is].contains(comparison) else {
      throw .badFilter(
        "\(pointer)/op",
        Phrase("A number is compared with eq, ne, lt, lte, gt, gte or is.", tr: "Sayılar eq, ne, lt, lte, gt, gte ya da is ile karşılaştırılır."))
    }
    switch members["value"] {
    case .string(let text)?: return .measure(measure, comparison, text, pointer: pointer)
    case .number(let number)?: return .measure(measure, comparison, "\(number)", pointer: pointer)
    default: throw .badFilter("\(pointer)/value", Phrase("Give the number to compare with as value.", tr: "Karşılaştırılacak sayıyı value ile verin."))
    }
  }

  /// All measures in the rule.
  var measures: [SegmentMeasure] {
    switch self {
    case .all(let parts), .any(let parts): parts.flatMap(\.measures)
    case .not(let part): part.measures
    case .field: []
    case .measure(let measure, _, _, _): [measure]
    }
  }
}
