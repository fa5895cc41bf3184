import CRMCore
import Foundation
import PostgresClient

extension ReadOperation {
  /// What customers of a campaign that was not randomised spent more than before, compared with everybody else.
  static let campaignDifference = ReadOperation(
    "read_campaign_difference", "/v1/campaigns/{id}/difference_in_differences", tag: "campaigns", access: .read(.analytics),
    "Describe a campaign of the past by the difference in differences",
    description:
      "Descriptive, not causal: who was reached was chosen. during: the campaign's days, both included, L of them; before: the L days before. Mean spending a customer, 0 for "
      + "who bought nothing, of its members and of all other customers who ever bought. The difference is (members during - before) - (others during - before); its standard "
      + "error that of the difference of two independent means (Welch), its interval the normal one; null, with a note, with fewer than two on a side. "
      + "Refused (409): empty-arm (nobody was reached, or nobody else ever bought), period-not-covered (it is not over, or the days before it "
      + "begin before the first purchase on record), not-begun; 422: mixed-currencies, no-rate. With margin_percent or window_days nothing changes.",
    input: CampaignQuestion.self,
    answer: (
      "application/json",
      MeasurementSchema.object(
        MeasurementSchema.campaign.merging([
          "label": AnswerField.text, "days": AnswerField.count, "members": AnswerField.count, "others": AnswerField.count,
          "members_during": AnswerField.number, "members_before": AnswerField.number, "others_during": AnswerField.number, "others_before": AnswerField.number,
          "difference": AnswerField.number, "standard_error": MeasurementSchema.number, "interval": MeasurementSchema.interval, "note": MeasurementSchema.text,
        ]) { $1 })
    ),
    refusals: [409, 422], reading: [.marketing], extending: [.sales, .customers, .products, .analytics], lane: .reports,
    statements: { request, question in
      let id = try request.pathID()
      let scope = question.scope
      let since: SQL = "((c.starts_on - (c.ends_on - c.starts_on + 1))::timestamp AT TIME ZONE \(scope.timeZone))"
      let until: SQL = "least((c.ends_on + 1)::timestamp AT TIME ZONE \(scope.timeZone), \(scope.asOf)::timestamptz)"
      return [
        """
        SELECT c.code, c.name, c.assignment, c.holdout_percent, c.arms, \(scope.asOf)::timestamptz AS as_of, \(question.begin) AS since, \(until) AS until,
               \(question.begin) < \(until) AS begun, analytics.currencies_between(\(since), \(until), \(scope.departmentID)) AS currencies,
               \(scope.measuredCurrency(since, until)) AS currency, 0 AS cost, 0 AS without_rate, c.ends_on - c.starts_on + 1 AS days,
               (c.ends_on + 1)::timestamp AT TIME ZONE \(scope.timeZone) <= \(scope.asOf)::timestamptz
                 AND c.starts_on - (c.ends_on - c.starts_on + 1) >= (SELECT (min(p.ordered_at) AT TIME ZONE \(scope.timeZone))::date FROM analytics.purchase p) IS NOT FALSE AS covered
          FROM crm.campaign c WHERE c.id = \(id)
        """,
        """
        SELECT d.targeted, count(*) AS customers, avg(d.during) AS during, avg(d.before) AS before, var_samp(d.during - d.before) AS variance,
               sum(d.without_rate)::bigint AS without_rate
          FROM crm.campaign c CROSS JOIN LATERAL (SELECT coalesce(\(scope.measuredCurrency(since, until)), c.currency) AS currency) k
          CROSS JOIN LATERAL analytics.campaign_difference(c.id, \(since), \(question.begin), \(until), \(scope.asOf), k.currency, \(scope.departmentID)) d
         WHERE c.id = \(id) GROUP BY d.targeted
        """,
      ]
    },
    respond: { request, results in
      let scope = try InputReader.read(CampaignQuestion.self, from: request.query).scope
      let campaign = try MeasuredCampaign(results[0], scope)
      try CampaignMoney.mustConvert(results[1], results[1], campaign.currency)
      guard
        let members = try results[1].rows.first(where: { try $0.decode(Bool.self, "targeted") }),
        let others = try results[1].rows.first(where: { try !$0.decode(Bool.self, "targeted") })
      else {
        throw Problem(
          409, "empty-arm",
          Phrase(
            "This campaign reached nobody, or there is nobody else to compare with.", tr: "Bu kampanya kimseye ulaşmadı ya da karşılaştıracak başka kimse yok.")
        )
      }
      guard try results[0][0].decode(Bool.self, "covered") else {
        throw Problem(
          409, "period-not-covered",
          Phrase(
            "The campaign, or as many days before it, is not wholly within what is known.",
            tr: "Kampanya ya da ondan önceki aynı sayıda gün bilinen sürenin tümüyle içinde değil."),
          detail: Phrase(
            "Its last day must have passed, and the days before it must not begin before the first purchase on record.",
            tr: "Son günü geçmiş olmalı ve öncesindeki günler kayıtlı ilk alışverişten önce başlamamalıdır."))
      }
      let (n, m) = (try members.decode(Int.self, "customers"), try others.decode(Int.self, "customers"))
      let means = try [members, others].map { (during: try $0.decode(Double.self, "during"), before: try $0.decode(Double.self, "before")) }
      let difference = (means[0].during - means[0].before) - (means[1].during - means[1].before)
      let variances = (try members.decode(Double?.self, "variance"), try others.decode(Double?.self, "variance"))
      var error: Double?
      if let v = variances.0, let w = variances.1 { error = (v / Double(n) + w / Double(m)).squareRoot() }
      var writer = JSONWriter(capacity: 1024)
      writer.beginObject()
      campaign.write(&writer, id: try request.pathID(), method: "difference_in_differences", n: n + m)
      writer.member("label", Phrase("descriptive, not causal", tr: "betimleyici, nedensel değil").text(in: request.language))
      writer.member("days", try results[0][0].decode(Int.self, "days"))
      writer.member("members", n)
      writer.member("others", m)
      writer.member("members_during", means[0].during)
      writer.member("members_before", means[0].before)
      writer.member("others_during", means[1].during)
      writer.member("others_before", means[1].before)
      writer.member("difference", difference)
      writer.member("standard_error", error)
      writer.member("interval", error.map { (difference - NormalDistribution.quantile(0.975) * $0)...(difference + NormalDistribution.quantile(0.975) * $0) })
      writer.member(
        "note",
        error == nil
          ? Phrase("With one customer on a side nothing can be said of the error.", tr: "Bir tarafta tek müşteri varken hata payı söylenemez.").text(
            in: request.language) : nil)
      writer.endObject()
      return .json(writer.take())
    })
}
