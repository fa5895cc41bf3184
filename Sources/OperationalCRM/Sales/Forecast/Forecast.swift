package import CRMCore
import Foundation
import PostgresClient

extension Concept {
  /// What a month will bring, and what each person was to bring.
  static let forecasts = Concept(resources: [.salesQuotas], reads: [.forecast, .quotaAttainment])
}

extension Resource {
  /// What a person is to sell in a month.
  package static let salesQuotas = Resource(
    "sales_quotas", singular: "sales_quota", table: "crm.sales_quota", area: .sales,
    create: ["user_id", "month", "currency", "amount"], change: ["amount"], deletable: true, expand: ["user"], search: ["user.name"], order: "-month")
}

/// What a forecast may be broken down by.
enum ForecastGrouping: String, CaseIterable {
  case owner, department, pipeline, stage
}

struct ForecastQuestion: OperationInput {
  let month: CalendarDate?
  let grouping: ForecastGrouping?
  let pipelineID: UUID?
  let convertTo: String?

  init(_ fields: inout InputReader) {
    month = fields.optionalMonth("month", "The month, such as 2026-11; without it, this one.")
    grouping = fields.optionalOption("by", "What to break it down by.", of: ForecastGrouping.self)
    pipelineID = fields.optionalID("pipeline_id", "Only this pipeline.")
    convertTo = fields.optionalCurrency("convert_to", "Give all amounts in this currency, at the rate of the day of a sale, or of today.")
  }
}

extension InputReader {
  /// ISO 4217 letters, such as TRY.
  mutating func optionalCurrency(_ name: String, _ meaning: String) -> String? {
    guard let code = optionalText(name, meaning, maximum: 3) else { return nil }
    if code.utf8.count == 3, code.utf8.allSatisfy({ (65...90).contains($0) }) { return code }
    refuse(name, code: "currency", Phrase("A currency code has three capital letters, such as EUR.", tr: "Para birimi kodu üç büyük harftir, örneğin EUR."))
    return nil
  }
}

extension ReadOperation {
  /// What is expected of a month, by category: what is won, and what is open and due in it.
  static let forecast = ReadOperation(
    "read_forecast", "/v1/forecast", tag: "opportunities", access: .read(.sales), "Read the weighted forecast of a month.",
    description:
      "Of the opportunities you may see: those won in the month (closed), and the open ones expected to be decided in it, by the forecast category of "
      + "their stage. weighted_manual weighs amounts with the probability each opportunity has, weighted_historical with the share of decided opportunities "
      + "that were won after they had entered the stage; without_history counts those whose stage has no decided one yet, which are weighed by hand there too. "
      + "Currencies are never added: there is one row each, unless convert_to names one; without_rate then counts what could not be converted and is in no sum.",
    input: ForecastQuestion.self,
    row: [
      "group_id": AnswerField.optional(AnswerField.id), "group": AnswerField.optional(AnswerField.text), "category": AnswerField.text,
      "currency": AnswerField.text,
      "opportunities": AnswerField.count, "amount": AnswerField.optional(AnswerField.decimal), "weighted_manual": AnswerField.optional(AnswerField.decimal),
      "weighted_historical": AnswerField.optional(AnswerField.decimal), "decided_behind": AnswerField.count, "without_history": AnswerField.count,
      "without_amount": AnswerField.count, "without_rate": AnswerField.count,
    ],
    reading: [.sales, .admin], lane: .reports
  ) { _, question in
    let first: SQL = "coalesce(\(question.month), date_trunc('month', crm.business_day(now())::timestamp)::date)"
    let next: SQL = "(\(first) + interval '1 month')::date"
    let (group, label) = columns(of: question.grouping)
    let pipeline: SQL = question.pipelineID.map { "AND o.pipeline_id = \($0)" } ?? ""
    let currency: SQL = question.convertTo.map { "\($0)::text" } ?? "p.currency"
    let amount = priced("p.amount", in: question.convertTo)
    let weighted = priced("p.weighted", in: question.convertTo)
    return """
      WITH parts AS (
        SELECT \(group) AS group_id, o.stage_id, o.currency, crm.business_day(now()) AS day, false AS is_won, count(*) AS opportunities,
               count(*) - count(o.amount) AS without_amount, coalesce(sum(o.amount), 0) AS amount, coalesce(sum(o.amount * o.probability), 0) / 100 AS weighted
          FROM crm.opportunity o WHERE o.status = 'open' AND o.close_on >= \(first) AND o.close_on < \(next) \(pipeline) GROUP BY 1, 2, 3
        UNION ALL
        SELECT \(group), o.stage_id, o.currency, o.closed_on, true, count(*), count(*) - count(o.amount), coalesce(sum(o.amount), 0), coalesce(sum(o.amount), 0)
          FROM crm.opportunity o WHERE o.status = 'won' AND o.closed_on >= \(first) AND o.closed_on < \(next) \(pipeline) GROUP BY 1, 2, 3, 4
      ), priced AS (
        SELECT p.group_id, p.stage_id, CASE WHEN p.is_won THEN 'closed' ELSE s.forecast_category END AS category, \(currency) AS currency, p.opportunities,
               p.without_amount, p.is_won, \(amount) AS amount, \(weighted) AS weighted, r.won, r.won + r.lost AS decided,
               row_number() OVER (PARTITION BY p.group_id, p.stage_id, p.is_won, \(currency)) AS place
          FROM parts p JOIN crm.stage s ON s.id = p.stage_id LEFT JOIN crm.stage_win_rates(true) r ON r.stage_id = p.stage_id
      )
      SELECT f.group_id, \(label) AS "group", f.category, f.currency, sum(f.opportunities)::bigint AS opportunities,
             round(sum(f.amount), 2) AS amount,
             round(sum(f.weighted), 2) AS weighted_manual,
             round(sum(CASE WHEN NOT f.is_won AND f.decided > 0 THEN f.amount * f.won / f.decided ELSE f.weighted END), 2) AS weighted_historical,
             coalesce(sum(f.decided) FILTER (WHERE NOT f.is_won AND f.place = 1), 0)::bigint AS decided_behind,
             coalesce(sum(f.opportunities) FILTER (WHERE NOT f.is_won AND coalesce(f.decided, 0) = 0), 0)::bigint AS without_history,
             sum(f.without_amount)::bigint AS without_amount, coalesce(sum(f.opportunities - f.without_amount) FILTER (WHERE f.amount IS NULL), 0)::bigint AS without_rate
        FROM priced f GROUP BY f.group_id, f.category, f.currency
       ORDER BY 2 NULLS LAST, 1, array_position(ARRAY['closed', 'commit', 'best_case', 'pipeline'], f.category), f.currency
      """
  }

  /// What the rows are grouped by, and what a group is called.
  private static func columns(of grouping: ForecastGrouping?) -> (group: SQL, label: SQL) {
    switch grouping {
    case nil: ("NULL::uuid", "NULL::text")
    case .owner: ("o.owner_id", "(SELECT u.name FROM crm.app_user u WHERE u.id = f.group_id)")
    case .department: ("o.department_id", "(SELECT d.name FROM crm.department d WHERE d.id = f.group_id)")
    case .pipeline: ("o.pipeline_id", "(SELECT w.name FROM crm.pipeline w WHERE w.id = f.group_id)")
    case .stage: ("o.stage_id", "(SELECT s.name FROM crm.stage s WHERE s.id = f.group_id)")
    }
  }

  /// Sums are converted, not rows: a rate belongs to a currency and a day.
  private static func priced(_ amount: SQL, in currency: String?) -> SQL {
    guard let currency else { return amount }
    return "crm.convert(\(amount), p.currency, \(currency), p.day)"
  }
}
