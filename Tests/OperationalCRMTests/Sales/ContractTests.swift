import CRMCore
import Foundation
import Gateway
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("Contracts and recurring revenue")
struct ContractTests {
  private func contract(_ sales: SalesFixture, _ fields: [String: JSON] = [:], prices: [(String, String)] = [("100", "month")]) async throws -> JSON {
    let contract = try await sales.done(
      .post, "/v1/contracts",
      json: .object(["customer_id": .string(sales.customer), "name": "Bakım", "starts_on": "2026-01-01"].merging(fields) { $1 }))
    for (number, line) in prices.enumerated() {
      _ = try await sales.done(
        .post, "/v1/contract_lines",
        json: [
          "customer_id": .string(sales.customer), "contract_id": .string(contract.id), "line_number": .number(Decimal(number + 1)),
          "product_id": .string(sales.product), "unit_price": .string(line.0), "period": .string(line.1),
        ])
    }
    return contract
  }

  private func active(_ sales: SalesFixture, _ fields: [String: JSON] = [:], prices: [(String, String)] = [("100", "month")]) async throws -> JSON {
    try await sales.done(.post, "/v1/contracts/\(try await contract(sales, fields, prices: prices).id)/activate")
  }

  private func revenue(_ sales: SalesFixture, _ date: String) async throws -> [JSON] {
    try await sales.get("/v1/customers/\(sales.customer)/recurring_revenue?date=\(date)")["data"]?.array ?? []
  }

  @Test("what is paid by the quarter or year is spread over its months, and only what counts on the day is counted")
  func monthly() async throws {
    let sales = try await SalesFixture.suite()
    let draft = try await contract(sales, prices: [("100", "month"), ("100", "quarter"), ("100", "year")])
    #expect(draft["status"] == "draft" && draft["number"] == .null && draft["term_ends_on"] == "2026-12-31" && draft["renews_on"] == "2027-01-01")
    #expect(try await revenue(sales, "2026-06-01").isEmpty)
    let made = try await sales.done(.post, "/v1/contracts/\(draft.id)/activate")
    // 100 + 33.333333 + 8.333333
    #expect(made["monthly_amount"] == "141.67" && made["number"]?.string?.hasPrefix("C-") == true && made["lines"]?.array?.count == 3, "\(made)")
    _ = try await active(sales, ["currency": "EUR", "starts_on": "2026-03-01"], prices: [("50", "month")])
    #expect(try await revenue(sales, "2025-12-31").isEmpty)
    #expect(try await revenue(sales, "2026-02-28").map { $0["currency"] } == ["TRY"])
    let both = try await revenue(sales, "2026-03-01")
    #expect(both.map { $0["monthly_amount"] } == ["50.00", "141.67"] && both.map { $0["yearly_amount"] } == ["600.00", "1700.04"], "\(both)")
    _ = try await sales.done(.post, "/v1/contracts/\(made.id)/cancel", json: ["reason": "Mağaza kapandı", "ends_on": "2026-09-30"])
    #expect(try await revenue(sales, "2026-09-30").count == 2)
    #expect(try await revenue(sales, "2026-10-01").map { $0["currency"] } == ["EUR"])
  }

  @Test("each operation refuses the wrong state, and cancelling a day outside of the term")
  func states() async throws {
    let sales = try await SalesFixture.suite()
    let empty = try await contract(sales, prices: [])
    #expect(try await sales.send(.post, "/v1/contracts/\(empty.id)/activate").problem == "no-lines")
    #expect(try await sales.send(.post, "/v1/contracts/\(empty.id)/renew", json: [:]).problem == "wrong-status")
    let made = try await active(sales, ["starts_on": "2026-06-01"])
    #expect(try await sales.send(.post, "/v1/contracts/\(made.id)/activate").problem == "wrong-status")
    for day in ["2026-05-31", "2027-06-01"] {
      let refused = try await sales.send(.post, "/v1/contracts/\(made.id)/cancel", json: ["reason": "x", "ends_on": .string(day)])
      #expect(refused.status == 422 && refused.text.contains("/ends_on"), "\(refused.text)")
    }
    #expect(try await sales.send(.post, "/v1/contracts/\(made.id)/cancel", json: [:]).status == 422)
    #expect(try await sales.send(.patch, "/v1/contracts/\(made.id)", json: ["status": "draft"]).text.contains("read-only"))
    let cancelled = try await sales.done(.post, "/v1/contracts/\(made.id)/cancel", json: ["reason": "Fiyat"])
    #expect(cancelled["status"] == "cancelled" && cancelled["cancel_reason"] == "Fiyat" && cancelled["ended_on"] != .null)
    for action in ["cancel", "renew", "activate"] {
      #expect(try await sales.send(.post, "/v1/contracts/\(made.id)/\(action)", json: action == "cancel" ? ["reason": "x"] : [:]).problem == "wrong-status")
    }
    #expect(try await sales.done(.post, "/v1/contracts/\(empty.id)/cancel", json: ["reason": "Vazgeçildi"])["status"] == "cancelled")
    for body: JSON in [["term_months": 0], ["starts_on": "infinity"], ["renewal_notice_days": -1], ["currency": "XXX"]] {
      let fields = JSON.object(
        ["customer_id": .string(sales.customer), "name": "x", "starts_on": "2026-01-01"].merging(body.object ?? [:]) { $1 })
      #expect(try await sales.send(.post, "/v1/contracts", json: fields).status == 422, "\(body)")
    }
  }

  @Test("whoever may not change a contract activates, cancels and renews none, and a hidden one is not there")
  func strangers() async throws {
    let sales = try await SalesFixture.suite()
    let shown = try await contract(sales)
    let hidden = try await contract(sales, ["visibility": "private"])
    for (action, body): (String, JSON) in [("activate", [:]), ("cancel", ["reason": "x"]), ("renew", [:])] {
      for (person, id, status) in [("mehmet", shown.id, 403), ("mehmet", hidden.id, 404), ("fatma", shown.id, 403)] {
        let answer = try await sales.send(.post, "/v1/contracts/\(id)/\(action)", as: person, json: action == "activate" ? JSON?.none : body)
        #expect(answer.status == status, "\(action) as \(person): \(answer.text)")
      }
    }
    #expect(try await sales.send(.get, "/v1/customers/\(sales.customer)/recurring_revenue", as: "emre").status == 403)
    #expect(try await sales.send(.get, "/v1/customers/\(UUID.v7().lowercase)/recurring_revenue").status == 404)
    #expect(try await sales.send(.get, "/v1/customers/\(sales.customer)/recurring_revenue?date=x").status == 400)
    #expect(try await sales.get("/v1/contract_lines?contract_id=eq.\(hidden.id)", as: "gul")["data"] == [])
  }

  @Test("a renewal becomes an opportunity ahead of time, once a term, and is won when the contract is renewed")
  func renewals() async throws {
    let sales = try await SalesFixture(server: TestServer.start())
    let year = try await sales.behind("SELECT to_char(now() - interval '11 months 10 days', 'YYYY-MM-DD')")[0].decode(String.self, at: 0)
    let made = try await active(sales, ["starts_on": .string(year), "renewal_notice_days": 60], prices: [("250", "month")])
    let far = try await active(sales, ["starts_on": .string(year), "term_months": 36])
    for _ in 0..<3 { try await sales.work("contract.renewals") }
    let shown = try await sales.get("/v1/contracts/\(made.id)?expand=renewals")
    #expect(shown["renewals"]?.array?.count == 1 && shown["status"] == "active")
    let opportunity = try await sales.get("/v1/opportunities/\(shown["renewals"]?.array?.first?["opportunity_id"]?.string ?? "")")
    #expect(opportunity["amount"] == "3000.00" && opportunity["close_on"] == shown["term_ends_on"] && opportunity["status"] == "open")
    #expect(opportunity["name"]?.string?.hasPrefix("Yenileme: C-") == true && opportunity["owner_id"] == made["owner_id"])
    #expect(try await sales.get("/v1/contract_renewals?contract_id=eq.\(far.id)")["data"] == [])
    #expect(try await sales.send(.post, "/v1/contracts/\(far.id)/renew", json: [:]).problem == "too-early")
    await #expect(throws: PostgresError.self) {
      try await sales.behind(
        """
        INSERT INTO crm.contract_renewal (customer_id, contract_id, term_number, opportunity_id)
        SELECT customer_id, contract_id, term_number, opportunity_id FROM crm.contract_renewal
        """)
    }
    let renewed = try await sales.done(.post, "/v1/contracts/\(made.id)/renew", json: ["term_months": 6])
    #expect(renewed["term_number"] == 2 && renewed["term_starts_on"] == made["renews_on"] && renewed["term_months"] == 6)
    #expect(try await sales.get("/v1/opportunities/\(opportunity.id)")["status"] == "won")
    #expect(try await sales.send(.post, "/v1/contracts/\(made.id)/renew", json: [:]).problem == "too-early")
    #expect(Work.schedules.contains { $0.kind == "contract.renewals" })
  }

  @Test("what renews itself goes on, and what does not expires on its last day")
  func expiry() async throws {
    let sales = try await SalesFixture(server: TestServer.start())
    let fixed = try await active(sales, ["term_months": 3])
    let rolling = try await active(sales, ["term_months": 1, "auto_renew": true])
    try await sales.work("contract.renewals", payload: ["date": "2026-03-31"])
    #expect(try await sales.get("/v1/contracts/\(fixed.id)")["status"] == "active")
    try await sales.work("contract.renewals", payload: ["date": "2026-04-01"])
    let over = try await sales.get("/v1/contracts/\(fixed.id)?expand=renewals")
    #expect(over["status"] == "expired" && over["ended_on"] == "2026-03-31" && over["renewals"]?.array?.count == 1)
    let on = try await sales.get("/v1/contracts/\(rolling.id)?expand=renewals")
    #expect(on["status"] == "active" && on["term_number"] == 4 && on["term_starts_on"] == "2026-04-01" && on["renewals"] == [], "\(on)")
    #expect(try await revenue(sales, "2026-03-31").first?["contracts"] == 2)
    #expect(try await revenue(sales, "2026-04-01").first?["contracts"] == 1)
  }

  @Test("thousands that are due on one day are all taken, and none twice")
  func many() async throws {
    let sales = try await SalesFixture(server: TestServer.start())
    _ = try await sales.behind(
      """
      INSERT INTO crm.contract (customer_id, number, name, status, starts_on, term_starts_on, term_months, auto_renew, currency, department_id, activated_at)
      SELECT \(sales.customer)::uuid, 'B-' || i, 'Bakım ' || i, 'active', '2026-01-01', '2026-01-01', 3, i % 2 = 0, 'TRY', (SELECT id FROM crm.department WHERE code = 'sales'), now()
        FROM generate_series(1, 4100) i
      """)
    try await sales.work("contract.renewals", payload: ["date": "2026-07-01"])
    let states = try await sales.behind(
      """
      SELECT count(*) FILTER (WHERE status = 'expired' AND ended_on = '2026-03-31'), count(*) FILTER (WHERE status = 'active' AND term_number = 3 AND term_starts_on = '2026-07-01'),
             (SELECT count(*) FROM crm.contract_renewal), (SELECT count(DISTINCT contract_id) FROM crm.contract_renewal)
        FROM crm.contract
      """)[0]
    #expect(try (0..<4).map { try states.decode(Int.self, at: $0) } == [2050, 2050, 2050, 2050])
  }
}
