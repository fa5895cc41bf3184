import CRMCore
import Foundation
import PostgresClient

extension Concept {
  /// What campaigns brought.
  static let campaignMeasurement = Concept(reads: [.campaignResults, .campaignUplift, .campaignDifference, .sampleSize, .upliftChart])
}

/// Of whom a response rate is the share.
enum ResponseDenominator: String, CaseIterable {
  case targeted, delivered, opened
}

private struct ResultsQuestion: OperationInput {
  let campaign: CampaignQuestion
  let denominator: ResponseDenominator

  init(_ fields: inout InputReader) {
    campaign = CampaignQuestion(&fields)
    denominator =
      fields.optionalOption("denominator", "Of whom the response rate is the share: targeted, delivered (the default) or opened.", of: ResponseDenominator.self)
      ?? .delivered
  }
}

extension ReadOperation {
  /// How many were reached and responded, and what they bought, by arm.
  static let campaignResults = ReadOperation(
    "read_campaign_results", "/v1/campaigns/{id}/results", tag: "campaigns", access: .read(.analytics), "Read what came of a campaign",
    description:
      "By arm, and for those held out (arm null). Purchases and responses count from the campaign's first day until window_days after its last, whatever led to "
      + "them. response_rate is responders among the denominator, which is named; null when nobody is in it. attributed_roi is (margin of the responders' purchases - cost) / cost: "
      + "what responders would have bought anyway is in it; incremental results are at …/uplift. It is null, with a note, where there is no cost, or where the cost of some goods is not known.",
    input: ResultsQuestion.self,
    answer: (
      "application/json",
      MeasurementSchema.object(
        MeasurementSchema.campaign.merging([
          "denominator": AnswerField.text, "responses": AnswerField.count, "responders": AnswerField.count, "response_rate": MeasurementSchema.number,
          "cost": AnswerField.decimal, "attributed_revenue": AnswerField.decimal, "attributed_margin": MeasurementSchema.money,
          "attributed_roi": MeasurementSchema.number, "note": MeasurementSchema.text,
          "data": MeasurementSchema.list(of: [
            "arm": MeasurementSchema.text, "held_out": AnswerField.flag, "targeted": AnswerField.count, "delivered": AnswerField.count,
            "opened": AnswerField.count, "clicked": AnswerField.count, "responders": AnswerField.count, "responses": AnswerField.count,
            "denominator": AnswerField.count, "response_rate": MeasurementSchema.number, "buyers": AnswerField.count, "orders": AnswerField.count,
            "revenue": AnswerField.decimal, "margin": MeasurementSchema.money, "cost_of_touches": AnswerField.decimal,
          ]),
        ]) { $1 })
    ),
    refusals: [409, 422], reading: [.marketing], extending: [.sales, .customers, .products, .analytics], lane: .reports,
    statements: { request, question in
      let id = try request.pathID()
      let campaign = question.campaign
      let counted: SQL
      switch question.denominator {
      case .targeted: counted = "true"
      case .delivered: counted = "r.delivered"
      case .opened: counted = "r.opened"
      }
      return [
        campaign.campaign(id),
        """
        SELECT r.arm, r.held_out, count(*) AS targeted, count(*) FILTER (WHERE r.delivered) AS delivered, count(*) FILTER (WHERE r.opened) AS opened,
               count(*) FILTER (WHERE r.clicked) AS clicked, count(*) FILTER (WHERE r.responses > 0) AS responders, sum(r.responses)::bigint AS responses,
               count(*) FILTER (WHERE \(counted)) AS counted, count(*) FILTER (WHERE r.responses > 0 AND \(counted)) AS counted_responders,
               count(*) FILTER (WHERE r.orders > 0) AS buyers, sum(r.orders)::bigint AS orders, round(sum(r.amount), 2)::text AS revenue,
               CASE WHEN sum(r.without_cost) = 0 THEN round(sum(r.margin), 2)::text END AS margin,
               coalesce(round(sum(r.amount) FILTER (WHERE r.responses > 0), 10), 0) AS attributed_revenue,
               CASE WHEN coalesce(sum(r.without_cost) FILTER (WHERE r.responses > 0), 0) = 0 THEN coalesce(round(sum(r.margin) FILTER (WHERE r.responses > 0), 10), 0) END AS attributed_margin,
               sum(r.without_rate)::bigint AS without_rate
          FROM \(campaign.members(id)) WHERE c.id = \(id)
         GROUP BY r.arm, r.held_out ORDER BY r.held_out, r.arm
        """,
        """
        SELECT t.arm, t.touches, t.cost, t.without_rate FROM crm.campaign c
         CROSS JOIN LATERAL (SELECT coalesce(\(campaign.scope.measuredCurrency(campaign.begin, campaign.end)), c.currency) AS currency) k
         CROSS JOIN LATERAL analytics.campaign_cost(c.id, \(campaign.end), k.currency) t WHERE c.id = \(id)
        """,
      ]
    },
    respond: { request, results in
      let input = try InputReader.read(ResultsQuestion.self, from: request.query)
      let scope = input.campaign.scope
      let campaign = try MeasuredCampaign(results[0], scope)
      try CampaignMoney.mustConvert(results[1], results[2], campaign.currency)
      let touchCosts = try CampaignMoney.costs(results[2])
      let cost = try results[2].rows.reduce(try results[0][0].decode(Decimal.self, "cost")) { $0 + (try $1.decode(Decimal.self, "cost")) }
      var (members, responders, responses, counted, countedResponders) = (0, 0, 0, 0, 0)
      var revenue = Decimal(0)
      var margin: Decimal? = 0
      for row in results[1].rows where try !row.decode(Bool.self, "held_out") {
        members += try row.decode(Int.self, "targeted")
        responders += try row.decode(Int.self, "responders")
        responses += try row.decode(Int.self, "responses")
        counted += try row.decode(Int.self, "counted")
        countedResponders += try row.decode(Int.self, "counted_responders")
        revenue += try row.decode(Decimal.self, "attributed_revenue")
        let part = try row.decode(Decimal?.self, "attributed_margin")
        margin = margin.flatMap { sum in part.map { sum + $0 } }
      }
      var writer = JSONWriter(capacity: 2048)
      writer.beginObject()
      campaign.write(&writer, id: try request.pathID(), method: "campaign_results", n: members)
      writer.member("denominator", input.denominator.rawValue)
      writer.member("responses", responses)
      writer.member("responders", responders)
      writer.member("response_rate", counted > 0 ? Double(countedResponders) / Double(counted) : nil)
      writer.member("cost", cost.cents)
      writer.member("attributed_revenue", revenue.cents)
      writer.member("attributed_margin", margin?.cents)
      writer.member("attributed_roi", margin.flatMap { cost > 0 ? NSDecimalNumber(decimal: ($0 - cost) / cost).doubleValue : nil })
      writer.member(
        "note",
        members == 0
          ? Phrase("Nobody is in this campaign.", tr: "Bu kampanyada kimse yok.").text(in: request.language)
          : margin == nil
            ? Phrase("The cost of some goods is not known; give margin_percent.", tr: "Bazı ürünlerin maliyeti bilinmiyor; margin_percent verin.").text(
              in: request.language)
            : cost == 0 ? Phrase("The campaign has no cost.", tr: "Kampanyanın maliyeti yok.").text(in: request.language) : nil)
      writer.key("data")
      writer.beginArray()
      for row in results[1].rows {
        let arm = try row.decode(String?.self, "arm")
        let denominator = try row.decode(Int.self, "counted")
        writer.beginObject()
        writer.member("arm", arm)
        writer.member("held_out", try row.decode(Bool.self, "held_out"))
        for name in ["targeted", "delivered", "opened", "clicked", "responders", "responses"] { writer.member(name, try row.decode(Int.self, name)) }
        writer.member("denominator", denominator)
        writer.member("response_rate", denominator > 0 ? Double(try row.decode(Int.self, "counted_responders")) / Double(denominator) : nil)
        for name in ["buyers", "orders"] { writer.member(name, try row.decode(Int.self, name)) }
        writer.member("revenue", try row.decode(String.self, "revenue"))
        writer.member("margin", try row.decode(String?.self, "margin"))
        writer.member("cost_of_touches", (touchCosts[arm] ?? 0).cents)
        writer.endObject()
      }
      writer.endArray()
      writer.endObject()
      return .json(writer.take())
    })
}

/// What campaigns cost.
enum CampaignMoney {
  /// Refuses amounts of members or touches that have no rate.
  static func mustConvert(_ members: PostgresResult, _ touches: PostgresResult, _ currency: String?) throws {
    let missing = try (Array(members.rows) + Array(touches.rows)).reduce(0) { $0 + (try $1.decode(Int.self, "without_rate")) }
    if missing > 0 { throw Problem.noRate(to: currency) }
  }

  /// The cost of touches by arm.
  static func costs(_ touches: PostgresResult) throws -> [String?: Decimal] {
    var costs: [String?: Decimal] = [:]
    for row in touches.rows { costs[try row.decode(String?.self, "arm"), default: 0] += try row.decode(Decimal.self, "cost") }
    return costs
  }
}

extension Decimal {
  /// An amount with two decimals, half away from zero, as exact decimal text.
  var cents: String {
    var rounded = Decimal()
    var value = self
    NSDecimalRound(&rounded, &value, 2, .plain)
    return rounded.formatted(.number.locale(Locale(identifier: "en_US_POSIX")).grouping(.never).precision(.fractionLength(2)))
  }
}
