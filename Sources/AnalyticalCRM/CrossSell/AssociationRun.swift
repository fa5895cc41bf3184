import CRMCore
import Foundation
import PostgresClient

extension Concept {
  /// What is bought together, and what to offer whom.
  static let crossSelling = Concept(
    operations: [.runAssociation, .runNextOffers], reads: [.associationRules, .nextOffers], jobs: [.association, .nextOffers])
}

/// What rules are looked for in.
struct AssociationQuestion: OperationInput {
  let scope: PurchaseScope
  /// Purchases before it do not count; nil for all.
  let since: Date?
  /// Nil for products.
  let level: Int?
  let minimumSupport: Decimal
  let minimumConfidence: Decimal
  let minimumLift: Decimal
  let maximumLength: Int
  let singleConsequent: Bool

  init(_ fields: inout InputReader) {
    scope = PurchaseScope(&fields)
    since = fields.optionalInstant("since", "Purchases before this instant do not count; all do when left out.")
    level = ItemLevel(&fields).level
    minimumSupport =
      fields.optionalDecimal(
        "min_support", "In which share of all purchases a set must be at least, 0.01 when left out.", scale: 9,
        in: Decimal(sign: .plus, exponent: -9, significand: 1)...1)
      ?? Decimal(sign: .plus, exponent: -2, significand: 1)
    minimumConfidence = fields.optionalDecimal("min_confidence", "How often a rule must hold at least, 0 when left out.", scale: 9, in: 0...1) ?? 0
    minimumLift = fields.optionalDecimal("min_lift", "How many times more often than by chance at least, 1 when left out.", scale: 9, in: 0...1_000_000) ?? 1
    maximumLength = fields.optionalInteger("max_length", "How many things a rule may have on both sides together, 3 when left out.", in: 2...6) ?? 3
    singleConsequent = fields.flag("single_consequent", "Only rules with one thing on the right.")
    if let since, since >= scope.asOf {
      fields.refuse("since", code: "range", Phrase("since does not lie before as_of.", tr: "since, as_of'dan önce değil."))
    }
  }

  var parameters: JSON {
    .object(
      scope.parameters.merging([
        "since": since.map { .string($0.formatted(.iso8601.year().month().day().timeZone(separator: .colon).time(includingFractionalSeconds: true))) } ?? .null,
        "level": level.map { .number(Decimal($0)) } ?? .null, "min_support": .number(minimumSupport), "min_confidence": .number(minimumConfidence),
        "min_lift": .number(minimumLift), "max_length": .number(Decimal(maximumLength)), "single_consequent": .bool(singleConsequent),
      ]) { $1 })
  }
}

extension BusinessOperation {
  static let runAssociation = BusinessOperation(
    "run_association_rules", .post, "/v1/analytics/association_rules/runs", of: "analysis_runs", access: .write(.analytics),
    "Look for what is bought together.",
    description:
      "A worker computes it; the run shows progress, what came out, or why it failed. All purchases count as baskets, also those without any thing of the level; returned goods are in "
      + "none. Support, confidence, lift, leverage and conviction (null for a rule that always held) are of whole sets. Offers follow the last run of the whole company.",
    input: AssociationQuestion.self, answer: .record("analysis_runs", status: 202)
  ) { run, question in
    .record(
      try await AnalysisRun.request(
        kind: "association", method: "association_rules_eclat", asOf: question.scope.asOf, parameters: question.parameters,
        department: question.scope.departmentID, in: run.tx))
  }
}

extension JobHandler {
  static let association = JobHandler.analysis("association") { run, tx, progress in
    let question = try InputReader.read(AssociationQuestion.self, from: run.question)
    let currency = try PurchaseScope.currency(checking: await tx.result(question.scope.currencies))
    let (asOf, since, department) = (question.scope.asOf, question.since, question.scope.departmentID)
    let baskets = try await tx.value(
      Int.self,
      """
      SELECT count(*) FROM analytics.purchase AS p
       WHERE p.ordered_at < \(asOf) AND (p.ordered_at >= \(since) OR \(since)::timestamptz IS NULL) AND (p.department_id = \(department) OR \(department)::uuid IS NULL)
      """)
    let found = try await tx.result(
      "SELECT f.item_id, f.places FROM analytics.frequent_items(\(asOf), \(since), \(department), \(question.level), \(question.minimumSupport)) AS f ORDER BY f.item_id"
    )
    try await progress.reached(30)
    let ids = try found.rows.map { try $0.decode(UUID.self, "item_id") }
    let minimum = NSDecimalNumber(decimal: question.minimumSupport * Decimal(baskets)).rounding(accordingToBehavior: NSDecimalNumberHandler.up).intValue
    let itemsets: [Itemset]
    do {
      itemsets = try await FrequentItemsets.find(
        in: found.rows.map { try $0.decode([Int32].self, "places") }, baskets: baskets, minimumCount: minimum, maximumLength: question.maximumLength)
    } catch is FrequentItemsets.TooMany { throw Self.tooMany }
    let rules = AssociationRule.rules(
      of: itemsets, baskets: baskets, minimumConfidence: NSDecimalNumber(decimal: question.minimumConfidence).doubleValue,
      minimumLift: NSDecimalNumber(decimal: question.minimumLift).doubleValue, singleConsequent: question.singleConsequent)
    guard rules.count <= 100_000 else { throw Self.tooMany }
    try await progress.reached(80)
    try await tx.run(
      """
      INSERT INTO crm.association_item (run_id, item_id, baskets, revenue, margin, revenue_without_cost)
      SELECT \(run.id), m.item_id, m.baskets, m.revenue, m.margin, m.revenue_without_cost
        FROM analytics.item_margins(\(asOf), \(since), \(question.scope.timeZone), \(currency), \(department), \(question.level)) AS m WHERE m.item_id = ANY (\(ids)::uuid[])
      """)
    try await store(rules, of: ids, run: run.id, in: tx)
    try await tx.run(
      """
      WITH gone AS (SELECT a.id FROM crm.analysis_run AS a WHERE a.kind = 'association' AND a.status = 'done' AND a.department_id IS NOT DISTINCT FROM \(department)
                     ORDER BY a.finished_at DESC OFFSET 11),
        rules AS (DELETE FROM crm.association_rule WHERE run_id IN (SELECT g.id FROM gone AS g))
      DELETE FROM crm.association_item WHERE run_id IN (SELECT g.id FROM gone AS g)
      """)
    let lengths = Dictionary(grouping: itemsets, by: \.items.count).map { (String($0), JSON.number(Decimal($1.count))) }
    return (
      population: baskets,
      result: [
        "baskets": .number(Decimal(baskets)), "minimum_count": .number(Decimal(minimum)), "currency": .string(currency),
        "itemsets": .number(Decimal(itemsets.count)),
        "itemsets_by_length": .object(Dictionary(uniqueKeysWithValues: lengths)), "rules": .number(Decimal(rules.count)),
      ]
    )
  }

  private static func store(_ rules: [AssociationRule], of ids: [UUID], run: UUID, in tx: PostgresTransaction) async throws {
    func list(_ items: [Int]) -> String { "{" + items.map { ids[$0].lowercase }.joined(separator: ",") + "}" }
    try await tx.run(
      """
      INSERT INTO crm.association_rule (run_id, position, antecedent, consequent, antecedent_count, consequent_count, both_count, support, confidence, lift, leverage, conviction)
      SELECT \(run), r.position, r.antecedent::uuid[], r.consequent::uuid[], r.antecedent_count, r.consequent_count, r.both_count, r.support, r.confidence, r.lift, r.leverage, r.conviction
        FROM unnest(
               \(rules.map { list($0.antecedent) })::text[], \(rules.map { list($0.consequent) })::text[], \(rules.map(\.antecedentCount))::bigint[],
               \(rules.map(\.consequentCount))::bigint[], \(rules.map(\.bothCount))::bigint[], \(rules.map(\.support))::float8[], \(rules.map(\.confidence))::float8[],
               \(rules.map(\.lift))::float8[], \(rules.map(\.leverage))::float8[], \(rules.map(\.conviction))::float8[])
          WITH ORDINALITY AS r (antecedent, consequent, antecedent_count, consequent_count, both_count, support, confidence, lift, leverage, conviction, position)
      """)
  }

  private static let tooMany = Problem(
    422, "too-many-rules", Phrase("There are too many rules to be of use.", tr: "Kullanılamayacak kadar çok kural var."),
    detail: Phrase("Raise min_support, min_confidence or min_lift.", tr: "min_support, min_confidence ya da min_lift değerini yükseltin."))
}

extension AnalysisRun {
  /// What was asked for, as the operation took it.
  var question: JSON {
    var members = (parameters.object ?? [:]).filter { $0.value != .null }
    members["as_of"] = .string(asOf.formatted(.iso8601.year().month().day().timeZone(separator: .colon).time(includingFractionalSeconds: true)))
    members["department_id"] = departmentID.map { .string($0.lowercase) }
    return .object(members)
  }
}

extension NSDecimalNumberHandler {
  /// To the next whole number that is not smaller.
  fileprivate static var up: NSDecimalNumberHandler {
    NSDecimalNumberHandler(roundingMode: .up, scale: 0, raiseOnExactness: false, raiseOnOverflow: false, raiseOnUnderflow: false, raiseOnDivideByZero: false)
  }
}
