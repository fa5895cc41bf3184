import Foundation
import PostgresClient

extension QueryCompiler {
  /// The condition of a filter over one scope. Values are bound; names come from the catalogue.
  mutating func condition(_ filter: Filter, in scope: inout QueryScope) throws(Problem) -> SQL {
    switch filter {
    case .all(let parts): return try join(parts, with: " AND ", empty: "true", in: &scope)
    case .any(let parts): return try join(parts, with: " OR ", empty: "false", in: &scope)
    // A missing value makes a comparison neither true nor false; whoever says "not" means everything else.
    case .not(let part): return "(\(try condition(part, in: &scope))) IS NOT TRUE"
    case .compare(let path, let comparison, let operand):
      comparisons += 1
      guard comparisons <= 100 else {
        throw .badFilter(path.pointer, Phrase("A filter holds at most 100 comparisons.", tr: "Bir süzgeç en fazla 100 karşılaştırma içerir."))
      }
      if let inside = try manyCondition(path, comparison, operand, in: &scope) { return inside }
      let field = try scope.field(path, in: &self, pointer: path.pointer)
      return try compare(field, path, comparison, operand)
    }
  }

  private mutating func join(_ parts: [Filter], with separator: StaticString, empty: SQL, in scope: inout QueryScope) throws(Problem) -> SQL {
    var compiled: [SQL] = []
    for part in parts { compiled.append(try condition(part, in: &scope)) }
    if compiled.isEmpty { return empty }
    return compiled.count == 1 ? compiled[0] : "(" + compiled.joined(separator: separator) + ")"
  }

  /// A path through a to-many neighbour: true when one of them fits.
  private mutating func manyCondition(_ path: FieldPath, _ comparison: Comparison, _ operand: Filter.Operand, in scope: inout QueryScope)
    throws(Problem) -> SQL?
  {
    guard path.names.count > 1, path.names.count <= FieldPath.maximumDepth + 1 else { return nil }
    var owner = scope.entity
    for (depth, name) in path.names.dropLast().enumerated() {
      if let many = owner.many[name], let target = model[many.target] {
        let parent = try scope.join(Array(path.names[..<depth]), in: &self, pointer: path.pointer)
        var inner = QueryScope(target, alias: try nextAlias(path.pointer))
        let rest = FieldPath(Array(path.names[(depth + 1)...]), pointer: path.pointer)
        let inside = try condition(.compare(rest, comparison, operand), in: &inner)
        areas.formUnion(inner.areas)
        let joined = many.conditions(inner.alias, of: parent.alias)
        return "EXISTS (SELECT 1 FROM \(inner.from) WHERE \(joined.joined(separator: " AND ")) AND \(inside))"
      }
      guard let one = owner.one[name], let next = model[one.target] else { return nil }
      owner = next
    }
    return nil
  }

  func compare(_ field: ResolvedField, _ path: FieldPath, _ comparison: Comparison, _ operand: Filter.Operand) throws(Problem) -> SQL {
    let pointer = path.pointer
    if comparison.needsOrder, !field.type.isOrdered { throw unfit(comparison, path) }
    if comparison.needsText, field.type != .text { throw unfit(comparison, path) }
    switch (comparison, operand) {
    case (.is, .value(let word)): return try compareIs(field, word, pointer)
    case (.in, .list(let items)): return "\(field.sql) = ANY(\(try items.map { item throws(Problem) in try parameter(item, field, pointer) }))"
    case (.notIn, .list(let items)):
      return "(\(field.sql) = ANY(\(try items.map { item throws(Problem) in try parameter(item, field, pointer) }))) IS NOT TRUE"
    case (_, .value(let text)):
      if case .array(let element) = field.type {
        guard comparison == .equal || comparison == .notEqual else { throw unfit(comparison, path) }
        let item = try parameter(text, ResolvedField(sql: field.sql, type: element, isNullable: true, options: field.options), pointer)
        return comparison == .equal ? "\(item) = ANY(\(field.sql))" : "(\(item) = ANY(\(field.sql))) IS NOT TRUE"
      }
      guard field.type != .json else { throw unfit(comparison, path) }
      let value = try parameter(text, field, pointer)
      switch comparison {
      case .equal: return "\(field.sql) = \(value)"
      case .notEqual: return "\(field.sql) IS DISTINCT FROM \(value)"
      case .less: return "\(field.sql) < \(value)"
      case .lessOrEqual: return "\(field.sql) <= \(value)"
      case .greater: return "\(field.sql) > \(value)"
      case .greaterOrEqual: return "\(field.sql) >= \(value)"
      case .startsWith: return "\(field.sql) ^@ \(value)"
      case .contains: return "strpos(\(field.searchKey), crm.search_key(\(value))) > 0"
      case .in, .notIn, .is: throw unfit(comparison, path)
      }
    case (_, .list): throw unfit(comparison, path)
    }
  }

  private func compareIs(_ field: ResolvedField, _ word: String, _ pointer: String) throws(Problem) -> SQL {
    switch word {
    case "null": return "\(field.sql) IS NULL"
    case "not_null": return "\(field.sql) IS NOT NULL"
    case "true" where field.type == .boolean: return "\(field.sql) IS TRUE"
    case "false" where field.type == .boolean: return "\(field.sql) IS FALSE"
    default:
      throw .badFilter(
        pointer,
        Phrase("is takes null or not_null, and for yes/no fields true or false.", tr: "is; null veya not_null, evet/hayır alanlarında true veya false alır."))
    }
  }

  private func unfit(_ comparison: Comparison, _ path: FieldPath) -> Problem {
    let name = Problem.clipped(path.description)
    return .badFilter(
      path.pointer,
      Phrase("\(comparison.rawValue) cannot be used with \(name).", tr: "\(comparison.rawValue) işleci \(name) alanıyla kullanılamaz."))
  }

  /// Checks a filter's value against the field's type and options, so that PostgreSQL is never asked something it must refuse.
  private func parameter(_ text: String, _ field: ResolvedField, _ pointer: String) throws(Problem) -> String {
    if let options = field.options, !options.contains(text) {
      let nearest = nearestName(to: text, in: options).map { [$0] } ?? options
      let list = nearest.joined(separator: ", ")
      throw .badFilter(
        pointer,
        Phrase(
          "\"\(Problem.clipped(text))\" is not a value of this field. Use: \(list).",
          tr: "\"\(Problem.clipped(text))\" bu alanın değeri değil. Şunu kullanın: \(list)."))
    }
    do {
      // A day stands for its first instant in UTC.
      if field.type == .timestamp, ColumnType.isDate(text.utf8) { return text + "T00:00:00Z" }
      return try field.type.parameter(fromText: text)
    } catch {
      let wanted = field.type.expectation
      throw .badFilter(
        pointer,
        Phrase(
          "\"\(Problem.clipped(text))\" does not fit; expected \(wanted.english).", tr: "\"\(Problem.clipped(text))\" uymuyor; beklenen: \(wanted.turkish)."))
    }
  }
}
