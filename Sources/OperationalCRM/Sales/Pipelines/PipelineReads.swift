import CRMCore
import Foundation
import PostgresClient

extension ReadOperation {
  /// The stages of a pipeline with what stands in each.
  static let pipelineBoard = ofPipeline(
    "read_pipeline_board", "/v1/pipelines/{id}/board", "Read what stands in each stage of a pipeline.",
    description: "One row a stage and currency, of the open opportunities you may see; a stage without any has one row without a currency.",
    input: BoardFilter.self,
    row: [
      "stage_id": AnswerField.id, "stage": AnswerField.text, "position": AnswerField.count, "currency": AnswerField.optional(AnswerField.text),
      "opportunities": AnswerField.count, "rotting": AnswerField.count, "without_amount": AnswerField.count,
      "amount": AnswerField.optional(AnswerField.decimal),
      "weighted_amount": AnswerField.optional(AnswerField.decimal),
    ]
  ) { pipeline, filter in
    let mine: SQL = filter.ownerID.map { "AND o.owner_id = \($0)" } ?? ""
    return """
      SELECT s.id AS stage_id, s.name AS stage, s.position, o.currency, count(o.id) AS opportunities, count(o.id) FILTER (WHERE o.rots_at <= now()) AS rotting,
             count(o.id) FILTER (WHERE o.amount IS NULL) AS without_amount, sum(o.amount) AS amount, round(sum(o.amount * o.probability / 100), 2) AS weighted_amount
        FROM crm.stage s LEFT JOIN crm.opportunity o ON o.stage_id = s.id AND o.status = 'open' \(mine)
       WHERE s.pipeline_id = \(pipeline)
       GROUP BY s.id, s.name, s.position, o.currency ORDER BY s.position, o.currency
      """
  }

  /// How often each stage ended in a sale.
  static let winRates = ofPipeline(
    "read_win_rates", "/v1/pipelines/{id}/win_rates", "Read the win probability of each stage, as judged and by history.",
    description:
      "Of the opportunities you may see. The probability by history is the share of those that ever entered the stage and were won, among those that "
      + "are decided: won ÷ (won + lost). Those still open are counted beside it; without a decided one there is no probability.",
    input: NoInput.self,
    row: [
      "stage_id": AnswerField.id, "stage": AnswerField.text, "position": AnswerField.count, "probability": AnswerField.decimal,
      "historical_probability": AnswerField.optional(AnswerField.decimal), "entered": AnswerField.count, "won": AnswerField.count, "lost": AnswerField.count,
      "open": AnswerField.count,
    ]
  ) { pipeline, _ in
    """
    SELECT s.id AS stage_id, s.name AS stage, s.position, s.probability, round(100.0 * r.won / nullif(r.won + r.lost, 0), 2) AS historical_probability,
           coalesce(r.entered, 0) AS entered, coalesce(r.won, 0) AS won, coalesce(r.lost, 0) AS lost, coalesce(r.entered - r.won - r.lost, 0) AS open
      FROM crm.stage s LEFT JOIN crm.stage_win_rates() r ON r.stage_id = s.id
     WHERE s.pipeline_id = \(pipeline) ORDER BY s.position
    """
  }

  /// What a pipeline looked like on a past day.
  static let pipelineSnapshot = ofPipeline(
    "read_pipeline_snapshot", "/v1/pipelines/{id}/snapshot", "Read what a pipeline looked like at the end of a past day.",
    description:
      "One row a stage and currency, of the opportunities that were open then and that you might have seen. snapshot_on is the day that was written down: "
      + "the one asked for, or the last before it. No rows: nothing had been written down yet, or nothing was open.",
    input: SnapshotDay.self,
    row: [
      "snapshot_on": AnswerField.day, "stage_id": AnswerField.id, "stage": AnswerField.text, "position": AnswerField.count, "currency": AnswerField.text,
      "opportunities": AnswerField.count, "without_amount": AnswerField.count, "amount": AnswerField.optional(AnswerField.decimal),
      "weighted_amount": AnswerField.optional(AnswerField.decimal),
    ]
  ) { pipeline, input in
    """
    SELECT day.snapshot_on, s.id AS stage_id, s.name AS stage, s.position, e.currency, count(*) AS opportunities,
           count(*) FILTER (WHERE e.amount IS NULL) AS without_amount, sum(e.amount) AS amount, round(sum(e.amount * e.probability / 100), 2) AS weighted_amount
      FROM (SELECT max(p.snapshot_on) AS snapshot_on FROM crm.pipeline_snapshot p WHERE p.snapshot_on <= \(input.date)) day
      JOIN crm.pipeline_snapshot_entry e ON e.first_on <= day.snapshot_on AND (e.until_on IS NULL OR e.until_on > day.snapshot_on)
      JOIN crm.stage s ON s.id = e.stage_id
     WHERE e.pipeline_id = \(pipeline)
     GROUP BY day.snapshot_on, s.id, s.name, s.position, e.currency ORDER BY s.position, e.currency
    """
  }

  /// A question about one pipeline; one that does not exist is 404.
  private static func ofPipeline<Input: OperationInput>(
    _ name: String, _ path: String, _ summary: String, description: String, input: Input.Type, row: [String: JSON],
    statement: @Sendable @escaping (UUID, Input) -> SQL
  ) -> ReadOperation {
    ReadOperation(
      name, path, tag: "pipelines", access: .read(.sales), summary, description: description, input: input,
      answer: (
        "application/json",
        [
          "type": "object", "required": ["data"],
          "properties": [
            "data": ["type": "array", "items": ["type": "object", "required": .array(row.keys.sorted().map(JSON.string)), "properties": .object(row)]]
          ],
        ]
      ),
      reading: [.sales], lane: .reports,
      statements: { request, input in
        guard let id = request.parameters["id"].flatMap(UUID.init(uuidString:)) else { throw Problem.notFound }
        return ["SELECT 1 FROM crm.pipeline WHERE id = \(id)", statement(id, input)]
      },
      respond: { _, results in
        if results[0].count == 0 { throw Problem.notFound }
        var writer = JSONWriter(capacity: 2048)
        writer.beginObject()
        writer.key("data")
        writer.writeRows(results[1])
        writer.endObject()
        return .json(writer.take())
      })
  }
}

struct BoardFilter: OperationInput {
  let ownerID: UUID?
  init(_ fields: inout InputReader) {
    ownerID = fields.optionalID("owner_id", "Only the opportunities of this person.")
  }
}

struct SnapshotDay: OperationInput {
  let date: CalendarDate
  init(_ fields: inout InputReader) {
    date = fields.day("date", "The day, such as 2026-10-31.")
  }
}
