package import CRMCore
import Foundation
import PostgresClient

extension Concept {
  /// Customers cut into tiers by their value, and how they move between them.
  static let pyramids = Concept(
    resources: [.pyramids, .pyramidBands], operations: [.createPyramid], reads: [.valuePyramid, .tierHistory, .pyramidChart, .migrationChart])
}

extension Resource {
  /// How customers are cut into tiers.
  package static let pyramids = Resource(
    "pyramids", singular: "pyramid", table: "crm.pyramid", area: .analytics, change: ["name_en", "name_tr", "source"],
    expand: [.many("bands", of: "pyramid_bands", by: "pyramid_id")], search: ["name_en", "name_tr"], order: "code")

  /// One tier of a pyramid.
  package static let pyramidBands = Resource(
    "pyramid_bands", singular: "pyramid_band", table: "crm.pyramid_band", area: .analytics, change: ["name_en", "name_tr"], expand: ["pyramid"], order: "place")
}

/// How a pyramid is cut.
enum PyramidCut: String, CaseIterable, Sendable {
  case rank, threshold
}

struct PyramidBandInput: OperationInput {
  let code, nameEN, nameTR: String
  let bound: Decimal

  init(_ fields: inout InputReader) {
    code = fields.text("code", "Stable name of the tier.", maximum: 63)
    nameEN = fields.text("name_en", "What people call it, in English.", maximum: 200)
    nameTR = fields.text("name_tr", "What people call it, in Turkish.", maximum: 200)
    bound = fields.decimal(
      "bound", "By rank: the share of all customers down to the end of this band, 0 to 1. By threshold: the lowest score in it, 0 to 100.", scale: 9,
      in: 0...100)
  }
}

extension BusinessOperation {
  struct NewPyramid: OperationInput {
    let code, nameEN, nameTR: String
    let cut: PyramidCut
    let lossApart: Bool
    let bands: [PyramidBandInput]

    init(_ fields: inout InputReader) {
      code = fields.text("code", "Stable name: small letters, digits and underscores.", maximum: 63)
      nameEN = fields.text("name_en", "What people call it, in English.", maximum: 200)
      nameTR = fields.text("name_tr", "What people call it, in Turkish.", maximum: 200)
      cut =
        fields.optionalOption("cut", "rank: bands hold shares of all customers. threshold: bands begin at scores. rank when left out.", of: PyramidCut.self)
        ?? .rank
      lossApart = fields.flag("loss_apart", "Whether customers the company loses money on are in the lowest band whatever their score.")
      bands = fields.list("bands", "The tiers from the top.", of: PyramidBandInput.self, minimum: 1, maximum: 20)
      let bounds = bands.map(\.bound)
      switch cut {
      case .rank:
        if zip(bounds, bounds.dropFirst()).contains(where: { $0 >= $1 }) || bounds.last != 1 || bounds.first == 0 {
          fields.refuse(
            "bands", code: "bounds", Phrase("Shares rise from above 0 to 1 in the last band.", tr: "Paylar 0'dan büyük başlar, son dilimde 1'e ulaşır."))
        }
      case .threshold:
        if zip(bounds, bounds.dropFirst()).contains(where: { $0 <= $1 }) || bounds.last != 0 {
          fields.refuse("bands", code: "bounds", Phrase("Scores fall to 0 in the last band.", tr: "Puanlar düşer ve son dilimde 0 olur."))
        }
      }
      if Set(bands.map(\.code)).count < bands.count {
        fields.refuse("bands", code: "duplicate", Phrase("Every band has a code of its own.", tr: "Her dilimin ayrı bir kodu olur."))
      }
    }
  }

  static let createPyramid = BusinessOperation(
    "create_pyramid", .post, "/v1/pyramids", of: "pyramids", access: .write(.analytics), "Make a pyramid",
    description: "Its tiers, from the top, by shares of all customers or by scores.", input: NewPyramid.self,
    answer: .record("pyramids", status: 201, expand: ["bands"])
  ) { run, input in
    let pyramid = UUID.v7()
    try await run.tx.run(
      """
      INSERT INTO crm.pyramid (id, code, name_en, name_tr, cut, loss_apart)
      VALUES (\(pyramid), \(input.code), \(input.nameEN), \(input.nameTR), \(input.cut.rawValue), \(input.lossApart))
      """)
    for (number, band) in input.bands.enumerated() {
      try await run.tx.run(
        """
        INSERT INTO crm.pyramid_band (pyramid_id, place, code, name_en, name_tr, bound)
        VALUES (\(pyramid), \(number + 1), \(band.code), \(band.nameEN), \(band.nameTR), \(band.bound)::double precision)
        """)
    }
    return .record(pyramid)
  }
}

struct PyramidQuestion: OperationInput {
  let runID: UUID?
  init(_ fields: inout InputReader) { runID = fields.optionalID("run_id", "A run of the model; its last one when left out.") }
}

extension SQL {
  /// The tiers of a run with what is in them, from the top; the groups outside of the pyramid come last and have no share.
  static func pyramid(of run: SQL, isTurkish: Bool) -> SQL {
    """
    SELECT t.tier, coalesce(CASE WHEN \(isTurkish) THEN b.name_tr ELSE b.name_en END,
             CASE t.tier WHEN 'inactive' THEN CASE WHEN \(isTurkish) THEN 'Pasif' ELSE 'Inactive' END WHEN 'prospect' THEN CASE WHEN \(isTurkish) THEN 'Aday' ELSE 'Prospects' END
               WHEN 'suspect' THEN CASE WHEN \(isTurkish) THEN 'Potansiyel' ELSE 'Suspects' END ELSE t.tier END) AS label,
           t.place > 100 AS outside, t.customers, CASE WHEN t.place <= 20 THEN t.customers / nullif(sum(t.customers) FILTER (WHERE t.place <= 20) OVER (), 0)::double precision END AS customer_share,
           t.revenue, CASE WHEN t.place <= 20 THEN (t.revenue / nullif(sum(t.revenue) OVER (), 0))::double precision END AS revenue_share,
           t.margin, t.cost, t.margin - t.cost AS profit, CASE WHEN t.place <= 20 THEN ((t.margin - t.cost) / nullif(sum(t.margin - t.cost) OVER (), 0))::double precision END AS profit_share,
           t.min_score, t.max_score
      FROM crm.value_run_tier AS t
      JOIN crm.analysis_run AS r ON r.id = t.run_id
      JOIN crm.value_model AS v ON v.id = r.subject_id
      LEFT JOIN crm.pyramid_band AS b ON b.pyramid_id = v.pyramid_id AND b.code = t.tier
     WHERE t.run_id = \(run) ORDER BY t.place
    """
  }
}

extension ReadOperation {
  /// What is in each tier.
  static let valuePyramid = ReadOperation(
    "read_value_pyramid", "/v1/value_models/{id}/pyramid", tag: "value_models", access: .read(.analytics), "Read the customer pyramid",
    description: """
      The tiers of a run from the top: customers, revenue, margin (revenue less the known cost of products), cost to serve, profit, and their shares of all tiers, in the model's window and the \
      run's currency. Then the groups outside of the pyramid: inactive (bought, but not lately), prospect and suspect (bought nothing yet).
      """,
    input: PyramidQuestion.self,
    answer: (
      "application/json",
      AnswerField.ofRun([
        "tier": AnswerField.text, "label": AnswerField.text, "outside": AnswerField.flag, "customers": AnswerField.count,
        "customer_share": AnswerField.optional(AnswerField.number),
        "revenue": AnswerField.decimal, "revenue_share": AnswerField.optional(AnswerField.number), "margin": AnswerField.decimal, "cost": AnswerField.decimal,
        "profit": AnswerField.decimal,
        "profit_share": AnswerField.optional(AnswerField.number), "min_score": AnswerField.optional(AnswerField.number),
        "max_score": AnswerField.optional(AnswerField.number),
      ])
    ),
    reading: [.analytics], lane: .reports,
    statements: { request, question in
      let run = try request.valueRun(question.runID)
      return [.valueHead(of: run), .pyramid(of: run, isTurkish: request.language == .turkish)]
    },
    respond: { _, results in try .ofRun(results[0], results[1]) })

  private struct HistoryQuestion: OperationInput {
    let model: String?
    init(_ fields: inout InputReader) { model = fields.optionalText("model", "Code of the value model; all when left out.", maximum: 63) }
  }

  /// Which tiers a customer has been in.
  static let tierHistory = ReadOperation(
    "list_tier_history", "/v1/customers/{id}/tiers", tag: "value_models", access: .read(.customers), "List the tiers a customer has been in",
    description: "Newest first. valid_until is null while the customer is there.", input: HistoryQuestion.self,
    row: [
      "model": AnswerField.text, "version": AnswerField.count, "tier": AnswerField.text, "valid_from": AnswerField.instant,
      "valid_until": AnswerField.optional(AnswerField.instant),
      "score": AnswerField.optional(AnswerField.number), "run_id": AnswerField.id,
    ],
    reading: [.customers], extending: [.analytics],
    mustExist: { request in
      guard let id = request.parameters["id"].flatMap(UUID.init(uuidString:)) else { throw Problem.notFound }
      return "SELECT 1 FROM crm.customer WHERE id = \(id)"
    }
  ) { request, question in
    guard let id = request.parameters["id"].flatMap(UUID.init(uuidString:)) else { throw Problem.notFound }
    return """
      SELECT v.code AS model, v.revision AS version, h.tier, h.valid_from, h.valid_until, h.score, h.run_id
        FROM crm.customer_tier_history AS h JOIN crm.value_model AS v ON v.id = h.model_id JOIN crm.customer AS c ON c.id = h.customer_id
       WHERE h.customer_id = \(id) AND (\(question.model)::text IS NULL OR v.code = \(question.model)::text) ORDER BY h.valid_from DESC, v.code, v.revision
      """
  }
}
