import CRMCore
import Foundation
import PostgresClient

/// The channel an offer is to be made on.
enum OfferChannel: String, CaseIterable, Sendable {
  case email, sms, phone, visit, post, online
}

/// How offers are chosen.
struct OfferTerms: OperationInput {
  let runID: UUID?
  let windowDays: Int
  /// As a share; nil when things without a known cost are not offered.
  let marginRate: Decimal?
  let contactCost: Decimal
  let minimumLift: Decimal
  /// 0 asks for no pause.
  let contactGapDays: Int
  /// Nil leaves it to the policy of the customer's cell.
  let channel: OfferChannel?
  let brandID: UUID?
  /// Whether the policies of the grid that steers are passed over.
  let ignoresPolicy: Bool
  let most: Int

  init(_ fields: inout InputReader) {
    runID = fields.optionalID("rules_run_id", "The run of association rules; the last one of the whole company when left out.")
    windowDays = fields.optionalInteger("window_days", "Offer nothing that was bought within so many days; 30 when left out.", in: 0...3_650) ?? 30
    marginRate =
      fields.optionalDecimal(
        "margin_percent",
        "Margin in percent of revenue of what has no known cost; without it such revenue counts as no margin, and things without any known cost are not offered.",
        scale: 4, in: 0...100
      ).map { $0 / 100 }
    contactCost =
      fields.optionalDecimal("contact_cost", "What a contact costs, in the currency of the rules' run; 0 when left out.", scale: 4, in: 0...1_000_000) ?? 0
    minimumLift =
      fields.optionalDecimal("min_lift", "Which lift a rule needs at least; 1.1 when left out.", scale: 6, in: 0...1_000_000)
      ?? Decimal(sign: .plus, exponent: -1, significand: 11)
    contactGapDays =
      fields.optionalInteger(
        "contact_gap_days", "Offer nothing to a customer whom a campaign reached within so many days; 0, which asks nobody, when left out.", in: 0...3_650) ?? 0
    channel = fields.optionalOption(
      "channel",
      "Make the offers on this channel; that of the customer's policy when left out. On email, sms and phone nothing is offered to whom no message may go.",
      of: OfferChannel.self)
    brandID = fields.optionalID("brand_id", "The brand whose consents count; those given to no brand when left out.")
    ignoresPolicy = fields.flag("ignore_policy", "Pass over what the policy of the customer's cell says of channel, contact cadence and letting go.")
    most = fields.optionalInteger("limit", "At most so many for a customer; 5 when left out.", in: 1...100) ?? 5
  }

  /// The set of offers as `analytics.next_offers` makes it.
  /// - Parameter customers: an SQL array of ids; NULL for everybody.
  func offers(by run: SQL, asOf: Date, customers: SQL) -> SQL {
    """
    analytics.next_offers(\(run), \(asOf), \(windowDays), \(marginRate), \(contactCost), \(minimumLift)::float8, \(customers), \(most), \(contactGapDays), \(!ignoresPolicy), \(channel?.rawValue)::text, \(brandID)::uuid)
    """
  }

  /// Why nothing is offered to a customer, as `analytics.offer_hindrance` says it.
  func hindrance(of customer: SQL, asOf: Date) -> SQL {
    "analytics.offer_hindrance(\(customer), \(asOf)::timestamptz, \(contactGapDays), \(!ignoresPolicy), \(channel?.rawValue)::text, \(brandID)::uuid)"
  }

  var parameters: [String: JSON] {
    [
      "rules_run_id": runID.map { .string($0.lowercase) } ?? .null, "window_days": .number(Decimal(windowDays)),
      "margin_percent": marginRate.map { .number($0 * 100) } ?? .null,
      "contact_cost": .number(contactCost), "min_lift": .number(minimumLift),
      "contact_gap_days": .number(Decimal(contactGapDays)), "limit": .number(Decimal(most)), "channel": channel.map { .string($0.rawValue) } ?? .null,
      "brand_id": brandID.map { .string($0.lowercase) } ?? .null, "ignore_policy": .bool(ignoresPolicy),
    ]
  }
}

/// Why nothing is offered to a customer.
private enum OfferHindrance: String, CaseIterable {
  case letGo = "let_go"
  case contacted, cadence, consent

  var note: Phrase {
    switch self {
    case .letGo:
      Phrase("The customer's cell has the strategy to let go: nothing is offered.", tr: "Müşterinin hücresinde strateji bırakmak: bir şey önerilmez.")
    case .contacted:
      Phrase(
        "A campaign reached this customer lately: wait before the next contact.",
        tr: "Bu müşteriye yakın zamanda bir kampanya ulaştı: yeni temas için bekleyin.")
    case .cadence:
      Phrase(
        "There was a contact within the days that the customer's policy leaves between two: wait for the next one.",
        tr: "Müşterinin politikasının iki temas arasında bıraktığı süre dolmadı: sıradaki temas için bekleyin.")
    case .consent:
      Phrase(
        "No message may go to this customer on that channel: consent, a preference or a frequency cap forbids it.",
        tr: "Bu kanaldan bu müşteriye ileti gönderilemez: onay, tercih ya da sıklık sınırı izin vermiyor.")
    }
  }
}

struct OffersQuestion: OperationInput {
  let asOf: Date
  let terms: OfferTerms

  init(_ fields: inout InputReader) {
    asOf = PurchaseTime(&fields).asOf
    terms = OfferTerms(&fields)
  }
}

extension ReadOperation {
  static let nextOffers = ReadOperation(
    "list_next_offers", "/v1/customers/{id}/next-offers", tag: "customers", access: .read(.customers), "List what to offer a customer next, and why.",
    description:
      "From the purchases you may see and the rules of a run (run_association_rules). Candidates are things not bought within the window that may be offered: active, and in stock where stock "
      + "is kept of them. score = confidence of the best rule from a thing the customer bought (lift of at least min_lift) × the margin the thing brings in a purchase; ties go by lift, then id. "
      + "expected_value = score − contact_cost; only offers above zero are listed, so the list may be empty. It is empty, and a note says why, for a customer whom a campaign reached within "
      + "contact_gap_days, whom the policy of its cell lets go or leaves in peace between contacts, or to whom no message may go on the channel (consent, suppression, preference, frequency caps, "
      + "as they are now). channel and discount_cap_percent are what the policy says. 404 when there is no such customer or run. n is how many purchases the rules were found in.",
    input: OffersQuestion.self,
    answer: (
      "application/json",
      [
        "type": "object", "required": ["as_of", "method", "model", "version", "n", "run_id", "currency", "note", "data"],
        "properties": .object(
          PurchaseAnswer.heading.merging([
            "run_id": AnswerField.id, "currency": AnswerField.optional(AnswerField.text), "note": AnswerField.optional(AnswerField.text),
            "data": PurchaseAnswer.list([
              "position": AnswerField.count, "item_id": AnswerField.id, "item": AnswerField.text, "because_item_id": AnswerField.id,
              "because_item": AnswerField.text,
              "reason": AnswerField.text, "confidence": AnswerField.number, "lift": AnswerField.number, "margin": AnswerField.decimal,
              "score": AnswerField.number,
              "expected_value": AnswerField.decimal, "channel": AnswerField.optional(AnswerField.text),
              "discount_cap_percent": AnswerField.optional(AnswerField.decimal),
            ]),
          ]) { $1 }),
      ]
    ), refusals: [404], reading: [.customers, .sales], extending: [.analytics, .products, .purchasing, .marketing],
    statements: { request, question in
      let reason = Phrase("Because you bought {item}.", tr: "{item} aldığınız için.").text(in: request.language)
      let hindrances = OfferHindrance.allCases
      let (kinds, notes) = (hindrances.map(\.rawValue), hindrances.map { $0.note.text(in: request.language) })
      let run: SQL = "(SELECT chosen.run_id FROM (\(associationRun(question.terms.runID))) AS chosen)"
      let customer: SQL = "\(request.parameters["id"].flatMap(UUID.init(uuidString:)))::uuid"
      return [
        visibleCustomer(request),
        """
        SELECT \(question.asOf)::timestamptz AS as_of, 'association_next_best_offer' AS method, 'association' AS model, 1 AS version, a.population AS n, a.id AS run_id,
               a.result ->> 'currency' AS currency,
               (\(notes)::text[])[array_position(\(kinds)::text[], \(question.terms.hindrance(of: customer, asOf: question.asOf)))] AS note
          FROM crm.analysis_run AS a WHERE a.id = \(run)
        """,
        """
        SELECT o.position, o.item_id, i.name AS item, o.because_item_id, b.name AS because_item, replace(\(reason)::text, '{item}', b.name) AS reason, o.confidence, o.lift,
               round(o.margin, 4) AS margin, o.score, round(o.expected_value, 4) AS expected_value, o.channel, o.discount_cap_percent
          FROM \(question.terms.offers(by: run, asOf: question.asOf, customers: "ARRAY[\(customer)]")) AS o
          JOIN analytics.item_name AS i ON i.item_id = o.item_id JOIN analytics.item_name AS b ON b.item_id = o.because_item_id
         ORDER BY o.position
        """,
      ]
    },
    respond: { _, results in
      guard results[0].count == 1 else { throw Problem.notFound }
      guard results[1].count == 1 else { throw noAssociationRun }
      var writer = JSONWriter(capacity: 2048)
      writer.beginObject()
      writer.writeMembers(results[1], 0)
      writer.key("data")
      writer.writeRows(results[2])
      writer.endObject()
      return .json(writer.take())
    })
}
