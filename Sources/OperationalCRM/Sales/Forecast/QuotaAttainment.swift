import CRMCore
import PostgresClient

struct QuotaMonth: OperationInput {
  let month: CalendarDate?
  init(_ fields: inout InputReader) {
    month = fields.optionalMonth("month", "The month, such as 2026-11; without it, this one.")
  }
}

extension ReadOperation {
  /// What each person was to sell in a month, and has sold.
  static let quotaAttainment = ReadOperation(
    "read_quota_attainment", "/v1/quota_attainment", tag: "sales_quotas", access: .read(.sales), "Read how far each person has met the quota of a month.",
    description: "Of the opportunities you may see, one row a person and currency: those won in the month, and the open ones expected to be decided in it. "
      + "attainment_percent is null for whoever sold without a quota in that currency.",
    input: QuotaMonth.self,
    row: [
      "user_id": AnswerField.id, "name": AnswerField.text, "currency": AnswerField.text, "quota": AnswerField.optional(AnswerField.decimal),
      "won": AnswerField.count,
      "won_amount": AnswerField.decimal, "attainment_percent": AnswerField.optional(AnswerField.decimal), "open": AnswerField.count,
      "open_weighted_amount": AnswerField.decimal,
    ],
    reading: [.sales, .admin], lane: .reports
  ) { _, input in
    let first: SQL = "coalesce(\(input.month), date_trunc('month', crm.business_day(now())::timestamp)::date)"
    let next: SQL = "(\(first) + interval '1 month')::date"
    return """
      WITH sold AS (
        SELECT o.owner_id AS user_id, o.currency, count(*) AS number, coalesce(sum(o.amount), 0) AS amount FROM crm.opportunity o
         WHERE o.status = 'won' AND o.closed_on >= \(first) AND o.closed_on < \(next) AND o.owner_id IS NOT NULL GROUP BY 1, 2
      ), due AS (
        SELECT o.owner_id AS user_id, o.currency, count(*) AS number, coalesce(sum(o.amount * o.probability), 0) / 100 AS amount FROM crm.opportunity o
         WHERE o.status = 'open' AND o.close_on >= \(first) AND o.close_on < \(next) AND o.owner_id IS NOT NULL GROUP BY 1, 2
      ), quota AS (SELECT q.user_id, q.currency, q.amount FROM crm.sales_quota q WHERE q.month = \(first))
      SELECT user_id, u.name, currency, quota.amount AS quota, coalesce(sold.number, 0) AS won, coalesce(sold.amount, 0) AS won_amount,
             round(100 * coalesce(sold.amount, 0) / quota.amount, 2) AS attainment_percent, coalesce(due.number, 0) AS open,
             round(coalesce(due.amount, 0), 2) AS open_weighted_amount
        FROM quota FULL JOIN sold USING (user_id, currency) FULL JOIN due USING (user_id, currency) JOIN crm.app_user u ON u.id = user_id
       ORDER BY u.name, user_id, currency
      """
  }
}
