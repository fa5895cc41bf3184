import CRMCore
import Foundation
import PostgresClient

extension Concept {
  /// How likely leads are to become customers, and how good forecasts were.
  static let scoring = Concept(
    operations: [.runLeadScoring], reads: [.leadScore, .calibrationChart, .forecastAccuracy],
    jobs: [
      .analysis("lead_scoring") { run, tx, _ in
        let history = try await tx.all(
          LeadHistory.self,
          """
          SELECT l.lead_id, l.outcome, l.source, l.is_company, l.has_person, l.has_job_title, l.has_email, l.has_phone, l.has_website, l.has_tax_number, l.has_province,
                 l.has_interest, l.by_campaign
            FROM analytics.lead_as_written(\(run.asOf), \(run.departmentID)) AS l ORDER BY l.created_at, l.lead_id
          """)
        let model = try LeadScoringModel(history)
        let open = history.filter { $0.outcome == .open }
        let evidence = try open.map { JSON.array(model.evidence($0).prefix(8).map(\.json)) }.map { String(decoding: try $0.encoded(), as: UTF8.self) }
        try await tx.run(
          """
          INSERT INTO crm.lead_score (run_id, lead_id, probability, evidence)
          SELECT \(run.id), g.lead_id, g.probability, g.evidence::jsonb
            FROM unnest(\(open.map(\.id))::uuid[], \(open.map { model.fit.probability($0.features) })::float8[], \(evidence)::text[]) AS g (lead_id, probability, evidence)
          """)
        // Of older runs the result for the whole stays.
        try await tx.run(
          """
          DELETE FROM crm.lead_score AS s WHERE s.run_id NOT IN (
            SELECT r.id FROM crm.analysis_run r WHERE r.kind = 'lead_scoring' AND (r.status = 'done' OR r.id = \(run.id)) ORDER BY r.created_at DESC, r.id DESC LIMIT 12)
          """)
        return (history.count, model.result)
      }
    ])
}

/// Logistic regression over leads that were decided. The older seven tenths train it, the newer three tenths test it.
struct LeadScoringModel {
  struct Evidence {
    let feature: String
    let value: Double
    /// What it adds to the log-odds, against the average lead trained on.
    let contribution: Double

    var json: JSON { ["feature": .string(feature), "value": .measured(value), "contribution": .measured(contribution)] }
  }

  let fit: LogisticRegression
  let quality: ScoreQuality
  private let means: [Double]
  private let trained: (cases: Int, converted: Int)
  private let tested: (cases: Int, converted: Int)

  /// Fewer than this of either outcome, trained on, say nothing; nor does testing on fewer cases.
  static let fewest = 10

  /// - Parameter history: in the order in which leads came.
  init(_ history: [LeadHistory]) throws {
    let decided = history.filter { $0.outcome != .open }
    let cut = decided.count * 7 / 10
    let (training, test) = (decided.prefix(cut), decided.dropFirst(cut))
    trained = (training.count, training.count { $0.outcome == .converted })
    tested = (test.count, test.count { $0.outcome == .converted })
    guard min(trained.converted, trained.cases - trained.converted) >= Self.fewest, tested.cases >= Self.fewest else {
      throw Problem(
        409, "sample-too-small",
        Phrase(
          "Too few leads were decided: of the older seven tenths at least \(Self.fewest) converted and \(Self.fewest) disqualified ones are needed, and \(Self.fewest) newer ones to test with; there are \(trained.converted), \(trained.cases - trained.converted) and \(tested.cases).",
          tr:
            "Sonuçlanan aday çok az: eski onda yedisinde en az \(Self.fewest) dönüştürülen ve \(Self.fewest) elenen, sınamak için de \(Self.fewest) yeni aday gerekir; \(trained.converted), \(trained.cases - trained.converted) ve \(tested.cases) var."
        ))
    }
    do {
      fit = try LogisticRegression(rows: training.map(\.features), outcomes: training.map { $0.outcome == .converted })
    } catch {
      throw Problem(409, "did-not-converge", Phrase("The regression did not converge, even with a penalty.", tr: "Regresyon cezayla bile yakınsamadı."))
    }
    means = LeadFeatures.names.indices.map { column in training.reduce(0) { $0 + $1.features[column] } / Double(training.count) }
    let model = fit
    quality = ScoreQuality(test.map { (model.probability($0.features), $0.outcome == .converted) })
  }

  /// What speaks for and against a lead, the largest first.
  func evidence(_ lead: LeadHistory) -> [Evidence] {
    LeadFeatures.names.indices.filter { fit.coefficients[$0] != 0 }
      .map { Evidence(feature: LeadFeatures.names[$0], value: lead.features[$0], contribution: fit.coefficients[$0] * (lead.features[$0] - means[$0])) }
      .sorted { (-abs($0.contribution), $0.feature) < (-abs($1.contribution), $1.feature) }
  }

  /// What the run says for the whole.
  var result: JSON {
    [
      "trained_on": .count(trained.cases), "trained_on_converted": .count(trained.converted), "tested_on": .count(tested.cases),
      "tested_on_converted": .count(tested.converted), "intercept": .measured(fit.intercept), "log_likelihood": .measured(fit.logLikelihood),
      "iterations": .count(fit.iterations), "penalty": .measured(fit.penalty), "auc": .measured(quality.auc), "brier": .measured(quality.brier),
      "coefficients": .array(
        LeadFeatures.names.indices.map {
          ["feature": .string(LeadFeatures.names[$0]), "coefficient": .measured(fit.coefficients[$0]), "standard_error": .measured(fit.errors[$0])]
        }),
      "findings": .array(fit.findings.map { ["feature": .string(LeadFeatures.names[$0.column]), "kind": .string($0.kind.rawValue)] }),
      "deciles": .array(
        quality.deciles.map { ["n": .count($0.count), "expected": .measured($0.expected), "observed": .measured($0.observed), "lift": .measured($0.lift)] }),
    ]
  }
}

extension JSON {
  /// A floating-point number as JSON writes it; null for what is none.
  static func measured(_ value: Double?) -> JSON { value.flatMap { $0.isFinite ? Decimal(string: "\($0)") : nil }.map(JSON.number) ?? .null }
}

private struct LeadScoringRequest: OperationInput {
  let asOf: Date?
  let departmentID: UUID?

  init(_ fields: inout InputReader) {
    asOf = fields.optionalInstant("as_of", "The instant up to which facts count; now when left out.")
    departmentID = fields.optionalID("department_id", "Only the leads of this department.")
    if let asOf, asOf > Date() {
      fields.refuse(
        "as_of", code: "future", Phrase("Nothing is known of the future; give an instant that has passed.", tr: "Gelecek bilinmez; geçmiş bir an verin."))
    }
  }
}

extension BusinessOperation {
  static let runLeadScoring = BusinessOperation(
    "run_lead_scoring", .post, "/v1/analytics/lead_scoring/runs", of: "analysis_runs", access: .write(.analytics),
    "Learn from decided leads which open ones will become customers",
    description:
      "Logistic regression by maximum likelihood over what was known of each lead when it was first written down; what was learnt or decided later takes no part. The older "
      + "seven tenths of the decided leads train it, the newer three tenths test it: the run's result has coefficients, AUC, Brier score, and by tenths what was expected, what came, and the lift. "
      + "Columns that follow from others are left out, and where an outcome is told apart without fail a ridge penalty of 1 keeps the answer finite; both are named in findings. "
      + "The run fails with sample-too-small when too few leads were decided.",
    input: LeadScoringRequest.self, answer: .record("analysis_runs", status: 202)
  ) { run, input in
    .record(
      try await AnalysisRun.request(kind: "lead_scoring", method: "logistic_regression", asOf: input.asOf, department: input.departmentID, in: run.tx))
  }
}

extension ReadOperation {
  /// How likely a lead is to become a customer, and why.
  static let leadScore = ReadOperation(
    "read_lead_score", "/v1/leads/{id}/score", tag: "leads", access: .read(.sales), "Read how likely a lead is to become a customer, and why",
    description:
      "Of the last run of lead scoring that is done and has the lead; no rows when there is none. evidence: what each feature adds to the log-odds, against the average lead.",
    input: NoInput.self,
    row: [
      "run_id": AnswerField.id, "as_of": AnswerField.instant, "method": AnswerField.text, "model": AnswerField.text, "version": AnswerField.count,
      "n": AnswerField.optional(AnswerField.count), "probability": AnswerField.number, "average": AnswerField.optional(AnswerField.number),
      "evidence": ["type": "array", "items": ["type": "object"]],
    ],
    reading: [.sales], extending: [.analytics],
    mustExist: { request in "SELECT 1 FROM crm.lead WHERE id = \(try request.pathID())" }
  ) { request, _ in
    """
    SELECT r.id AS run_id, r.as_of, r.method, r.kind AS model, r.model_version AS version, r.population AS n, s.probability,
           (r.result ->> 'trained_on_converted')::float8 / (r.result ->> 'trained_on')::float8 AS average, s.evidence
      FROM crm.lead_score s JOIN crm.analysis_run r ON r.id = s.run_id AND r.status = 'done'
     WHERE s.lead_id = \(try request.pathID()) AND EXISTS (SELECT FROM crm.lead l WHERE l.id = s.lead_id) ORDER BY r.as_of DESC, r.id DESC LIMIT 1
    """
  }

  /// What the last run expected of its test cases against what came, as a picture.
  static let calibrationChart = ReadOperation(
    "chart_lead_calibration", "/v1/charts/lead_calibration.svg", tag: "leads", access: .read(.analytics),
    "What lead scoring expected against what came, as a picture",
    description: "The tenths of the leads that the last run was tested on, the likeliest first: the share that converted, and in brackets the share expected.",
    input: NoInput.self,
    answer: svgAnswer, reading: [.analytics], lane: .reports,
    statements: { _, _ in
      [
        """
        SELECT d.place, (d.tenth ->> 'n')::int AS n, (d.tenth ->> 'expected')::float8 AS expected, (d.tenth ->> 'observed')::float8 AS observed
          FROM (SELECT r.result FROM crm.analysis_run r WHERE r.kind = 'lead_scoring' AND r.status = 'done' ORDER BY r.as_of DESC, r.id DESC LIMIT 1) r
         CROSS JOIN LATERAL jsonb_array_elements(r.result -> 'deciles') WITH ORDINALITY AS d (tenth, place) ORDER BY d.place
        """
      ]
    },
    respond: { request, results in
      let bars = try results[0].rows.map { row in
        let (expected, observed) = (try row.decode(Double.self, "expected"), try row.decode(Double.self, "observed"))
        func percent(_ share: Double) -> String { "%\(Decimal((share * 1_000).rounded() / 10).written(in: request.language, decimals: 1))" }
        return BarChart.Bar(
          label: "\(try row.decode(Int.self, "place"))", value: observed,
          caption: "\(percent(observed)) (\(percent(expected)), n=\(try row.decode(Int.self, "n")))")
      }
      return .picture(
        BarChart(
          title: Phrase("Leads converted, by tenths of the score", tr: "Puan onda birlerine göre dönüşen adaylar").text(in: request.language), bars: bars,
          empty: Phrase("Leads were not scored yet.", tr: "Adaylar henüz puanlanmadı."), language: request.language
        ).svg())
    })
}
