import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("Opportunities")
struct OpportunityTests {
  @Test("a new opportunity starts in the first stage of the nearest default pipeline")
  func start() async throws {
    let sales = try await SalesFixture.suite()
    let opportunity = try await sales.opportunity(["name": "Ofis kahvesi"])
    #expect(opportunity["status"] == "open" && opportunity["probability"] == "10.00" && opportunity["currency"] == "TRY")
    let shown = try await sales.get("/v1/opportunities/\(opportunity.id)?expand=stage,pipeline,stages")
    #expect(shown["stage"]?["position"] == 10 && shown["pipeline"]?["name"] == "Standart satış", "\(shown)")
    #expect(shown["stages"]?.array?.count == 1 && shown["stages"]?.array?.first?["left_at"] == .null)

    let own = try await sales.pipeline("Kurumsal", department: "sales_corporate", isDefault: true, stages: [("Keşif", 5), ("Sözleşme", 90)])
    let corporate = try await sales.opportunity(["name": "Kurumsal kahve"], as: "gul")
    #expect(corporate["pipeline_id"] == .string(own.id) && corporate["probability"] == "5.00")
    let second = try await sales.send(.post, "/v1/pipelines", as: "deniz", json: ["name": "Bir daha", "is_default": true])
    #expect(second.status == 409 && second.text.contains("already has a default pipeline"), "\(second.text)")
  }

  @Test("a department without a default pipeline takes that of the department above")
  func inherited() async throws {
    let sales = try await SalesFixture(server: TestServer.start())
    let above = try await sales.pipeline("Satış hattı", department: "sales", isDefault: true, stages: [("İlk", 15)])
    #expect(try await sales.opportunity([:], as: "gul")["pipeline_id"] == .string(above.id))
    let service = try await sales.behind("SELECT crm.default_stage(d.id)::text FROM crm.department d WHERE d.code = 'service'")
    #expect(try await sales.get("/v1/stages/\(service[0].decode(String.self, at: 0))")["name"] == "Ön görüşme")
  }

  @Test("a stage of another pipeline and an unknown stage are refused")
  func wrongStage() async throws {
    let sales = try await SalesFixture.suite()
    let one = try await sales.pipeline("Bir", stages: [("A", 10)])
    let two = try await sales.pipeline("İki", stages: [("B", 10)])
    let mixed = try await sales.send(
      .post, "/v1/opportunities",
      json: ["customer_id": .string(sales.customer), "name": "x", "pipeline_id": .string(one.id), "stage_id": .string(two.stages[0])])
    #expect(mixed.status == 422 && mixed.text.contains("has no such stage"), "\(mixed.text)")
    let unknown = try await sales.send(
      .post, "/v1/opportunities", json: ["customer_id": .string(sales.customer), "name": "x", "stage_id": .string(UUID.v7().lowercase)])
    #expect(unknown.status == 422 && unknown.text.contains("/stage_id"), "\(unknown.text)")
    let moved = try await sales.send(.patch, "/v1/opportunities/\(try await sales.opportunity([:]).id)", json: ["stage_id": .string(two.stages[0])])
    #expect(moved.status == 422 && moved.text.contains("read-only"))
  }

  @Test("the amount is the sum of the lines while there are any, in the same statement")
  func lines() async throws {
    let sales = try await SalesFixture.suite()
    let opportunity = try await sales.opportunity(["amount": "500"])
    let first = try await sales.line(opportunity, 1, quantity: "3", price: "10.005", discount: "10")
    #expect(try await sales.get("/v1/opportunities/\(opportunity.id)")["amount"] == "27.01")
    _ = try await sales.line(opportunity, 2, quantity: "2.5", price: "4")
    #expect(try await sales.get("/v1/opportunities/\(opportunity.id)")["amount"] == "37.01")
    let byHand = try await sales.send(.patch, "/v1/opportunities/\(opportunity.id)", json: ["amount": "1"])
    #expect(byHand.status == 422 && byHand.text.contains("change the lines"), "\(byHand.text)")
    #expect(try await sales.send(.patch, "/v1/opportunity_lines/\(first)", json: ["quantity": "1"]).status == 200)
    #expect(try await sales.get("/v1/opportunities/\(opportunity.id)")["amount"] == "19.00")
    for line in try await sales.get("/v1/opportunity_lines?opportunity_id=eq.\(opportunity.id)")["data"]?.array ?? [] {
      #expect(try await sales.send(.delete, "/v1/opportunity_lines/\(line["id"]?.string ?? "")").status == 204)
    }
    #expect(try await sales.send(.patch, "/v1/opportunities/\(opportunity.id)", json: ["amount": "1"]).status == 200)
    for body: JSON in [["quantity": "0"], ["unit_price": "-1"], ["discount_percent": "101"]] {
      let line = JSON.object(
        [
          "customer_id": .string(sales.customer), "opportunity_id": .string(opportunity.id), "line_number": 9, "product_id": .string(sales.product),
          "unit_price": "1",
        ]
        .merging(body.object ?? [:]) { $1 })
      #expect(try await sales.send(.post, "/v1/opportunity_lines", json: line).status == 422, "\(body)")
    }
  }

  @Test("lines added at once are all in the sum")
  func linesAtOnce() async throws {
    let sales = try await SalesFixture.suite()
    let opportunity = try await sales.opportunity([:])
    let added = try await withThrowingTaskGroup(of: Bool.self) { group in
      for number in 1...16 {
        group.addTask {
          let answer = try await sales.send(
            .post, "/v1/opportunity_lines",
            json: [
              "customer_id": .string(sales.customer), "opportunity_id": .string(opportunity.id), "line_number": .number(Decimal(number)),
              "product_id": .string(sales.product), "unit_price": "10",
            ])
          #expect(answer.status == 201 || answer.status == 503, "\(answer.text)")
          return answer.status == 201
        }
      }
      return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
    }
    #expect(added > 1)
    #expect(try await sales.get("/v1/opportunities/\(opportunity.id)")["amount"] == .string("\(added * 10).00"))
  }

  @Test("an opportunity that moves to another customer takes with it all that belongs to it")
  func anotherCustomer() async throws {
    let sales = try await SalesFixture.suite()
    let survivor = try #require(UUID(uuidString: try await SalesFixture.suite().customer))
    let opportunity = try await sales.opportunity([:])
    _ = try await sales.line(opportunity, 1, quantity: "1", price: "5")
    _ = try await sales.done(
      .post, "/v1/opportunity_competitors",
      json: ["customer_id": .string(sales.customer), "opportunity_id": .string(opportunity.id), "name": "Rakip"])
    let contract = try await sales.done(
      .post, "/v1/contracts",
      json: ["customer_id": .string(sales.customer), "name": "Bakım", "starts_on": "2026-01-01", "opportunity_id": .string(opportunity.id)])
    try await Database(pool: sales.server.database.app).transaction(as: .system("test")) { tx in
      try await tx.run("SET CONSTRAINTS ALL DEFERRED")
      try await tx.run("UPDATE crm.opportunity SET customer_id = \(survivor) WHERE id = \(opportunity.id)::uuid")
      try await tx.run("UPDATE crm.contract SET customer_id = \(survivor) WHERE id = \(contract.id)::uuid")
    }
    let id = opportunity.id
    for path in ["opportunity_lines?opportunity_id=eq.\(id)", "opportunity_competitors?opportunity_id=eq.\(id)", "opportunity_stages?opportunity_id=eq.\(id)"] {
      let rows = try await sales.get("/v1/\(path)")["data"]?.array ?? []
      #expect(rows.count == 1 && rows[0]["customer_id"] == .string(survivor.lowercase), "\(path)")
    }
    #expect(try await sales.get("/v1/opportunities/\(id)?expand=lines")["lines"]?.array?.count == 1)
  }

  @Test("whoever may not write sales makes no opportunity, and its parts are as hidden as itself")
  func hidden() async throws {
    let sales = try await SalesFixture.suite()
    let body: JSON = ["customer_id": .string(sales.customer), "name": "x"]
    #expect(try await sales.send(.post, "/v1/opportunities", as: "fatma", json: body).status == 403)
    let secret = try await sales.opportunity(["visibility": "private"])
    let line = try await sales.line(secret, 1, quantity: "1", price: "1")
    for path in ["/v1/opportunities/\(secret.id)", "/v1/opportunity_lines/\(line)"] {
      #expect(try await sales.send(.get, path, as: "gul").status == 404)
    }
    #expect(try await sales.get("/v1/opportunity_stages?opportunity_id=eq.\(secret.id)", as: "gul")["data"] == [])
    #expect(try await sales.get("/v1/opportunity_stages?opportunity_id=eq.\(secret.id)")["data"]?.array?.count == 1)
    #expect(try await sales.send(.patch, "/v1/opportunities/\(secret.id)", json: ["visibility": "company"]).status == 200)
    #expect(try await sales.send(.get, "/v1/opportunity_lines/\(line)", as: "gul").status == 200)
    #expect(try await sales.get("/v1/opportunity_stages?opportunity_id=eq.\(secret.id)", as: "gul")["data"]?.array?.count == 1)
    let hand = try await sales.send(
      .post, "/v1/opportunity_competitors", as: "mehmet",
      json: [
        "customer_id": .string(sales.customer), "opportunity_id": .string(secret.id), "name": "Rakip",
      ])
    #expect(hand.status == 403, "\(hand.text)")
  }
}

extension JSON {
  /// The record's id.
  var id: String { self["id"]?.string ?? "" }
}
