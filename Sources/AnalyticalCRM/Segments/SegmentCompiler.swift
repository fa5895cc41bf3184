import CRMCore
import Foundation
import PostgresClient

/// Makes a rule one condition on the customers `t`, and for explanations each of its conditions alone.
struct SegmentCompiler {
  /// One condition of the rule, by itself.
  struct Leaf {
    /// Where it stands in the definition, as a JSON pointer.
    let pointer: String
    /// What it looks at, and how it compares.
    let name: String
    let comparison: Comparison
    let operand: Filter.Operand
    let windowDays: Int?
    let holds: SQL
    /// The customer's actual value, as text.
    let value: SQL
  }

  /// A rule ready to be run.
  struct Compiled {
    /// The customers `t` with everything that the condition needs beside them.
    let from: SQL
    let condition: SQL
    let areas: Set<Area>
    let leaves: [Leaf]

    var count: SQL { "SELECT count(*) FROM \(from) WHERE \(condition)" }
  }

  private let compiler: QueryCompiler
  private let customers: [UUID]?
  private var scope: ConditionScope
  private var sources: MeasureSources
  private var leaves: [Leaf] = []

  /// - Parameters:
  ///   - asOf: facts at this instant or later do not count; nil for now.
  ///   - currency: of all amounts.
  ///   - customers: only these are asked; nil for everybody.
  private init(_ compiler: QueryCompiler, asOf: Date?, currency: String?, customers: [UUID]?) throws(Problem) {
    self.compiler = compiler
    self.customers = customers
    scope = try ConditionScope("customers", alias: "t", compiler: compiler, pointer: "")
    sources = MeasureSources(asOf: asOf.map { "\($0)::timestamptz" } ?? "now()", currency: currency ?? "TRY", customers: customers)
  }

  static func compile(_ rule: SegmentRule, _ compiler: QueryCompiler, asOf: Date? = nil, currency: String?, customers: [UUID]? = nil) throws(Problem)
    -> Compiled
  {
    var compiling = try SegmentCompiler(compiler, asOf: asOf, currency: currency, customers: customers)
    let condition = try compiling.condition(rule)
    if customers == nil { compiling.sources.narrowing = try narrowing(rule, compiler) }
    let only: SQL = customers.map { "t.id = ANY(\($0)::uuid[]) AND " } ?? ""
    return Compiled(
      from: "\(compiling.scope.from)\(compiling.sources.joins)", condition: "\(only)(\(condition)) AND \(unrestricted)",
      areas: compiling.scope.areas.union(compiling.sources.areas).union([.customers]), leaves: compiling.leaves)
  }

  /// Whoever objected to profiles, or had processing restricted, is in no segment.
  private static let unrestricted: SQL = "t.id NOT IN (SELECT r FROM crm.restricted_customers() AS r)"

  /// The customers that fit what the rule demands of their own fields and of what models say of them, whatever else it says.
  private static func narrowing(_ rule: SegmentRule, _ compiler: QueryCompiler) throws(Problem) -> SQL? {
    guard case .all(let parts) = rule else { return nil }
    var narrowing = try SegmentCompiler(compiler, asOf: nil, currency: nil, customers: nil)
    let cheap = parts.filter { part in
      guard case .field(let path, _, _) = part else { return false }
      if let output = narrowing.output(path) { return output.isStored }
      guard path.names[0] != "custom" else { return true }
      return narrowing.scope.entity.column(path.names[0]).map { path.names.count == 1 || $0.type == .json } ?? false
    }
    if cheap.isEmpty { return nil }
    let condition = try narrowing.condition(.all(cheap))
    return "SELECT t.id FROM \(narrowing.scope.from) WHERE \(condition)"
  }

  private mutating func condition(_ rule: SegmentRule) throws(Problem) -> SQL {
    switch rule {
    case .all(let parts): return try join(parts, with: " AND ", empty: "true")
    case .any(let parts): return try join(parts, with: " OR ", empty: "false")
    case .not(let part): return "(\(try condition(part))) IS NOT TRUE"
    case .field(let path, let comparison, let operand):
      if let output = output(path) { return try self.output(output, path, comparison, operand) }
      let holds = try scope.condition(.compare(path, comparison, operand))
      return add(holds, path.pointer, path.description, comparison, operand, value: try scope.shown(path))
    case .measure(let measure, let comparison, let value, let pointer):
      let number = try sources.value(measure, compiler)
      let path = FieldPath([measure.name], pointer: "\(pointer)/value")
      let holds = try scope.comparison(number, .numeric(precision: nil, scale: nil), path, comparison, .value(value))
      return add(holds, pointer, measure.name, comparison, .value(value), windowDays: measure.windowDays, value: "(\(number))::text")
    }
  }

  /// What a model says of a customer, where a path names that and no field of the customer's own.
  private func output(_ path: FieldPath) -> ModelOutput? { scope.entity.column(path.names[0]) == nil ? ModelOutput(path) : nil }

  private mutating func join(_ parts: [SegmentRule], with separator: StaticString, empty: SQL) throws(Problem) -> SQL {
    var conditions: [SQL] = []
    for part in parts { conditions.append("(\(try condition(part)))") }
    return conditions.isEmpty ? empty : "(" + conditions.joined(separator: separator) + ")"
  }

  private mutating func output(_ output: ModelOutput, _ path: FieldPath, _ comparison: Comparison, _ operand: Filter.Operand) throws(Problem) -> SQL {
    let (rows, column) = try output.column(in: compiler, path)
    let inside = try scope.comparison("o.\(column.identifier)", column.type, path, comparison, operand)
    let holds: SQL = "EXISTS (SELECT FROM \(rows) o.customer_id = t.id AND \(inside))"
    return add(
      holds, path.pointer, path.description, comparison, operand,
      value: "(SELECT string_agg(o.\(column.identifier)::text, ', ' ORDER BY o.\(column.identifier)) FROM \(rows) o.customer_id = t.id)")
  }

  private mutating func add(
    _ holds: SQL, _ pointer: String, _ name: String, _ comparison: Comparison, _ operand: Filter.Operand, windowDays: Int? = nil, value: SQL
  ) -> SQL {
    leaves.append(Leaf(pointer: pointer, name: name, comparison: comparison, operand: operand, windowDays: windowDays, holds: holds, value: value))
    return holds
  }
}
