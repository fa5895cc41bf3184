import CRMCore
import Foundation
import PostgresClient

extension BusinessOperation {
  /// Asks for offers that stay: for segments, campaigns and BI.
  static let runNextOffers = BusinessOperation(
    "run_next_offers", .post, "/v1/analytics/next_offers/runs", of: "analysis_runs", access: .write(.analytics),
    "Choose what to offer each customer next, and keep it.",
    description: "As list_next_offers, for everybody and from all purchases. The offers of the latest three runs are kept.", input: OffersQuestion.self,
    answer: .record("analysis_runs", status: 202)
  ) { run, question in
    .record(
      try await AnalysisRun.request(
        kind: "next_offer", method: "association_next_best_offer", asOf: question.asOf, parameters: .object(question.terms.parameters), in: run.tx))
  }
}

extension JobHandler {
  static let nextOffers = JobHandler.analysis("next_offer") { run, tx, _ in
    let question = try InputReader.read(OffersQuestion.self, from: run.question)
    let rules = try await tx.result(
      "SELECT a.id, a.result ->> 'currency' AS currency FROM crm.analysis_run AS a WHERE a.id = (SELECT chosen.run_id FROM (\(ReadOperation.associationRun(question.terms.runID))) AS chosen)"
    )
    guard rules.count == 1 else { throw ReadOperation.noAssociationRun }
    let rulesRun = try rules[0].decode(UUID.self, "id")
    try await tx.run(
      """
      INSERT INTO crm.customer_offer (run_id, customer_id, position, item_id, because_item_id, confidence, lift, margin, score, expected_value, channel, discount_cap_percent)
      SELECT \(run.id), o.customer_id, o.position, o.item_id, o.because_item_id, o.confidence, o.lift, o.margin, o.score, o.expected_value, o.channel, o.discount_cap_percent
        FROM \(question.terms.offers(by: "\(rulesRun)", asOf: question.asOf, customers: "NULL::uuid[]")) AS o
      """)
    let whole = try await tx.result(
      """
      SELECT count(DISTINCT o.customer_id) AS customers, count(*) AS offers, coalesce(round(sum(o.expected_value) FILTER (WHERE o.position = 1), 2), 0)::text AS expected_value
        FROM crm.customer_offer AS o WHERE o.run_id = \(run.id)
      """)[0]
    try await tx.run(
      """
      DELETE FROM crm.customer_offer WHERE run_id IN (
        SELECT a.id FROM crm.analysis_run AS a WHERE a.kind = 'next_offer' AND a.status = 'done' ORDER BY a.finished_at DESC OFFSET 2)
      """)
    let customers = try whole.decode(Int.self, "customers")
    return (
      population: customers,
      result: [
        "customers": .number(Decimal(customers)), "offers": .number(Decimal(try whole.decode(Int.self, "offers"))),
        "expected_value_of_first_offers": .string(try whole.decode(String.self, "expected_value")), "rules_run_id": .string(rulesRun.lowercase),
        "currency": (try rules[0].decode(String?.self, "currency")).map(JSON.string) ?? .null,
      ]
    )
  }
}
