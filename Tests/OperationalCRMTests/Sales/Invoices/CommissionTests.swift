import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("Targets and commissions")
struct CommissionTests {
  /// A company of its own with a plan that pays Mehmet.
  private struct Sellers {
    let finance: InvoiceFixture
    let series: JSON
    let mehmet, ayse: JSON
    let customer: JSON

    init() async throws {
      finance = try await InvoiceFixture(server: TestServer.start())
      series = .string(try await finance.series())
      mehmet = try await finance.get("/v1/me", as: "mehmet")["id"] ?? .null
      ayse = try await finance.get("/v1/me", as: "ayse")["id"] ?? .null
      customer = .string(try await InvoiceFixture.customer(finance.server, as: "mehmet", ["owner_id": mehmet]))
    }

    func plan(_ code: String, _ fields: [String: JSON], of users: [JSON]) async throws -> JSON {
      let plan = try await finance.done(
        .post, "/v1/commission_plans",
        json: .object(["code": .string(code), "name": .string(code), "percent": "5", "valid_from": "2026-01-01"].merging(fields) { $1 }))
      for user in users {
        _ = try await finance.done(.post, "/v1/commission_members", json: ["plan_id": .string(plan.id), "user_id": user, "valid_from": "2026-01-01"])
      }
      return plan
    }

    func sale(_ lines: [JSON], on day: String, shares: [JSON] = []) async throws -> JSON {
      let draft = try await finance.draft(lines, ["customer_id": customer, "series": series])
      if !shares.isEmpty { _ = try await finance.done(.put, "/v1/invoices/\(draft.id)/sellers", json: ["sellers": .array(shares)]) }
      return try await finance.issue(draft, on: day)
    }

    /// `plan seller month base percent amount` of what is not settled.
    func due(_ query: String = "", as person: String = "fatma") async throws -> [String] {
      try await finance.get("/v1/commissions/preview\(query)", as: person)["data"]?.array?.map { row in
        ["plan", "user_name", "month", "base_amount", "percent", "amount"].map { row[$0]?.string ?? "-" }.joined(separator: " ")
      } ?? []
    }
  }

  @Test("a plan pays a percent of revenue at issue, shared among sellers; a credit note takes it back; a settlement pays each once and stays")
  func revenue() async throws {
    let sellers = try await Sellers()
    let finance = sellers.finance
    let plan = try await sellers.plan("ciro", [:], of: [sellers.mehmet, sellers.ayse])
    let alone = try await sellers.sale([finance.line("1000")], on: "2026-01-10")
    _ = try await sellers.sale(
      [finance.line("333.33")], on: "2026-01-20",
      shares: [["user_id": sellers.mehmet, "percent": "60"], ["user_id": sellers.ayse, "percent": "40"]])
    #expect(
      try await sellers.due() == ["ciro Ayşe Yılmaz 2026-01-01 133.33 5.00 6.67", "ciro Mehmet Demir 2026-01-01 1200.00 5.00 60.00"])
    #expect(try await sellers.due("?user_id=\(sellers.mehmet.string ?? "")", as: "mehmet") == ["ciro Mehmet Demir 2026-01-01 1200.00 5.00 60.00"])
    let before = try await finance.behind("SELECT count(*) FROM crm.commission_settlement_line")
    #expect(try before[0].decode(Int.self, at: 0) == 0)

    let settle: JSON = ["plan_id": .string(plan.id), "month": "2026-01-15", "note": "Ocak"]
    for person in ["ayse", "mehmet", "emre"] {
      #expect(try await finance.send(.post, "/v1/commissions/settle", as: person, json: settle).status == 403)
    }
    let settled = try await finance.done(.post, "/v1/commissions/settle", json: settle)
    let lines = settled["lines"]?.array ?? []
    #expect(settled["month"] == "2026-01-01" && lines.count == 3)
    #expect(lines.compactMap { $0["amount"]?.string }.sorted() == ["10.00", "50.00", "6.67"], "\(lines)")
    #expect(try await sellers.due() == [])
    #expect(try await finance.send(.post, "/v1/commissions/settle", json: settle).status == 409)
    let everything = Caller.system("test").context(writing: Set(Area.allCases), request: nil)
    for change: SQL in [
      "UPDATE crm.commission_settlement_line SET amount = 0", "DELETE FROM crm.commission_settlement_line", "DELETE FROM crm.commission_settlement",
    ] {
      await #expect {
        _ = try await finance.server.database.app.execute([change], context: everything, deadline: .after(.seconds(60)))
      } throws: { error in
        (error as? PostgresError)?.sqlState == "42501"
      }
    }

    let note = try await finance.done(.post, "/v1/invoices/\(alone.id)/credit")
    _ = try await finance.issue(note, on: "2026-02-05")
    #expect(try await sellers.due() == ["ciro Mehmet Demir 2026-02-01 -1000.00 5.00 -50.00"])
    let february = try await finance.done(.post, "/v1/commissions/settle", json: ["plan_id": .string(plan.id), "month": "2026-02-01"])
    #expect(february["lines"]?.array?.first?["amount"] == "-50.00")
    let nothing = try await finance.send(.post, "/v1/commissions/settle", json: ["plan_id": .string(plan.id), "month": "2026-03-01"])
    #expect(nothing.status == 409 && nothing.problem == "nothing-to-settle")
    let early = try await finance.send(.post, "/v1/commissions/settle", json: ["plan_id": .string(plan.id), "month": "2999-01-01"])
    #expect(early.status == 422 && early.text.contains("month-not-over"))
    #expect(try await finance.get("/v1/commission_settlement_lines", as: "mehmet")["data"]?.array?.count == 3)
    #expect(try await finance.send(.get, "/v1/commissions/preview", as: "emre").status == 403)
  }

  @Test("the highest tier that a seller attains of the month's target holds for the whole month")
  func tiers() async throws {
    let sellers = try await Sellers()
    let finance = sellers.finance
    let plan = try await sellers.plan("hedef", ["basis": "margin", "percent": "10"], of: [sellers.mehmet])
    for (from, percent) in [("80", "12"), ("100", "15")] {
      _ = try await finance.done(
        .post, "/v1/commission_tiers", json: ["plan_id": .string(plan.id), "from_attainment": .string(from), "percent": .string(percent)])
    }
    for month in ["2026-01-01", "2026-02-01"] {
      _ = try await finance.done(.post, "/v1/sales_targets", json: ["user_id": sellers.mehmet, "month": .string(month), "amount": "1000"])
    }
    // A kilogram costs 40; what has no cost counts no margin, but counts for the target.
    let coffee: JSON = ["product_id": .string(finance.product), "quantity": "5", "unit_price": "100"]
    _ = try await sellers.sale([coffee], on: "2026-01-10")
    #expect(try await sellers.due() == ["hedef Mehmet Demir 2026-01-01 300.00 10.00 30.00"])
    _ = try await sellers.sale([finance.line("300")], on: "2026-01-11")
    #expect(try await sellers.due().first?.hasPrefix("hedef Mehmet Demir 2026-01-01 300.00 12.00 36.00") == true)
    _ = try await sellers.sale([finance.line("200")], on: "2026-01-31")
    _ = try await sellers.sale([coffee], on: "2026-02-01")
    #expect(
      try await sellers.due("?until=2026-02-28") == ["hedef Mehmet Demir 2026-01-01 300.00 15.00 45.00", "hedef Mehmet Demir 2026-02-01 300.00 10.00 30.00"])
    #expect(try await sellers.due("?from=2026-02-01&until=2026-02-28") == ["hedef Mehmet Demir 2026-02-01 300.00 10.00 30.00"])
    for (path, body): (String, JSON) in [
      ("/v1/sales_targets", ["user_id": sellers.mehmet, "month": "2026-03-15", "amount": "1"]),
      ("/v1/sales_targets", ["user_id": sellers.mehmet, "month": "2026-03-01", "amount": "0"]),
      ("/v1/commission_plans", ["code": "x", "name": "x", "percent": "101", "valid_from": "2026-01-01"]),
      ("/v1/commission_tiers", ["plan_id": .string(plan.id), "from_attainment": "-1", "percent": "1"]),
    ] {
      #expect(try await finance.send(.post, path, json: body).status == 422, "\(path) \(body)")
      #expect(try await finance.send(.post, path, as: "ayse", json: body).status == 403)
    }
  }

  @Test("a plan that pays on payment accrues with each part paid, and takes back what is repaid; what was settled cannot be released")
  func payment() async throws {
    let sellers = try await Sellers()
    let finance = sellers.finance
    let plan = try await sellers.plan("tahsilat", ["accrues_on": "payment", "percent": "10"], of: [sellers.mehmet])
    let invoice = try await sellers.sale([finance.line("1000")], on: "2026-01-10")
    #expect(try await sellers.due() == [])
    let paid = try await finance.done(
      .post, "/v1/payments",
      json: ["customer_id": sellers.customer, "amount": "300", "paid_on": "2026-02-10", "allocations": [["invoice_id": .string(invoice.id), "amount": "300"]]])
    #expect(try await sellers.due() == ["tahsilat Mehmet Demir 2026-02-01 250.00 10.00 25.00"])
    _ = try await finance.done(.post, "/v1/commissions/settle", json: ["plan_id": .string(plan.id), "month": "2026-02-01"])
    let allocation = try #require(paid["allocations"]?.array?.first)
    let release = try await finance.send(.delete, "/v1/payment_allocations/\(allocation.id)")
    #expect(release.status == 409 && release.problem == "in-use", "\(release.text)")
    // 900 are open and settled by the credit note; 300 were paid and are owed back.
    let note = try await finance.done(.post, "/v1/invoices/\(invoice.id)/credit")
    _ = try await finance.issue(note, on: "2026-03-01")
    #expect(try await sellers.due() == ["tahsilat Mehmet Demir 2026-03-01 -250.00 10.00 -25.00"])
  }

  @Test("shares sum to 100 percent, name each seller once, and are as frozen as the invoice")
  func shares() async throws {
    let sellers = try await Sellers()
    let finance = sellers.finance
    let draft = try await finance.draft([finance.line("1")], ["customer_id": sellers.customer])
    let path = "/v1/invoices/\(draft.id)/sellers"
    for shares: JSON in [
      [["user_id": sellers.mehmet, "percent": "60"]], [["user_id": sellers.mehmet, "percent": "50"], ["user_id": sellers.mehmet, "percent": "50"]],
      [["user_id": .string(UUID.v7().lowercase), "percent": "100"]],
    ] {
      let answer = try await finance.send(.put, path, json: ["sellers": shares])
      #expect(answer.status == 422 || answer.status == 409, "\(answer.text)")
    }
    #expect(try await finance.send(.put, path, as: "ayse", json: ["sellers": []]).status == 403)
    #expect(try await finance.send(.put, path, json: ["sellers": [["user_id": sellers.ayse, "percent": "100"]]]).status == 200)
    _ = try await finance.issue(draft)
    #expect(try await finance.send(.put, path, json: ["sellers": []]).problem == "invoice-issued")
    #expect(try await finance.get("/v1/invoice_shares?invoice_id=eq.\(draft.id)")["data"]?.array?.first?["invoice_status"] == "issued")
  }
}
