package import CRMCore
import Foundation
import Synchronization

/// The part of JSON Schema (2020-12) that our OpenAPI document uses. A keyword it does not know is a mistake of its own, so that nothing
/// the document says goes unchecked.
package struct JSONSchema: Sendable {
  private static let annotations: Set<String> = ["title", "description", "default", "examples", "contentEncoding", "format", "deprecated", "readOnly"]
  private static let patterns = Mutex<[String: NSRegularExpression]>([:])

  /// What `$ref` leads to.
  private let components: [String: JSON]

  package init(components: [String: JSON]) { self.components = components }

  /// What is wrong with a value; empty when it fits.
  package func mistakes(in value: JSON, _ schema: JSON, at pointer: String = "") -> [String] {
    guard case .object(let keywords) = schema else { return schema == .bool(false) ? ["\(pointer): nothing fits here"] : [] }
    return keywords.sorted { $0.key < $1.key }.flatMap { check($0.key, $0.value, value, keywords, pointer) }
  }

  private func check(_ keyword: String, _ rule: JSON, _ value: JSON, _ all: [String: JSON], _ pointer: String) -> [String] {
    func fails(_ condition: Bool) -> [String] { condition ? [] : ["\(pointer): \(Self.shown(value)) breaks \(keyword) \(Self.shown(rule))"] }
    switch keyword {
    case "$ref":
      guard let name = rule.string?.split(separator: "/").last, let target = components[String(name)] else { return ["\(pointer): \(rule) leads nowhere"] }
      return mistakes(in: value, target, at: pointer)
    case "type":
      let names = rule.string.map { [$0] } ?? (rule.array ?? []).compactMap(\.string)
      return fails(names.contains { Self.isOf($0, value) })
    case "enum": return fails(rule.array?.contains(value) ?? false)
    case "const": return fails(rule == value)
    case "allOf": return (rule.array ?? []).flatMap { mistakes(in: value, $0, at: pointer) }
    case "anyOf": return fails((rule.array ?? []).contains { mistakes(in: value, $0).isEmpty })
    case "oneOf": return fails((rule.array ?? []).count { mistakes(in: value, $0).isEmpty } == 1)
    case "not": return fails(!mistakes(in: value, rule).isEmpty)
    default: break
    }
    switch value {
    case .object(let members): return checkObject(keyword, rule, members, all, pointer) ?? checkName(keyword, pointer)
    case .array(let items): return checkArray(keyword, rule, items, pointer, fails) ?? checkName(keyword, pointer)
    case .string(let text): return Self.checkText(keyword, rule, text, fails) ?? checkName(keyword, pointer)
    case .number(let number): return Self.checkNumber(keyword, rule, number, fails) ?? checkName(keyword, pointer)
    case .null, .bool: return checkName(keyword, pointer)
    }
  }

  private func checkObject(_ keyword: String, _ rule: JSON, _ members: [String: JSON], _ all: [String: JSON], _ pointer: String) -> [String]? {
    switch keyword {
    case "required":
      return (rule.array ?? []).compactMap(\.string).filter { members[$0] == nil }.map { "\(pointer): \($0) is missing" }
    case "properties":
      return members.sorted { $0.key < $1.key }.flatMap { name, value in
        rule[name].map { mistakes(in: value, $0, at: "\(pointer)/\(name)") } ?? []
      }
    case "additionalProperties":
      let also = all["x-also-accepts"]?.string
      return members.sorted { $0.key < $1.key }.flatMap { name, value -> [String] in
        if all["properties"]?[name] != nil || also.map({ Self.matches(name, $0) }) == true { return [] }
        return rule == .bool(false) ? ["\(pointer): \(name) is not documented"] : mistakes(in: value, rule, at: "\(pointer)/\(name)")
      }
    case "propertyNames": return members.keys.sorted().flatMap { mistakes(in: .string($0), rule, at: pointer) }
    case "minProperties": return members.count >= Self.count(rule) ? [] : ["\(pointer): too few members"]
    case "maxProperties": return members.count <= Self.count(rule) ? [] : ["\(pointer): too many members"]
    default: return nil
    }
  }

  private func checkArray(_ keyword: String, _ rule: JSON, _ items: [JSON], _ pointer: String, _ fails: (Bool) -> [String]) -> [String]? {
    switch keyword {
    case "items": items.enumerated().flatMap { mistakes(in: $1, rule, at: "\(pointer)/\($0)") }
    case "minItems": fails(items.count >= Self.count(rule))
    case "maxItems": fails(items.count <= Self.count(rule))
    case "uniqueItems": fails(rule != .bool(true) || Set(items).count == items.count)
    default: nil
    }
  }

  private static func checkText(_ keyword: String, _ rule: JSON, _ text: String, _ fails: (Bool) -> [String]) -> [String]? {
    switch keyword {
    case "minLength": fails(text.unicodeScalars.count >= count(rule))
    case "maxLength": fails(text.unicodeScalars.count <= count(rule))
    case "pattern": fails(matches(text, rule.string ?? ""))
    case "format": fails(fits(text, format: rule.string ?? ""))
    default: nil
    }
  }

  private static func checkNumber(_ keyword: String, _ rule: JSON, _ number: Decimal, _ fails: (Bool) -> [String]) -> [String]? {
    guard case .number(let limit) = rule else { return nil }
    return switch keyword {
    case "minimum": fails(number >= limit)
    case "maximum": fails(number <= limit)
    case "exclusiveMinimum": fails(number > limit)
    case "exclusiveMaximum": fails(number < limit)
    default: nil
    }
  }

  /// A keyword about another type says nothing of this value; one that is not known is a mistake.
  private func checkName(_ keyword: String, _ pointer: String) -> [String] {
    let known: Set<String> = [
      "required", "properties", "additionalProperties", "propertyNames", "minProperties", "maxProperties", "items", "minItems", "maxItems",
      "uniqueItems", "minLength", "maxLength", "pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
    ]
    return known.contains(keyword) || Self.annotations.contains(keyword) || keyword.hasPrefix("x-") ? [] : ["\(pointer): the keyword \(keyword) is not checked"]
  }

  private static func isOf(_ name: String, _ value: JSON) -> Bool {
    switch (name, value) {
    case ("null", .null), ("boolean", .bool), ("number", .number), ("string", .string), ("array", .array), ("object", .object): true
    case ("integer", .number(let number)): "\(number)".contains(".") == false
    default: false
    }
  }

  private static func fits(_ text: String, format: String) -> Bool {
    switch format {
    case "uuid": UUID(uuidString: text) != nil
    case "date": ColumnType.date.isSpelled(text)
    case "date-time": ColumnType.timestamp.isSpelled(text)
    case "email": text.contains("@")
    default: true
    }
  }

  private static func matches(_ text: String, _ pattern: String) -> Bool {
    let expression = patterns.withLock { known -> NSRegularExpression? in
      if let expression = known[pattern] { return expression }
      let expression = try? NSRegularExpression(pattern: pattern)
      known[pattern] = expression
      return expression
    }
    return expression?.firstMatch(in: text, range: NSRange(text.startIndex..., in: text)) != nil
  }

  private static func count(_ rule: JSON) -> Int { if case .number(let number) = rule { NSDecimalNumber(decimal: number).intValue } else { 0 } }

  private static func shown(_ value: JSON) -> String { String(String(decoding: (try? value.encoded()) ?? [], as: UTF8.self).prefix(120)) }
}

extension ColumnType {
  fileprivate func isSpelled(_ text: String) -> Bool { (try? parameter(fromText: text)) != nil }
}
