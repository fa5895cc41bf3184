import CRMCore
import Foundation
import PostgresClient

struct UpliftQuestion: OperationInput {
  let campaign: CampaignQuestion
  let confidence: Double
  /// The share that a division made elsewhere promised to hold out.
  let promisedHoldout: Double?

  init(_ fields: inout InputReader) {
    campaign = CampaignQuestion(&fields)
    confidence =
      fields.optionalDecimal("confidence", "Confidence of the intervals, such as 0.9; 0.95 when left out.", scale: 4, in: 0.5...0.9999)
      .map { NSDecimalNumber(decimal: $0).doubleValue } ?? 0.95
    promisedHoldout =
      fields.optionalDecimal(
        "holdout_percent", "Where the division was made elsewhere: how many in a hundred it held out, for the check of the sample ratio.", scale: 4,
        in: 0.0001...99.9999
      )
      .map { NSDecimalNumber(decimal: $0).doubleValue / 100 }
  }

  /// The campaign, its groups, and what its touches cost.
  func statements(_ id: UUID) -> [SQL] {
    [
      campaign.campaign(id),
      """
      SELECT r.arm, r.held_out, count(*) AS members, count(*) FILTER (WHERE r.orders > 0) AS buyers, round(sum(r.amount), 2)::text AS revenue,
             avg(r.amount) AS amount_mean, coalesce(var_samp(r.amount), 0) AS amount_variance, avg(r.margin) AS margin_mean,
             coalesce(var_samp(r.margin), 0) AS margin_variance, sum(r.without_cost)::bigint AS without_cost, sum(r.without_rate)::bigint AS without_rate,
             count(*) FILTER (WHERE r.delivered) AS delivered
        FROM \(campaign.members(id)) WHERE c.id = \(id) GROUP BY r.arm, r.held_out
      """,
      """
      SELECT t.arm, t.touches, t.cost, t.without_rate FROM crm.campaign c
       CROSS JOIN LATERAL (SELECT coalesce(\(campaign.scope.measuredCurrency(campaign.begin, campaign.end)), c.currency) AS currency) k
       CROSS JOIN LATERAL analytics.campaign_cost(c.id, \(campaign.end), k.currency) t WHERE c.id = \(id)
      """,
    ]
  }
}

/// What a campaign moved, measured against those held out at random, by intention to treat: everybody counts as divided, whether reached or not.
struct CampaignUpliftAnswer {
  struct Arm {
    let name: String
    let members, delivered, buyers: Int
    let revenue: String
    let share: ProportionUplift
    let money: WelchDifference
    let margin: WelchDifference?
    let cost: Double
    var shareHolm: Double?
    var moneyHolm: Double?

    /// (members × margin more a member - cost) / cost.
    var incrementalROI: Double? { margin.flatMap { cost > 0 ? (Double(members) * $0.difference - cost) / cost : nil } }
  }

  let campaign: MeasuredCampaign
  let sampleRatio: SampleRatio?
  let heldOut: (members: Int, buyers: Int, revenue: String)
  /// Empty when the result is withheld.
  private(set) var arms: [Arm]

  /// Fewer than this in a group say nothing.
  static let fewest = 10

  init(_ question: UpliftQuestion, _ results: [PostgresResult]) throws {
    campaign = try MeasuredCampaign(results[0], question.campaign.scope)
    try CampaignMoney.mustConvert(results[1], results[2], campaign.currency)
    if campaign.assignment == "chosen" {
      throw Problem(
        409, "not-randomised", Phrase("Nobody was held out of this campaign at random.", tr: "Bu kampanyada rastgele kimse ayrılmadı."),
        detail: Phrase(
          "What can be described all the same is at …/difference_in_differences.", tr: "Yine de betimlenebilecek olan …/difference_in_differences adresindedir."
        ))
    }
    guard let control = try results[1].rows.first(where: { try $0.decode(Bool.self, "held_out") }) else {
      throw Problem(
        409, "no-hold-out",
        Phrase("Nobody is held out of this campaign, so there is nothing to compare with.", tr: "Bu kampanyada kimse ayrılmadı; karşılaştıracak bir şey yok."))
    }
    let controlCount = try control.decode(Int.self, "members")
    heldOut = (controlCount, try control.decode(Int.self, "buyers"), try control.decode(String.self, "revenue"))
    var groups: [String: PostgresRow] = [:]
    for row in results[1].rows { if let arm = try row.decode(String?.self, "arm") { groups[arm] = row } }
    let missing = campaign.arms.filter { groups[$0] == nil }
    if !missing.isEmpty {
      let list = missing.joined(separator: ", ")
      throw Problem(409, "empty-arm", Phrase("Nobody is in these arms: \(list).", tr: "Bu kollarda kimse yok: \(list)."))
    }
    let rows = campaign.arms.compactMap { arm in groups[arm].map { (arm, $0) } }
    let counts = try rows.map { try $0.1.decode(Int.self, "members") }
    if let smallest = ([controlCount] + counts).min(), smallest < Self.fewest {
      throw Problem(
        409, "sample-too-small",
        Phrase(
          "The smallest group has \(smallest) customers; \(Self.fewest) are the least from which anything can be said.",
          tr: "En küçük grupta \(smallest) müşteri var; bir şey söyleyebilmek için en az \(Self.fewest) gerekir."))
    }
    let promised = campaign.assignment == "hash" ? Double(campaign.holdoutPercent) / 100 : question.promisedHoldout
    sampleRatio = promised.map { share in
      SampleRatio(observed: [controlCount] + counts, shares: [share] + counts.map { _ in (1 - share) / Double(counts.count) })
    }
    arms = []
    if sampleRatio?.isMismatch == true { return }

    let costs = try CampaignMoney.costs(results[2])
    let everyone = Double(counts.reduce(0, +))
    for ((name, row), count) in zip(rows, counts) {
      func moments(_ row: PostgresRow, _ count: Int, _ what: (mean: String, variance: String)) throws -> Moments {
        Moments(count: count, mean: try row.decode(Double.self, what.mean), variance: try row.decode(Double.self, what.variance))
      }
      func difference(_ what: (mean: String, variance: String)) throws -> WelchDifference {
        WelchDifference(
          treated: try moments(row, count, what), control: try moments(control, controlCount, what), confidence: question.confidence)
      }
      let isCosted = try row.decode(Int.self, "without_cost") == 0 && control.decode(Int.self, "without_cost") == 0
      let buyers = try row.decode(Int.self, "buyers")
      arms.append(
        Arm(
          name: name, members: count, delivered: try row.decode(Int.self, "delivered"), buyers: buyers, revenue: try row.decode(String.self, "revenue"),
          share: ProportionUplift(
            treated: Proportion(buyers, of: count), control: Proportion(heldOut.buyers, of: controlCount), confidence: question.confidence),
          money: try difference(("amount_mean", "amount_variance")), margin: isCosted ? try difference(("margin_mean", "margin_variance")) : nil,
          cost: NSDecimalNumber(decimal: costs[name] ?? 0).doubleValue + campaign.cost * Double(count) / everyone))
    }
    // A test that could not be made takes part as one that found nothing.
    let shares = Holm.adjusted(arms.map { $0.share.p ?? 1 })
    let money = Holm.adjusted(arms.map { $0.money.p ?? 1 })
    for index in arms.indices {
      arms[index].shareHolm = arms[index].share.p.map { _ in shares[index] }
      arms[index].moneyHolm = arms[index].money.p.map { _ in money[index] }
    }
  }

  static let withheld = Phrase(
    "The groups do not have the sizes that the division promised (sample ratio mismatch). Something went wrong before the result, so it is withheld.",
    tr: "Grupların büyüklükleri bölünmenin öngördüğü gibi değil (örneklem oranı uyuşmazlığı). Sonuçtan önce bir şey yanlış gitti; bu yüzden sonuç verilmiyor.")
}

extension ReadOperation {
  static let campaignUplift = ReadOperation(
    "read_campaign_uplift", "/v1/campaigns/{id}/uplift", tag: "campaigns", access: .read(.analytics), "Read what a campaign moved, against those held out",
    description:
      "For each arm against those held out at random, by intention to treat: the share that bought in the campaign's time (difference with Wald's and Newcombe's interval; "
      + "z test with the pooled share), and what was spent, and what of it was margin, a member (Welch). p_holm holds several arms to the error of one test. "
      + "The sizes of the groups are checked first (chi-square): below p = 0.001 the result is withheld, with the reason. incremental_roi is "
      + "(members × margin more a member - cost) / cost; the campaign's own cost is divided by members. Refused (409): not-randomised, no-hold-out, empty-arm, "
      + "sample-too-small (fewer than 10 in a group), not-begun; 422: mixed-currencies, no-rate.",
    input: UpliftQuestion.self,
    answer: (
      "application/json",
      MeasurementSchema.object(
        MeasurementSchema.campaign.merging([
          "confidence": AnswerField.number, "withheld": MeasurementSchema.text, "small": AnswerField.flag,
          "sample_ratio": [
            "type": ["object", "null"],
            "properties": ["chi_square": AnswerField.number, "df": AnswerField.count, "p": AnswerField.number, "mismatch": AnswerField.flag],
          ],
          "held_out": MeasurementSchema.object([
            "members": AnswerField.count, "buyers": AnswerField.count, "share": AnswerField.number, "revenue": AnswerField.decimal,
          ]),
          "data": MeasurementSchema.list(of: [
            "arm": AnswerField.text, "members": AnswerField.count, "delivered": AnswerField.count, "buyers": AnswerField.count, "share": AnswerField.number,
            "revenue": AnswerField.decimal, "uplift": AnswerField.number, "wald": MeasurementSchema.interval, "newcombe": MeasurementSchema.interval,
            "z": MeasurementSchema.number, "p": MeasurementSchema.number, "p_holm": MeasurementSchema.number,
            "money_uplift": AnswerField.number, "money_interval": MeasurementSchema.interval, "t": MeasurementSchema.number, "df": MeasurementSchema.number,
            "money_p": MeasurementSchema.number, "money_p_holm": MeasurementSchema.number, "margin_uplift": MeasurementSchema.number,
            "margin_interval": MeasurementSchema.interval, "cost": AnswerField.number, "incremental_roi": MeasurementSchema.number,
          ]),
        ]) { $1 })
    ),
    refusals: [409, 422], reading: [.marketing], extending: [.sales, .customers, .products, .analytics], lane: .reports,
    statements: { request, question in question.statements(try request.pathID()) },
    respond: { request, results in
      let question = try InputReader.read(UpliftQuestion.self, from: request.query)
      let answer = try CampaignUpliftAnswer(question, results)
      let everyone = try results[1].rows.reduce(0) { $0 + (try $1.decode(Int.self, "members")) }
      var writer = JSONWriter(capacity: 2048)
      writer.beginObject()
      answer.campaign.write(&writer, id: try request.pathID(), method: "uplift_random_holdout", n: everyone)
      writer.member("confidence", question.confidence)
      writer.member("withheld", answer.sampleRatio?.isMismatch == true ? CampaignUpliftAnswer.withheld.text(in: request.language) : nil)
      writer.member("small", try results[1].rows.contains { try $0.decode(Int.self, "members") < 30 })
      writer.key("sample_ratio")
      if let ratio = answer.sampleRatio {
        writer.beginObject()
        writer.member("chi_square", ratio.chiSquare)
        writer.member("df", ratio.df)
        writer.member("p", ratio.p)
        writer.member("mismatch", ratio.isMismatch)
        writer.endObject()
      } else {
        writer.null()
      }
      writer.key("held_out")
      writer.beginObject()
      writer.member("members", answer.heldOut.members)
      writer.member("buyers", answer.heldOut.buyers)
      writer.member("share", Double(answer.heldOut.buyers) / Double(answer.heldOut.members))
      writer.member("revenue", answer.heldOut.revenue)
      writer.endObject()
      writer.key("data")
      writer.beginArray()
      for arm in answer.arms { arm.write(&writer) }
      writer.endArray()
      writer.endObject()
      return .json(writer.take())
    })
}

extension CampaignUpliftAnswer.Arm {
  fileprivate func write(_ writer: inout JSONWriter) {
    writer.beginObject()
    writer.member("arm", name)
    writer.member("members", members)
    writer.member("delivered", delivered)
    writer.member("buyers", buyers)
    writer.member("share", Double(buyers) / Double(members))
    writer.member("revenue", revenue)
    writer.member("uplift", share.difference)
    writer.member("wald", share.wald)
    writer.member("newcombe", share.newcombe)
    writer.member("z", share.z)
    writer.member("p", share.p)
    writer.member("p_holm", shareHolm)
    writer.member("money_uplift", money.difference)
    writer.member("money_interval", money.interval)
    writer.member("t", money.t)
    writer.member("df", money.df)
    writer.member("money_p", money.p)
    writer.member("money_p_holm", moneyHolm)
    writer.member("margin_uplift", margin?.difference)
    writer.member("margin_interval", margin?.interval)
    writer.member("cost", cost)
    writer.member("incremental_roi", incrementalROI)
    writer.endObject()
  }
}
