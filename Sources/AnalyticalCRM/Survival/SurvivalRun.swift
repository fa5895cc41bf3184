import CRMCore
import Foundation
import PostgresClient

/// Whose survival is asked for.
struct SurvivalQuestion: OperationInput {
  enum Subject: String, CaseIterable, Sendable {
    case contracts, customers
  }

  let scope: PurchaseScope
  let subject: Subject
  let gaps: Decimal
  let grouping: CustomerGrouping

  init(_ fields: inout InputReader) {
    scope = PurchaseScope(&fields)
    subject = fields.option(
      "subject", "contracts: from their first day to their last one. customers: from their first purchase until they are lost.", of: Subject.self,
      placeholder: .contracts)
    gaps =
      fields.optionalDecimal(
        "gaps",
        "For customers: lost is whose last purchase is longer ago than so many typical gaps (the median between their own days with purchases; everyone's for those with fewer than "
          + "two gaps). 3 when left out.", scale: 4, in: 0.1...1_000) ?? 3
    grouping = CustomerGrouping(&fields)
  }
}

extension BusinessOperation {
  static let runSurvival = BusinessOperation(
    "run_survival", .post, "/v1/analytics/survival/runs", of: "analysis_runs", access: .write(.analytics),
    "Compute how long contracts or customers last (Kaplan-Meier).",
    description: """
      What still goes on at as_of is censored. The run's result has each group's size, median and the log-rank test between groups; list_survival has the curves. A run fails with \
      empty-population when there is nothing to count, and with too-many-groups beyond twenty. The curves of the latest twelve runs of a subject \
      and department are kept.
      """, input: SurvivalQuestion.self, answer: .record("analysis_runs", status: 202)
  ) { run, question in
    let parameters = question.scope.parameters.merging(question.grouping.parameters) { $1 }.merging([
      "subject": .string(question.subject.rawValue), "gaps": question.subject == .customers ? .number(question.gaps) : .null,
    ]) { $1 }
    return .record(
      try await AnalysisRun.request(
        kind: "survival", method: "kaplan_meier", asOf: question.scope.asOf, parameters: .object(parameters), department: question.scope.departmentID,
        in: run.tx))
  }
}

extension JobHandler {
  private static let mostGroups = 20

  static let survival = JobHandler.analysis("survival", deadline: 1_800) { run, tx, progress in
    let found = try await tx.result(lives(run))
    guard found.count > 0 else {
      throw Problem(
        422, "empty-population", Phrase("There is nothing to count before this instant.", tr: "Bu andan önce sayılacak bir şey yok."),
        detail: Phrase(
          "There is nothing to count before this instant. Choose a later as_of or another department.",
          tr: "Bu andan önce sayılacak bir şey yok. Daha geç bir as_of ya da başka bir departman seçin."))
    }
    var groups: [(key: String, counts: [DurationCount])] = []
    for row in found.rows {
      let key: String = try row.decode("group_key")
      if groups.last?.key != key { groups.append((key, [])) }
      groups[groups.count - 1].counts.append(.init(time: try row.decode("days"), ended: try row.decode("ended"), censored: try row.decode("censored")))
    }
    guard groups.count <= mostGroups else {
      throw Problem(
        422, "too-many-groups", Phrase("The field has too many values.", tr: "Alanın değerleri çok fazla."),
        detail: Phrase(
          "The field has \(groups.count) values; at most \(mostGroups) groups can be told apart.",
          tr: "Alanın \(groups.count) değeri var; en çok \(mostGroups) grup ayırt edilebilir."))
    }
    try await progress.reached(50)
    var described: [JSON] = []
    for group in groups {
      let curve = KaplanMeier(group.counts)
      try await write(curve, of: group.key, run, in: tx)
      described.append([
        "group": .string(group.key), "n": .count(curve.points.first?.atRisk ?? 0), "ended": .count(group.counts.reduce(0) { $0 + $1.ended }),
        "median_days": curve.median.map(JSON.count) ?? .null, "survival_at_end": curve.points.last.map { JSON.double($0.survival) } ?? .null,
      ])
    }
    // The latest twelve of a subject and department stay, this one among them.
    try await tx.run(
      """
      DELETE FROM crm.survival_point WHERE run_id IN (
        SELECT a.id FROM crm.analysis_run AS a
         WHERE a.kind = 'survival' AND a.status = 'done' AND a.department_id IS NOT DISTINCT FROM \(run.departmentID)
           AND a.parameters ->> 'subject' = \(run.parameters["subject"]?.string)
         ORDER BY a.finished_at DESC OFFSET 11)
      """)
    let test = LogRank(groups.map(\.counts)).map { test -> JSON in
      ["statistic": .double(test.statistic), "degrees": .count(test.degrees), "probability": .double(test.probability)]
    }
    let population = groups.reduce(0) { $0 + $1.counts.reduce(0) { $0 + $1.ended + $1.censored } }
    return (population: population, result: ["groups": .array(described), "log_rank": test ?? .null])
  }

  /// How many ended or were censored after how many days, by group.
  private static func lives(_ run: AnalysisRun) -> SQL {
    let life: SQL =
      run.parameters["subject"]?.string == "customers"
      ? "analytics.customer_life(\(run.asOf), \(run.timeZone), \(run.departmentID), \(run.number("gaps", default: 3))::numeric)"
      : "analytics.contract_life((\(run.asOf)::timestamptz AT TIME ZONE \(run.timeZone))::date, \(run.departmentID))"
    return """
      SELECT g.group_key, l.days, count(*) FILTER (WHERE l.has_ended)::integer AS ended, count(*) FILTER (WHERE NOT l.has_ended)::integer AS censored
        FROM \(life) AS l JOIN analytics.customer_group(\(CustomerGrouping(run).arguments)) AS g ON g.customer_id = l.customer_id
       GROUP BY g.group_key, l.days ORDER BY g.group_key, l.days
      """
  }

  private static func write(_ curve: KaplanMeier, of key: String, _ run: AnalysisRun, in tx: PostgresTransaction) async throws {
    try await tx.run(
      """
      INSERT INTO crm.survival_point (run_id, group_key, day, at_risk, ended, censored, survival, lower, upper)
      SELECT \(run.id), \(key)::text, p.day, p.at_risk, p.ended, p.censored, p.survival, p.lower, p.upper
        FROM unnest(\(curve.points.map(\.time))::integer[], \(curve.points.map(\.atRisk))::bigint[], \(curve.points.map(\.ended))::bigint[],
          \(curve.points.map(\.censored))::bigint[], \(curve.points.map(\.survival))::float8[], \(curve.points.map(\.lower))::float8[], \(curve.points.map(\.upper))::float8[])
          AS p (day, at_risk, ended, censored, survival, lower, upper)
      """)
  }
}
