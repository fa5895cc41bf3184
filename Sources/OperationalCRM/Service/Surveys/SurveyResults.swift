import CRMCore
import Foundation
import PostgresClient

/// What is counted, and how it is divided.
private struct ResultQuestion: OperationInput {
  enum Grouping: String, CaseIterable, PostgresEncodable { case tier, segment, agent, month, quarter, year }

  let by: Grouping?
  let from: Date?
  let until: Date?

  init(_ fields: inout InputReader) {
    by = fields.optionalOption(
      "by",
      "Divide by the customer's tier when they answered, the segments they were in then, the colleague asked about, or the month, quarter or year in Turkey.",
      of: Grouping.self)
    from = fields.optionalInstant("from", "Answers from this instant on.")
    until = fields.optionalInstant("until", "Answers before this instant.")
  }
}

private struct ParticipationQuestion: OperationInput {
  let from: Date?
  let until: Date?

  init(_ fields: inout InputReader) {
    from = fields.optionalInstant("from", "Invitations due from this instant on.")
    until = fields.optionalInstant("until", "Invitations due before this instant.")
  }
}

extension ReadOperation {
  static let surveyResults = ReadOperation(
    "get_survey_results", "/v1/surveys/{id}/results", tag: "surveys", access: .read(.service), "What a survey found",
    description: """
      score: nps in points from -100 to 100, csat the share of 4 and 5, ces the mean from 1 to 7. lower and upper: its 95 % interval (nps: adjusted Wald of Sauro \
      and Lewis; csat: Wilson; ces: Student's t). high, middle and low count promoters, passives and detractors, or what corresponds to them; top_share is the \
      share of high with Wilson's interval. Below five answers nothing but their number is shown (is_suppressed); below thirty is_small warns. A customer in two \
      segments counts in both.
      """,
    input: ResultQuestion.self,
    row: [
      "group_key": AnswerField.optional(AnswerField.text), "label": AnswerField.optional(AnswerField.text), "answers": AnswerField.count,
      "is_suppressed": AnswerField.flag, "is_small": AnswerField.flag, "score": AnswerField.optional(AnswerField.number),
      "lower": AnswerField.optional(AnswerField.number), "upper": AnswerField.optional(AnswerField.number), "high": AnswerField.optional(AnswerField.count),
      "middle": AnswerField.optional(AnswerField.count), "low": AnswerField.optional(AnswerField.count), "top_share": AnswerField.optional(AnswerField.number),
      "top_lower": AnswerField.optional(AnswerField.number), "top_upper": AnswerField.optional(AnswerField.number),
    ],
    reading: [.service, .analytics, .customers, .admin],
    mustExist: { request in "SELECT 1 FROM crm.survey s WHERE s.id = \(request.parameters["id"].flatMap(UUID.init(uuidString:)))" }
  ) { request, input in
    """
    SELECT r.group_key, r.label, r.answers, r.is_suppressed, r.is_small, r.score, r.lower, r.upper, r.high, r.middle, r.low, r.top_share, r.top_lower, r.top_upper
      FROM analytics.survey_result(
        \(request.parameters["id"].flatMap(UUID.init(uuidString:))), \(input.from)::timestamptz, \(input.until)::timestamptz, \(input.by)::text) AS r
    """
  }

  static let surveyChoices = ReadOperation(
    "get_survey_choices", "/v1/surveys/{id}/choices", tag: "surveys", access: .read(.service), "How the answers to each question are spread",
    description: """
      One row a choice of a question, in the order of the page: a number of a score or rating, an option, true and false. share is that of those who answered the \
      question, with Wilson's 95 % interval; of questions with several choices the shares add up to more than 1. What was written is only counted. Below five \
      answers to a question nothing but their number is shown (is_suppressed); below thirty is_small warns.
      """,
    input: ResultQuestion.self,
    row: [
      "group_key": AnswerField.optional(AnswerField.text), "label": AnswerField.optional(AnswerField.text), "question": AnswerField.text,
      "kind": AnswerField.text, "choice": AnswerField.optional(AnswerField.text), "answers": AnswerField.count, "is_suppressed": AnswerField.flag,
      "is_small": AnswerField.flag, "chosen": AnswerField.optional(AnswerField.count), "share": AnswerField.optional(AnswerField.number),
      "lower": AnswerField.optional(AnswerField.number), "upper": AnswerField.optional(AnswerField.number),
    ],
    reading: [.service, .analytics, .customers, .admin],
    mustExist: { request in "SELECT 1 FROM crm.survey s WHERE s.id = \(request.parameters["id"].flatMap(UUID.init(uuidString:)))" }
  ) { request, input in
    """
    SELECT r.group_key, r.label, r.question, r.kind, r.choice, r.answers, r.is_suppressed, r.is_small, r.chosen, r.share, r.lower, r.upper
      FROM analytics.survey_choices(
        \(request.parameters["id"].flatMap(UUID.init(uuidString:))), \(input.from)::timestamptz, \(input.until)::timestamptz, \(input.by)::text) AS r
    """
  }

  static let surveyParticipation = ReadOperation(
    "get_survey_participation", "/v1/surveys/{id}/participation", tag: "surveys", access: .read(.service), "Who was asked, who answered, and why not",
    description: "One row a state of the invitations and reason for skipping them.", input: ParticipationQuestion.self,
    row: ["state": AnswerField.text, "skipped": AnswerField.optional(AnswerField.text), "invitations": AnswerField.count], reading: [.service],
    mustExist: { request in "SELECT 1 FROM crm.survey s WHERE s.id = \(request.parameters["id"].flatMap(UUID.init(uuidString:)))" }
  ) { request, input in
    """
    SELECT i.state, i.skipped, count(*) AS invitations FROM crm.survey_invitation i
     WHERE i.survey_id = \(request.parameters["id"].flatMap(UUID.init(uuidString:)))
       AND (\(input.from)::timestamptz IS NULL OR i.due_at >= \(input.from)::timestamptz) AND (\(input.until)::timestamptz IS NULL OR i.due_at < \(input.until)::timestamptz)
     GROUP BY 1, 2 ORDER BY 1, 2
    """
  }
}
