import CRMCore
import Foundation

/// A field that random filters are made of, and how its values compare.
struct SampledField: Sendable {
  enum Kind { case text, number, instant, uuid, boolean }
  let name: String
  let kind: Kind
  /// Whether it may be compared with any value, or only with those that occur.
  var isOption = false

  func value(in row: JSON) -> String? {
    var here: JSON? = row
    for name in name.split(separator: ".") { here = here?[String(name)] }
    switch here {
    case .string(let text): return text
    case .number(let number): return "\(number)"
    case .bool(let flag): return flag ? "true" : "false"
    default: return nil
    }
  }

  /// Whether `a` comes before `b`.
  func precedes(_ a: String, _ b: String) -> Bool {
    switch kind {
    case .number: Decimal(string: a) ?? 0 < Decimal(string: b) ?? 0
    case .instant: Self.padded(a) < Self.padded(b)
    case .text, .uuid, .boolean: a < b
    }
  }

  func same(_ a: String, _ b: String) -> Bool { kind == .text ? a == b : !precedes(a, b) && !precedes(b, a) }

  private static func padded(_ instant: String) -> String {
    let parts = instant.dropLast().split(separator: ".")
    return String(parts[0]) + "." + (parts.count > 1 ? String(parts[1]) : "").padding(toLength: 6, withPad: "0", startingAt: 0)
  }
}

/// The meaning of a filter, evaluated row by row in Swift.
struct NaiveEvaluation {
  let fields: [String: SampledField]

  func holds(_ filter: Filter, _ row: JSON) -> Bool {
    switch filter {
    case .all(let parts): return parts.allSatisfy { holds($0, row) }
    case .any(let parts): return parts.contains { holds($0, row) }
    case .not(let part): return !holds(part, row)
    case .compare(let path, let comparison, let operand):
      guard let field = fields[path.description] else { return false }
      let value = field.value(in: row)
      switch (comparison, operand) {
      case (.is, .value("null")): return value == nil
      case (.is, .value("not_null")): return value != nil
      case (.is, .value(let word)): return value == word
      case (.in, .list(let items)): return value.map { value in items.contains { field.same($0, value) } } ?? false
      case (.notIn, .list(let items)): return !(value.map { value in items.contains { field.same($0, value) } } ?? false)
      case (.notEqual, .value(let other)): return value.map { !field.same($0, other) } ?? true
      case (_, .value(let other)):
        guard let value else { return false }
        switch comparison {
        case .equal: return field.same(value, other)
        case .less: return field.precedes(value, other)
        case .lessOrEqual: return !field.precedes(other, value)
        case .greater: return field.precedes(other, value)
        case .greaterOrEqual: return !field.precedes(value, other)
        case .startsWith: return value.hasPrefix(other)
        case .contains: return other.isEmpty || Self.folded(value).contains(Self.folded(other))
        default: return false
        }
      default: return false
      }
    }
  }

  private static func folded(_ text: String) -> String {
    text.replacing("ı", with: "i").replacing("I", with: "i").folding(options: [.caseInsensitive, .diacriticInsensitive], locale: nil)
  }
}

/// Both spellings of a filter.
enum FilterSpelling {
  static func url(_ filter: Filter) -> (name: String, value: String) {
    if case .compare(let path, let comparison, let operand) = filter { return (path.description, condition(comparison, operand, quoting: false)) }
    return ("and", "(\(item(filter)))")
  }

  private static func item(_ filter: Filter) -> String {
    switch filter {
    case .all(let parts): "and(\(parts.map(item).joined(separator: ",")))"
    case .any(let parts): "or(\(parts.map(item).joined(separator: ",")))"
    case .not(let part): "not(\(item(part)))"
    case .compare(let path, let comparison, let operand): "\(path).\(condition(comparison, operand, quoting: true))"
    }
  }

  private static func condition(_ comparison: Comparison, _ operand: Filter.Operand, quoting: Bool) -> String {
    switch operand {
    case .value(let value): "\(comparison.rawValue).\(quoting ? quoted(value) : value)"
    case .list(let items): "\(comparison.rawValue).(\(items.map(quoted).joined(separator: ",")))"
    }
  }

  private static func quoted(_ text: String) -> String {
    "\"" + text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
  }

  static func json(_ filter: Filter) -> JSON {
    switch filter {
    case .all(let parts): ["and": .array(parts.map(json))]
    case .any(let parts): ["or": .array(parts.map(json))]
    case .not(let part): ["not": json(part)]
    case .compare(let path, let comparison, .value(let value)): .object([path.description: .object([comparison.rawValue: .string(value)])])
    case .compare(let path, let comparison, .list(let items)):
      .object([path.description: .object([comparison.rawValue: .array(items.map(JSON.string))])])
    }
  }
}

/// Makes filters over the values that occur in some rows; the same seed makes the same filters.
struct RandomFilters {
  let fields: [SampledField]
  let rows: [JSON]
  private var state: UInt64

  init(fields: [SampledField], rows: [JSON], seed: UInt64) {
    self.fields = fields
    self.rows = rows
    state = seed
  }

  private mutating func below(_ limit: Int) -> Int {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return Int((state >> 33) % UInt64(limit))
  }

  mutating func next(depth: Int = 0) -> Filter {
    switch below(depth < 3 ? 8 : 5) {
    case 5: return .all(parts(depth))
    case 6: return .any(parts(depth))
    case 7: return .not(next(depth: depth + 1))
    default: return comparison()
    }
  }

  private mutating func parts(_ depth: Int) -> [Filter] {
    var parts: [Filter] = []
    for _ in 0...below(3) { parts.append(next(depth: depth + 1)) }
    return parts
  }

  private mutating func comparison() -> Filter {
    let field = fields[below(fields.count)]
    let path = FieldPath(field.name)
    var operators: [Comparison] = [.equal, .notEqual, .in, .notIn, .is]
    if field.kind == .number || field.kind == .instant { operators += [.less, .lessOrEqual, .greater, .greaterOrEqual] }
    if field.kind == .text, !field.isOption { operators += [.startsWith, .contains] }
    let comparison = operators[below(operators.count)]
    switch comparison {
    case .is: return .compare(path, .is, .value(field.kind == .boolean ? ["null", "true", "false"][below(3)] : ["null", "not_null"][below(2)]))
    case .in, .notIn:
      var items: [String] = []
      for _ in 0..<below(4) { items.append(sample(field)) }
      return .compare(path, comparison, .list(items))
    case .startsWith, .contains: return .compare(path, comparison, .value(piece(of: sample(field), comparison)))
    default: return .compare(path, comparison, .value(sample(field)))
    }
  }

  private mutating func sample(_ field: SampledField) -> String {
    for _ in 0..<20 {
      if let value = field.value(in: rows[below(rows.count)]) { return value }
    }
    return field.kind == .text ? "nowhere" : "00000000-0000-0000-0000-000000000001"
  }

  private mutating func piece(of text: String, _ comparison: Comparison) -> String {
    let characters = Array(text)
    guard !characters.isEmpty else { return "" }
    let start = comparison == .startsWith ? 0 : below(characters.count)
    // A key has no space at its ends, so a piece that begins or ends with one would be compared without it.
    let piece = String(characters[start..<min(characters.count, start + 1 + below(6))]).trimmingCharacters(in: .whitespaces)
    return comparison == .contains && below(2) == 0 ? piece.uppercased() : piece
  }
}
