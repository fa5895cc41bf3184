import CRMCore
import Foundation
import PostgresClient

extension Concept {
  /// How long contracts and customers last.
  static let survival = Concept(operations: [.runSurvival, .runRenewal], reads: [.survivalCurve, .survivalChart], jobs: [.survival, .renewal])
}

private struct CurveChoice: OperationInput {
  let runID: UUID?

  init(_ fields: inout InputReader) { runID = fields.optionalID("run_id", "The run; the company's last one when left out.") }

  var run: SQL {
    """
    SELECT r.as_of, r.method, r.method AS model, r.model_version AS version, r.population AS n, r.id AS run_id, r.parameters ->> 'subject' AS subject
      FROM crm.analysis_run AS r
     WHERE r.kind = 'survival' AND r.status = 'done' AND (r.id = \(runID) OR \(runID)::uuid IS NULL AND r.department_id IS NULL)
     ORDER BY r.as_of DESC, r.id DESC LIMIT 1
    """
  }

  var statements: [SQL] {
    [
      run,
      """
      SELECT p.group_key AS "group", p.day, p.at_risk, p.ended, p.censored, p.survival, p.lower, p.upper FROM crm.survival_point AS p
       WHERE p.run_id = (SELECT chosen.run_id FROM (\(run)) AS chosen) ORDER BY p.group_key, p.day
      """,
    ]
  }

  static func checked(_ result: PostgresResult) throws -> PostgresResult {
    guard result.count == 1 else {
      throw Problem(
        404, "no-run", Phrase("No such curves are kept.", tr: "Böyle saklanmış eğri yok."),
        detail: Phrase("Ask for a run first: POST /v1/analytics/survival/runs.", tr: "Önce bir çalıştırma isteyin: POST /v1/analytics/survival/runs."))
    }
    return result
  }
}

extension ReadOperation {
  static let survivalCurve = ReadOperation(
    "list_survival", "/v1/analytics/survival", tag: "analysis_runs", access: .read(.analytics), "List the points of curves of survival.",
    description:
      "By group and day, from the run that was asked for or the company's last one: how many were at risk, ended and were censored, the share that lasts longer and its "
      + "95 % interval (Greenwood, log-log). 404 no-run before the first run.", input: CurveChoice.self,
    answer: (
      "application/json",
      [
        "type": "object", "required": ["as_of", "method", "model", "version", "n", "run_id", "subject", "data"],
        "properties": [
          "as_of": AnswerField.instant, "method": AnswerField.text, "model": AnswerField.text, "version": AnswerField.count, "n": AnswerField.count,
          "run_id": AnswerField.id, "subject": AnswerField.text,
          "data": [
            "type": "array",
            "items": [
              "type": "object",
              "properties": [
                "group": AnswerField.text, "day": AnswerField.count, "at_risk": AnswerField.count, "ended": AnswerField.count, "censored": AnswerField.count,
                "survival": AnswerField.number, "lower": AnswerField.number, "upper": AnswerField.number,
              ],
            ],
          ],
        ],
      ]
    ), refusals: [404], reading: [.analytics], lane: .reports, statements: { _, choice in choice.statements },
    respond: { _, results in
      let run = try CurveChoice.checked(results[0])
      var writer = JSONWriter(capacity: 1 << 16)
      writer.beginObject()
      writer.writeMembers(run, 0)
      writer.key("data")
      writer.writeRows(results[1])
      writer.endObject()
      return .json(writer.take())
    })

  static let survivalChart = ReadOperation(
    "chart_survival", "/v1/charts/survival.svg", tag: "metrics", access: .read(.analytics), "Curves of survival, as a picture",
    description: "The same as list_survival; the first eight groups. 404 no-run before the first run.", input: CurveChoice.self,
    answer: svgAnswer,
    refusals: [404], reading: [.analytics], lane: .reports, statements: { _, choice in choice.statements },
    respond: { request, results in
      let run = try CurveChoice.checked(results[0])
      let isContracts = try run[0].decode(String.self, "subject") == "contracts"
      let everything = Phrase("all", tr: "tümü").text(in: request.language)
      var curves: [SurvivalChart.Curve] = []
      for (key, rows) in try Dictionary(grouping: results[1].rows, by: { try $0.decode(String?.self, "group") ?? "" }).sorted(by: { $0.key < $1.key }).prefix(8)
      {
        let points = try rows.map { row in
          (
            day: try row.decode(Int.self, "day"), survival: try row.decode(Double.self, "survival"), lower: try row.decode(Double.self, "lower"),
            upper: try row.decode(Double.self, "upper")
          )
        }
        curves.append(.init(label: key.isEmpty ? everything : key, points: points))
      }
      let title =
        isContracts
        ? Phrase("How long contracts last", tr: "Sözleşmeler ne kadar sürüyor") : Phrase("How long customers stay", tr: "Müşteriler ne kadar kalıyor")
      let chart = SurvivalChart(title: title.text(in: request.language), curves: curves, language: request.language)
      return .picture(chart.svg())
    })
}
