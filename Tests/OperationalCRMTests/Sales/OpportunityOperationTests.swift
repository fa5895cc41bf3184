import CRMCore
import Foundation
import MuhatapTestKit
import OperationalCRM
import PostgresClient
import Testing

@Suite("Moving, winning, losing and reopening opportunities")
struct OpportunityOperationTests {
  private func reason(_ sales: SalesFixture, _ code: String = "price") async throws -> JSON {
    .string(try await sales.get("/v1/lost_reasons?code=eq.\(code)")["data"]?.array?.first?.id ?? "")
  }

  @Test("a move asks for everything that is missing in the stages it leaves and skips, and goes back freely")
  func move() async throws {
    let sales = try await SalesFixture.suite()
    let pipeline = try await sales.pipeline(
      "Ölçütlü", stages: [("Bir", 10), ("İki", 40), ("Üç", 80)],
      fields: [["exit_criteria": ["amount", "next_step"], "rotting_days": 7], ["exit_criteria": ["lines", "competitors", "amount"]]])
    let opportunity = try await sales.opportunity(["pipeline_id": .string(pipeline.id)])
    let path = "/v1/opportunities/\(opportunity.id)/move"
    let skipped = try await sales.send(.post, path, json: ["stage_id": .string(pipeline.stages[2])])
    #expect(skipped.status == 409 && skipped.problem == "exit-criteria")
    let pointers = try skipped.json()["errors"]?.array?.compactMap { $0["pointer"]?.string }.sorted()
    #expect(pointers == ["/amount", "/competitors", "/lines", "/next_step"], "\(skipped.text)")

    _ = try await sales.done(.patch, "/v1/opportunities/\(opportunity.id)", json: ["amount": "100", "next_step": "Ara"])
    let moved = try await sales.done(.post, path, json: ["stage_id": .string(pipeline.stages[1])])
    #expect(moved["stage"]?["name"] == "İki" && moved["probability"] == "40.00" && moved["rots_at"] == .null, "\(moved)")
    let back = try await sales.done(.post, path, json: ["stage_id": .string(pipeline.stages[0])])
    #expect(back["probability"] == "10.00" && back["rots_at"] != .null)
    let away = try await sales.pipeline("Başka", stages: [("Tek", 50)])
    #expect(try await sales.done(.post, path, json: ["stage_id": .string(away.stages[0])])["pipeline_id"] == .string(away.id))
  }

  @Test("a criterion may be a custom field")
  func customCriterion() async throws {
    let sales = try await SalesFixture(server: TestServer.start())
    _ = try await sales.done(
      .post, "/v1/custom_fields", as: "deniz",
      json: ["resource": "opportunities", "name": "butce_onayi", "type": "boolean", "label_en": "Budget approved", "label_tr": "Bütçe onayı"])
    let pipeline = try await sales.pipeline("Özel", stages: [("Bir", 10), ("İki", 40)], fields: [["exit_criteria": ["custom.butce_onayi"]]])
    let opportunity = try await sales.opportunity(["pipeline_id": .string(pipeline.id)])
    let path = "/v1/opportunities/\(opportunity.id)/move"
    let refused = try await sales.send(.post, path, json: ["stage_id": .string(pipeline.stages[1])])
    #expect(refused.status == 409 && refused.text.contains("/custom/butce_onayi"), "\(refused.text)")
    var answer = try await sales.send(.patch, "/v1/opportunities/\(opportunity.id)", json: ["custom": ["butce_onayi": true]])
    // The gateway hears of a new field a moment later.
    for _ in 0..<600 where answer.status == 422 {
      try await Task.sleep(for: .milliseconds(100))
      answer = try await sales.send(.patch, "/v1/opportunities/\(opportunity.id)", json: ["custom": ["butce_onayi": true]])
    }
    try #require(answer.status == 200, "\(answer.text)")
    _ = try await sales.done(.post, path, json: ["stage_id": .string(pipeline.stages[1])])
    let strange = try await sales.send(.patch, "/v1/stages/\(pipeline.stages[0])", as: "deniz", json: ["exit_criteria": ["amuont"]])
    #expect(strange.status == 422 && strange.text.contains("Criteria are"), "\(strange.text)")
  }

  @Test("winning and losing close an opportunity, reopening brings it back, and each refuses the wrong state")
  func close() async throws {
    let sales = try await SalesFixture.suite()
    let opportunity = try await sales.opportunity(["amount": "100", "close_on": "2026-12-01"])
    let path = "/v1/opportunities/\(opportunity.id)"
    #expect(try await sales.send(.post, "\(path)/reopen").problem == "not-closed")
    let won = try await sales.done(.post, "\(path)/win")
    #expect(won["status"] == "won" && won["probability"] == "100.00" && won["closed_on"] != .null && won["rots_at"] == .null)
    #expect(try await sales.send(.post, "\(path)/win").problem == "not-open")
    #expect(try await sales.send(.post, "\(path)/lose", json: ["lost_reason_id": try await reason(sales)]).problem == "not-open")
    #expect(try await sales.send(.post, "\(path)/move", json: ["stage_id": opportunity["stage_id"] ?? .null]).problem == "not-open")
    let open = try await sales.done(.post, "\(path)/reopen")
    #expect(open["status"] == "open" && open["closed_at"] == .null && open["probability"] == "10.00")
    let lost = try await sales.done(.post, "\(path)/lose", json: ["lost_reason_id": try await reason(sales), "lost_note": "Pahalı bulundu"])
    #expect(lost["status"] == "lost" && lost["lost_reason"]?["code"] == "price" && lost["probability"] == "0.00")
    let again = try await sales.done(.post, "\(path)/reopen", json: ["stage_id": try await lastStage(sales)])
    #expect(again["stage"]?["position"] == 40 && again["lost_reason_id"] == .null)
  }

  private func lastStage(_ sales: SalesFixture) async throws -> JSON {
    .string(try await sales.get("/v1/stages?position=eq.40&pipeline.name=eq.Standart%20sat%C4%B1%C5%9F")["data"]?.array?.first?.id ?? "")
  }

  @Test("a loss needs a reason that is still given")
  func reasons() async throws {
    let sales = try await SalesFixture.suite()
    let path = "/v1/opportunities/\(try await sales.opportunity([:]).id)/lose"
    #expect(try await sales.send(.post, path, json: [:]).status == 422)
    #expect(try await sales.send(.post, path, json: ["lost_reason_id": .string(UUID.v7().lowercase)]).text.contains("/v1/lost_reasons"))
    let old = try await sales.done(.post, "/v1/lost_reasons", as: "deniz", json: ["code": "old", "name_en": "Old", "name_tr": "Eski", "active": false])
    #expect(try await sales.send(.post, path, json: ["lost_reason_id": .string(old.id)]).status == 422)
    #expect(try await sales.send(.post, path, json: ["lost_reason_id": try await reason(sales)]).status == 200)
  }

  @Test("whoever reads an opportunity without owning it may not move it, and who does not see it learns nothing")
  func strangers() async throws {
    let sales = try await SalesFixture.suite()
    let shown = try await sales.opportunity([:])
    let hidden = try await sales.opportunity(["visibility": "private"])
    for action in ["win", "reopen"] {
      #expect(try await sales.send(.post, "/v1/opportunities/\(shown.id)/\(action)", as: "mehmet").status == 403)
      #expect(try await sales.send(.post, "/v1/opportunities/\(hidden.id)/\(action)", as: "mehmet").status == 404)
      #expect(try await sales.send(.post, "/v1/opportunities/\(shown.id)/\(action)", as: "fatma").status == 403)
      #expect(try await sales.send(.post, "/v1/opportunities/not-an-id/\(action)").status == 404)
    }
    #expect(try await sales.send(.post, "/v1/opportunities/\(shown.id)/move", json: ["stage_id": .string(UUID.v7().lowercase)]).status == 422)
  }

  @Test("an accepted quote wins an opportunity whatever it lacks, also one given up, and once")
  func accepted() async throws {
    let sales = try await SalesFixture.suite()
    let pipeline = try await sales.pipeline("Sıkı", stages: [("Bir", 10)], fields: [["exit_criteria": ["amount"]]])
    let opportunity = try await sales.opportunity(["pipeline_id": .string(pipeline.id)])
    #expect(try await sales.send(.post, "/v1/opportunities/\(opportunity.id)/win").problem == "exit-criteria")
    _ = try await sales.done(.post, "/v1/opportunities/\(opportunity.id)/lose", json: ["lost_reason_id": try await reason(sales)])
    let (id, customer) = try (#require(UUID(uuidString: opportunity.id)), #require(UUID(uuidString: sales.customer)))
    for _ in 0..<2 {
      try await Database(pool: sales.server.database.app).transaction(as: .system("test")) { tx in
        try await OpportunityWinning.win(opportunity: id, customer: customer, tx: tx)
      }
    }
    let stages = try await sales.get("/v1/opportunity_stages?opportunity_id=eq.\(opportunity.id)&order=entered_at")["data"]?.array
    #expect(stages?.map { $0["status"] } == ["open", "lost", "won"])
    await #expect(throws: Problem.self) {
      try await Database(pool: sales.server.database.app).transaction(as: .system("test")) { tx in
        try await OpportunityWinning.win(opportunity: UUID(), customer: customer, tx: tx)
      }
    }
  }

  @Test("moves that happen at once leave one history without gaps")
  func concurrent() async throws {
    let sales = try await SalesFixture.suite()
    let pipeline = try await sales.pipeline("Birlikte", stages: [("A", 10), ("B", 30), ("C", 60)])
    let opportunity = try await sales.opportunity(["pipeline_id": .string(pipeline.id)])
    let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
      for client in 0..<24 {
        group.addTask {
          try await sales.send(
            .post, "/v1/opportunities/\(opportunity.id)/move", json: ["stage_id": .string(pipeline.stages[client % 3])]
          ).status
        }
      }
      return try await group.reduce(into: []) { $0.append($1) }
    }
    // A busy machine may say that it is busy; a move that was answered otherwise has happened whole or not at all.
    #expect(statuses.allSatisfy { $0 == 200 || $0 == 503 } && statuses.contains(200), "\(statuses)")
    let rows = try await sales.get("/v1/opportunity_stages?opportunity_id=eq.\(opportunity.id)&order=entered_at,id")["data"]?.array ?? []
    for (row, next) in zip(rows, rows.dropFirst()) { #expect(row["left_at"] == next["entered_at"] && row["stage_id"] != next["stage_id"]) }
    #expect(rows.filter { $0["left_at"] == .null }.count == 1 && rows.last?["left_at"] == .null)
    #expect(try await sales.get("/v1/opportunities/\(opportunity.id)")["stage_id"] == rows.last?["stage_id"])
  }

  @Test("the rows of the stage history follow each other without gaps and their durations add up, whatever is done", arguments: [1, 2, 3])
  func durations(seed: Int) async throws {
    let sales = try await SalesFixture.suite()
    var random = SplitMix(seed: UInt64(seed))
    let pipeline = try await sales.pipeline("Rastgele \(seed)", stages: [("A", 10), ("B", 30), ("C", 60), ("D", 90)])
    let opportunity = try await sales.opportunity(["pipeline_id": .string(pipeline.id)])
    let path = "/v1/opportunities/\(opportunity.id)"
    var expected = ["open \(pipeline.stages[0])"]
    var (status, stage) = ("open", pipeline.stages[0])
    for _ in 0..<30 {
      let target = pipeline.stages[Int.random(in: 0..<4, using: &random)]
      let answer: TestServer.Answer
      switch Int.random(in: 0..<5, using: &random) {
      case 0:
        answer = try await sales.send(.post, "\(path)/win")
        if status == "open" { status = "won" }
      case 1:
        answer = try await sales.send(.post, "\(path)/lose", json: ["lost_reason_id": try await reason(sales)])
        if status == "open" { status = "lost" }
      case 2:
        answer = try await sales.send(.post, "\(path)/reopen", json: ["stage_id": .string(target)])
        if status != "open" { (status, stage) = ("open", target) }
      default:
        answer = try await sales.send(.post, "\(path)/move", json: ["stage_id": .string(target)])
        if status == "open" { stage = target }
      }
      if expected.last != "\(status) \(stage)" {
        #expect(answer.status == 200, "\(answer.text)")
        expected.append("\(status) \(stage)")
      }
    }
    let rows = try await sales.get("/v1/opportunity_stages?opportunity_id=eq.\(opportunity.id)&order=entered_at,id")["data"]?.array ?? []
    #expect(rows.map { "\($0["status"]?.string ?? "") \($0["stage_id"]?.string ?? "")" } == expected)
    for (row, next) in zip(rows, rows.dropFirst()) { #expect(row["left_at"] == next["entered_at"]) }
    #expect(rows.last?["left_at"] == .null)
    let sum = rows.compactMap { $0["duration_seconds"]?.string.flatMap { Decimal(string: $0) } }.reduce(0, +)
    let whole = try await sales.behind(
      "SELECT extract(epoch FROM max(entered_at) - min(entered_at))::numeric(18,6)::text FROM crm.opportunity_stage WHERE opportunity_id = \(opportunity.id)::uuid"
    )[0].decode(String.self, at: 0)
    #expect(Decimal(string: whole) == sum)
  }
}

/// Random numbers that are the same in every run.
struct SplitMix: RandomNumberGenerator {
  private var state: UInt64
  init(seed: UInt64) { state = seed }
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = (state ^ (state >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}
