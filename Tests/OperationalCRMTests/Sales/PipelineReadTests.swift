import CRMCore
import Foundation
import Gateway
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("Boards, win rates and snapshots of pipelines")
struct PipelineReadTests {
  private func close(_ sales: SalesFixture, _ opportunity: JSON, won: Bool) async throws {
    let reason = try await sales.get("/v1/lost_reasons?code=eq.price")["data"]?.array?.first?.id ?? ""
    _ = try await sales.done(
      .post, "/v1/opportunities/\(opportunity.id)/\(won ? "win" : "lose")", json: won ? nil : ["lost_reason_id": .string(reason)])
  }

  @Test("a board shows every stage, adds no two currencies, and says what is rotting")
  func board() async throws {
    let sales = try await SalesFixture.suite()
    let pipeline = try await sales.pipeline("Tahta", stages: [("A", 10), ("B", 50)], fields: [["rotting_days": 5]])
    for (amount, currency) in [("100", "TRY"), ("50.10", "TRY"), ("7", "EUR")] {
      _ = try await sales.opportunity(["pipeline_id": .string(pipeline.id), "amount": .string(amount), "currency": .string(currency)])
    }
    let old = try await sales.opportunity(["pipeline_id": .string(pipeline.id)])
    _ = try await sales.behind(
      "UPDATE crm.opportunity SET stage_entered_at = now() - interval '6 days', rots_at = now() - interval '1 day' WHERE id = \(old.id)::uuid")
    let rows = try await sales.get("/v1/pipelines/\(pipeline.id)/board")["data"]?.array ?? []
    #expect(rows.map { $0["currency"] } == ["EUR", "TRY", .null])
    #expect(rows[1]["opportunities"] == 3 && rows[1]["amount"] == "150.10" && rows[1]["weighted_amount"] == "15.01", "\(rows)")
    #expect(rows[1]["rotting"] == 1 && rows[1]["without_amount"] == 1)
    #expect(rows[2]["stage"] == "B" && rows[2]["opportunities"] == 0 && rows[2]["amount"] == .null)
    let nobody = try await sales.get("/v1/pipelines/\(pipeline.id)/board?owner_id=\(UUID.v7().lowercase)")["data"]?.array ?? []
    #expect(nobody.map { $0["opportunities"] } == [0, 0])
    let late = try await sales.get("/v1/opportunities?rots_at=lte.2999-01-01T00:00:00Z&pipeline_id=eq.\(pipeline.id)&order=rots_at")["data"]?.array
    #expect(late?.first?.id == old.id)
  }

  @Test("win rates count each opportunity once for every stage it ever entered")
  func rates() async throws {
    let sales = try await SalesFixture.suite()
    let pipeline = try await sales.pipeline("Oranlar", stages: [("A", 10), ("B", 50), ("C", 90)])
    // Where each one goes, and whether it is won, lost or still open.
    for (path, won): ([Int], Bool?) in [([1, 0, 1], true), ([1], false), ([], false), ([2], true), ([1], nil)] {
      let opportunity = try await sales.opportunity(["pipeline_id": .string(pipeline.id)])
      for stage in path {
        _ = try await sales.done(.post, "/v1/opportunities/\(opportunity.id)/move", json: ["stage_id": .string(pipeline.stages[stage])])
      }
      if let won { try await close(sales, opportunity, won: won) }
    }
    let rows = try await sales.get("/v1/pipelines/\(pipeline.id)/win_rates")["data"]?.array ?? []
    #expect(rows.map { $0["entered"] } == [5, 3, 1] && rows.map { $0["won"] } == [2, 1, 1] && rows.map { $0["lost"] } == [2, 1, 0])
    #expect(rows.map { $0["open"] } == [1, 1, 0] && rows.map { $0["historical_probability"] } == ["50.00", "50.00", "100.00"], "\(rows)")
    #expect(rows.map { $0["probability"] } == ["10.00", "50.00", "90.00"])
    let live = try await sales.behind(
      """
      SELECT count(DISTINCT h.opportunity_id)::int AS entered FROM crm.opportunity_stage h
       WHERE h.pipeline_id = \(pipeline.id)::uuid AND h.status = 'open' GROUP BY h.stage_id ORDER BY 1 DESC
      """)
    #expect(try live.rows.map { try $0.decode(Int.self, at: 0) } == [5, 3, 1])
  }

  @Test("questions about a pipeline refuse who reads no sales, unknown pipelines and unreadable days")
  func refusals() async throws {
    let sales = try await SalesFixture.suite()
    let pipeline = try await sales.pipeline("Soru", stages: [("A", 10)])
    for question in ["board", "win_rates", "snapshot?date=2026-01-01"] {
      #expect(try await sales.send(.get, "/v1/pipelines/\(pipeline.id)/\(question)", as: "emre").status == 403)
      #expect(try await sales.send(.get, "/v1/pipelines/\(UUID.v7().lowercase)/\(question)").status == 404)
      #expect(try await sales.send(.get, "/v1/pipelines/x/\(question)").status == 404)
    }
    for query in ["", "?date=yesterday", "?date=2026-02-30", "?day=2026-01-01"] {
      #expect(try await sales.send(.get, "/v1/pipelines/\(pipeline.id)/snapshot\(query)").status == 400, "\(query)")
    }
    #expect(try await sales.get("/v1/pipelines/\(pipeline.id)/snapshot?date=1999-01-01")["data"] == [])
  }

  @Test("a snapshot of every day equals what the history of stages and the change log say of that day")
  func snapshots() async throws {
    let sales = try await SalesFixture(server: TestServer.start())
    var random = SplitMix(seed: 7)
    let pipeline = try await sales.pipeline("Fotoğraf", stages: [("A", 10), ("B", 40), ("C", 80)])
    var opportunities: [JSON] = []
    let days = (1...6).map { "2026-01-0\($0)" }
    for day in days {
      for _ in 0..<12 {
        let one = opportunities.randomElement(using: &random)
        switch (Int.random(in: 0..<6, using: &random), one) {
        case (0, _), (_, nil):
          let currency = JSON.string(["TRY", "EUR"].randomElement(using: &random) ?? "TRY")
          let amount = JSON.string("\(Int.random(in: 1...900, using: &random)).5")
          opportunities.append(try await sales.opportunity(["pipeline_id": .string(pipeline.id), "currency": currency, "amount": amount]))
        case (1, let one?):
          _ = try await sales.send(.post, "/v1/opportunities/\(one.id)/win")
        case (2, let one?):
          _ = try await sales.send(.post, "/v1/opportunities/\(one.id)/reopen")
        case (3, let one?):
          _ = try await sales.done(
            .patch, "/v1/opportunities/\(one.id)", json: ["amount": .string("\(Int.random(in: 1...900, using: &random))"), "probability": "33"])
        case (_, let one?):
          let stage = pipeline.stages.randomElement(using: &random) ?? ""
          _ = try await sales.send(.post, "/v1/opportunities/\(one.id)/move", json: ["stage_id": .string(stage)])
        }
      }
      try await sales.work("pipeline.snapshot", payload: ["date": .string(day)])
    }
    // A day is written down once, and none before the last.
    for again in ["2026-01-06", "2026-01-03", "2025-12-31"] { try await sales.work("pipeline.snapshot", payload: ["date": .string(again)]) }
    #expect(try await sales.behind("SELECT count(*)::int FROM crm.pipeline_snapshot")[0].decode(Int.self, at: 0) == days.count)
    var rows = 0
    for day in days {
      let shown = try await sales.get("/v1/pipelines/\(pipeline.id)/snapshot?date=\(day)")["data"]?.array ?? []
      let computed = try await sales.behind(
        """
        SELECT h.stage_id::text AS stage, a.currency, count(*)::int AS number, sum(a.amount)::numeric(18,2)::text AS amount
          FROM crm.pipeline_snapshot p
          JOIN crm.opportunity_stage h ON h.status = 'open' AND h.entered_at <= p.taken_at AND (h.left_at IS NULL OR h.left_at > p.taken_at)
          CROSS JOIN LATERAL (
            SELECT (array_agg(c.after ->> 'amount' ORDER BY c.xid DESC, c.seq DESC) FILTER (WHERE c.after ? 'amount'))[1]::numeric AS amount,
                   (array_agg(c.after ->> 'currency' ORDER BY c.xid DESC, c.seq DESC) FILTER (WHERE c.after ? 'currency'))[1] AS currency
              FROM crm.change c WHERE c.relation = 'opportunities' AND c.row_id = h.opportunity_id AND c.at <= p.taken_at) a
         WHERE p.snapshot_on = \(day)::date AND h.pipeline_id = \(pipeline.id)::uuid
         GROUP BY h.stage_id, a.currency
        """)
      let expected = try computed.rows.map { row in
        "\(try row.decode(String.self, "stage")) \(try row.decode(String.self, "currency")) \(try row.decode(Int.self, "number")) \(try row.decode(String.self, "amount"))"
      }
      func text(_ json: JSON?) -> String { if case .number(let number) = json { "\(number)" } else { json?.string ?? "-" } }
      #expect(
        Set(shown.map { "\(text($0["stage_id"])) \(text($0["currency"])) \(text($0["opportunities"])) \(text($0["amount"]))" }) == Set(expected), "\(day)")
      #expect(shown.allSatisfy { $0["snapshot_on"] == .string(day) })
      rows += shown.count
    }
    #expect(rows > days.count)
    // A day after the last is answered with the last.
    let later = try await sales.get("/v1/pipelines/\(pipeline.id)/snapshot?date=2026-03-01")["data"]?.array
    #expect(later?.first?["snapshot_on"] == "2026-01-06")
    // By itself the job writes down the day before today.
    try await sales.work("pipeline.snapshot")
    #expect(try await sales.behind("SELECT max(snapshot_on) = crm.business_day(now()) - 1 FROM crm.pipeline_snapshot")[0].decode(Bool.self, at: 0))
    #expect(Work.schedules.contains { $0.kind == "pipeline.snapshot" })
  }
}
