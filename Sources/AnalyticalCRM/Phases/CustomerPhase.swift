package import CRMCore
import Foundation
import PostgresClient

extension Concept {
  /// Where each customer stands between being chosen and buying often and broadly, and what that costs.
  static let phases = Concept(
    resources: [.customerPhases], operations: [.moveCustomerPhase, .runCustomerPhases], reads: [.customerPhase, .phaseReport, .phaseChart],
    jobs: [.deriveCustomerPhases, .requestCustomerPhases], schedules: [.customerPhases])
}

extension Resource {
  /// The phase that a customer was in from an instant until another, and why. Written by rule, and by the operation that moves a customer.
  package static let customerPhases = Resource(
    "customer_phases", singular: "customer_phase", table: "crm.customer_phase", area: .customers, expand: ["customer"], order: "-entered_at")
}

/// The four phases of a relation.
enum Phase: String, CaseIterable, Sendable, PostgresDecodable {
  case selection, acquisition, retention, deepening

  var name: Phrase {
    switch self {
    case .selection: Phrase("Selection", tr: "Seçme")
    case .acquisition: Phrase("Acquisition", tr: "Edinme")
    case .retention: Phrase("Retention", tr: "Koruma")
    case .deepening: Phrase("Deepening", tr: "Derinleştirme")
    }
  }
}

/// What must hold of a customer before a move.
enum PhaseRequirement: String, Sendable, PostgresDecodable {
  case nothing
  case neverBought = "never_bought"
  case boughtWithinAYear = "bought_within_a_year"
  case boughtTwiceWithinAYear = "bought_twice_within_a_year"

  /// - Parameters:
  ///   - hasBought: whether there ever was a purchase.
  ///   - orders: purchases of the last 365 days.
  func holds(hasBought: Bool, orders: Int) -> Bool {
    switch self {
    case .nothing: true
    case .neverBought: !hasBought
    case .boughtWithinAYear: orders >= 1
    case .boughtTwiceWithinAYear: orders >= 2
    }
  }

  var words: Phrase {
    switch self {
    case .nothing: Phrase("Nothing is asked for.", tr: "Koşul yok.")
    case .neverBought: Phrase("The customer must never have bought anything.", tr: "Müşteri hiç alışveriş yapmamış olmalı.")
    case .boughtWithinAYear: Phrase("The customer must have bought something within 365 days.", tr: "Müşteri son 365 günde alışveriş yapmış olmalı.")
    case .boughtTwiceWithinAYear:
      Phrase("The customer must have bought at least twice within 365 days.", tr: "Müşteri son 365 günde en az iki kez alışveriş yapmış olmalı.")
    }
  }
}

extension ReadOperation {
  /// Where a customer stands, since when and why, and where they may go.
  static let customerPhase = ReadOperation(
    "read_customer_phase", "/v1/customers/{id}/phase", tag: "customer_phases", access: .read(.customers),
    "Read in which phase a customer is, and where it may go from there",
    description:
      "by_rule is what the nightly derivation would say now, and rule why. moves: each phase that may follow, what it asks for, and whether that holds. phase is null before the first derivation.",
    input: NoInput.self,
    row: [
      "phase": AnswerField.optional(AnswerField.text), "since": AnswerField.optional(AnswerField.instant), "days": AnswerField.optional(AnswerField.number),
      "decided_by": AnswerField.optional(AnswerField.text), "reason": AnswerField.optional(AnswerField.text), "by_rule": AnswerField.optional(AnswerField.text),
      "rule": AnswerField.optional(AnswerField.text), "last_contact_at": AnswerField.optional(AnswerField.instant),
      "last_purchase_at": AnswerField.optional(AnswerField.instant), "orders": AnswerField.optional(AnswerField.count),
      "categories": AnswerField.optional(AnswerField.count), "moves": ["type": "array", "items": ["type": "object"]],
    ],
    reading: [.customers], extending: [.sales, .marketing, .products],
    mustExist: { request in "SELECT 1 FROM crm.customer WHERE id = \(try request.pathID())" }
  ) { request, _ in
    let id = try request.pathID()
    return """
      SELECT p.phase, p.entered_at AS since, (extract(epoch FROM now() - p.entered_at) / 86400)::float8 AS days, p.decided_by, p.reason, r.phase AS by_rule, r.rule,
             f.last_contact_at, f.last_purchase_at, f.orders, f.categories, coalesce((
               SELECT json_agg(json_build_object('phase', m.to_phase, 'forward', m.forward, 'requires', m.requires, 'open', CASE m.requires
                        WHEN 'nothing' THEN true WHEN 'never_bought' THEN f.last_purchase_at IS NULL WHEN 'bought_within_a_year' THEN f.orders >= 1 ELSE f.orders >= 2 END)
                        ORDER BY m.forward DESC, m.to_phase)
                 FROM crm.phase_move m WHERE m.from_phase = p.phase), '[]') AS moves
        FROM crm.customer c LEFT JOIN crm.customer_phase p ON p.customer_id = c.id AND p.left_at IS NULL
        LEFT JOIN LATERAL analytics.phase_fact(now(), ARRAY[c.id]) f ON true LEFT JOIN LATERAL analytics.phase_by_rule(now(), ARRAY[c.id]) r ON true
       WHERE c.id = \(id)
      """
  }
}
