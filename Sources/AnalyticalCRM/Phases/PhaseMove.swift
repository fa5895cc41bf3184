import CRMCore
import Foundation
import PostgresClient

private struct PhaseMoveInput: OperationInput {
  let phase: Phase
  let reason: String

  init(_ fields: inout InputReader) {
    phase = fields.option("phase", "The phase the customer goes to.", of: Phase.self, placeholder: .selection)
    reason = fields.text("reason", "Why.", maximum: 500)
  }
}

/// What a move is judged by.
private struct MoveFacts: RowDecodable {
  let phase: Phase?
  let requires: PhaseRequirement?
  let hasBought: Bool
  let orders: Int
  let reachable: [String]

  init(row: PostgresRow) throws {
    phase = try row.decode(Phase?.self, "phase")
    requires = try row.decode(PhaseRequirement?.self, "requires")
    hasBought = try row.decode("has_bought")
    orders = try row.decode("orders")
    reachable = try row.decode([String].self, "reachable")
  }

  func mustAllow(_ target: Phase) throws(Problem) {
    guard let phase else { return }
    if phase == target {
      throw Problem(409, "already-there", Phrase("The customer is in this phase already.", tr: "Müşteri zaten bu evrede."))
    }
    guard let requires else {
      let list = reachable.joined(separator: ", ")
      throw Problem(
        409, "no-such-move",
        Phrase(
          "A customer does not go from \(phase.rawValue) to \(target.rawValue).", tr: "Müşteri \(phase.rawValue) evresinden \(target.rawValue) evresine geçmez."
        ),
        detail: Phrase("From there it may go to: \(list).", tr: "Oradan geçilebilecek evreler: \(list)."))
    }
    if !requires.holds(hasBought: hasBought, orders: orders) {
      throw Problem(409, "move-not-earned", Phrase("What this move asks for does not hold.", tr: "Bu geçişin koşulu sağlanmıyor."), detail: requires.words)
    }
  }
}

extension BusinessOperation {
  static let moveCustomerPhase = BusinessOperation(
    "move_customer_phase", .post, "/v1/customers/{id}/phase", of: "customer_phases", access: .write(.customers),
    "Move a customer to another phase, with a reason",
    description:
      "Which moves there are, and what each asks of the customer, is at GET /v1/customers/{id}/phase. What somebody decided stands for 90 days; then the nightly derivation decides again. "
      + "Refused (409): already-there, no-such-move, move-not-earned.",
    input: PhaseMoveInput.self, answer: .record("customer_phases"), extending: [.sales, .marketing, .products]
  ) { run, input in
    let id = try run.id()
    // Whoever may move a customer may change it; two who move it at once wait for each other.
    guard try await run.tx.result("SELECT 1 FROM crm.customer AS c WHERE c.id = \(id) FOR UPDATE").count == 1 else {
      guard try await run.tx.result("SELECT 1 FROM crm.customer AS c WHERE c.id = \(id)").count == 1 else { throw Problem.notFound }
      throw Problem.forbidden(Phrase("You may see this customer but not change it.", tr: "Bu müşteriyi görebilirsiniz ama değiştiremezsiniz."))
    }
    let facts = try await run.tx.one(
      MoveFacts.self,
      """
      SELECT p.phase, m.requires, coalesce(f.last_purchase_at IS NOT NULL, false) AS has_bought, coalesce(f.orders, 0) AS orders,
             ARRAY(SELECT x.to_phase FROM crm.phase_move x WHERE x.from_phase = p.phase ORDER BY x.to_phase) AS reachable
        FROM crm.customer c LEFT JOIN crm.customer_phase p ON p.customer_id = c.id AND p.left_at IS NULL
        LEFT JOIN crm.phase_move m ON m.from_phase = p.phase AND m.to_phase = \(input.phase.rawValue)
        LEFT JOIN LATERAL analytics.phase_fact(now(), ARRAY[c.id]) f ON true
       WHERE c.id = \(id)
      """)
    try facts.mustAllow(input.phase)
    try await run.tx.run("UPDATE crm.customer_phase SET left_at = now() WHERE customer_id = \(id) AND left_at IS NULL")
    return .record(
      try await run.tx.value(
        UUID.self,
        """
        INSERT INTO crm.customer_phase (customer_id, phase, entered_at, decided_by, reason) VALUES (\(id), \(input.phase.rawValue), now(), 'person', \(input.reason)) RETURNING id
        """))
  }
}

private struct PhaseRunRequest: OperationInput {
  let asOf: Date?

  init(_ fields: inout InputReader) {
    asOf = fields.optionalInstant(
      "as_of", "The instant up to which facts count and at which customers go; now when left out. Customers whose phase began later stay.")
    if let asOf, asOf > Date() {
      fields.refuse(
        "as_of", code: "future", Phrase("Nothing is known of the future; give an instant that has passed.", tr: "Gelecek bilinmez; geçmiş bir an verin."))
    }
  }
}

extension BusinessOperation {
  static let runCustomerPhases = BusinessOperation(
    "run_customer_phases", .post, "/v1/analytics/phases/runs", of: "analysis_runs", access: .write(.analytics),
    "Put every customer into the phase that the rules say",
    description:
      "What happens every night, as of any instant: asked for month by month, the past is written down as it went. deepening: a purchase within 365 days, three in all and two top "
      + "categories in that time; retention: one; acquisition: an earlier purchase, or a contact within 180 days; else selection. One step at a time; what somebody decided stands for 90 days.",
    input: PhaseRunRequest.self, answer: .record("analysis_runs", status: 202)
  ) { run, input in
    .record(try await AnalysisRun.request(kind: "customer_phases", method: "four_phases", asOf: input.asOf, in: run.tx))
  }
}

extension JobHandler {
  static let deriveCustomerPhases = analysis("customer_phases", deadline: 1_800) { run, tx, _ in
    let closed = try await tx.run(
      "UPDATE crm.customer_phase AS p SET left_at = \(run.asOf) FROM analytics.phase_change(\(run.asOf)) AS c WHERE p.customer_id = c.customer_id AND p.left_at IS NULL"
    )
    let entered = try await tx.run(
      """
      INSERT INTO crm.customer_phase (customer_id, phase, entered_at, decided_by, reason)
      SELECT c.customer_id, c.to_phase, \(run.asOf), 'rule', c.rule FROM analytics.phase_change(\(run.asOf)) AS c
       WHERE NOT EXISTS (SELECT FROM crm.customer_phase p WHERE p.customer_id = c.customer_id AND p.left_at IS NULL) ORDER BY c.customer_id
      """)
    let counts = try await tx.result("SELECT p.phase, count(*) AS customers FROM crm.customer_phase p WHERE p.left_at IS NULL GROUP BY p.phase")
    var phases: [String: JSON] = [:]
    var population = 0
    for row in counts.rows {
      let customers = try row.decode(Int.self, "customers")
      phases[try row.decode("phase")] = .count(customers)
      population += customers
    }
    return (population, ["moved": .count(closed), "first_placed": .count(entered - closed), "phases": .object(phases)])
  }

  /// Asks for the nightly run.
  static let requestCustomerPhases = JobHandler("phases.request") { lease in
    _ = try await lease.complete(as: .system("derive phases"), deadline: .after(.seconds(30))) { tx in
      try await AnalysisRun.request(kind: "customer_phases", method: "four_phases", asOf: nil, in: tx)
    }
  }
}

extension Schedule {
  /// Every night: at midnight UTC, which is three in the morning in Türkiye.
  static let customerPhases = Schedule("customer_phases", kind: "phases.request", .every(.seconds(86_400)))
}
