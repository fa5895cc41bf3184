import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("Turnover")
struct TurnoverTests {
  @Test("turnover is there in the instant of the issue, by customer, product, seller, department and month, as far as the caller reads")
  func groups() async throws {
    let server = try await TestServer.start()
    let finance = try await InvoiceFixture(server: server)
    let seller = try await finance.get("/v1/me", as: "mehmet")["id"] ?? .null
    let his = try await InvoiceFixture.customer(server, as: "mehmet", ["owner_id": seller, "name": "Mehmet'in müşterisi"])
    let corporate = try await InvoiceFixture.customer(server, as: "gul", ["name": "Kurumsal A.Ş."])
    let series: [String: JSON] = ["series": .string(try await finance.series())]
    let goods: JSON = ["product_id": .string(finance.product), "quantity": "3", "unit_price": "100"]
    _ = try await finance.issued([goods, finance.line("50")], series, on: "2026-01-15")
    let second = try await finance.issued([goods], series.merging(["customer_id": .string(his)]) { $1 }, on: "2026-02-15")
    _ = try await finance.issued(
      [goods], series.merging(["customer_id": .string(corporate), "currency": "EUR", "exchange_rate": "45"]) { $1 }, on: "2026-02-16")
    let line = try #require(second["lines"]?.array?.first)
    let note = try await finance.done(.post, "/v1/invoices/\(second.id)/credit", json: ["lines": [["line_id": .string(line.id), "quantity": "1"]]])
    _ = try await finance.issue(note, on: "2026-03-01")
    func rows(_ query: String, as person: String = "ayse") async throws -> [String] {
      try await finance.get("/v1/turnover?\(query)", as: person)["data"]?.array?.map { row in
        [row["name"], row["currency"], row["amount"]].map { $0?.string ?? "-" }.joined(separator: " ")
      } ?? []
    }
    #expect(try await rows("group_by=customer") == ["Çınar Gıda A.Ş. TRY 350.00", "Kurumsal A.Ş. EUR 300.00", "Mehmet'in müşterisi TRY 200.00"])
    #expect(try await rows("group_by=product&currency=TRY") == ["Filtre kahve TRY 500.00", "- TRY 50.00"])
    #expect(try await rows("group_by=seller&currency=TRY").contains("Mehmet Demir TRY 200.00"))
    #expect(try await rows("group_by=department&currency=TRY") == ["Satış TRY 550.00"])
    #expect(try await rows("group_by=department&currency=EUR") == ["Kurumsal Satış EUR 300.00"])
    #expect(try await rows("group_by=month&currency=TRY") == ["2026-01 TRY 350.00", "2026-02 TRY 300.00", "2026-03 TRY -100.00"])
    #expect(try await rows("group_by=total&from=2026-02-01&to=2026-02-28&currency=TRY") == ["- TRY 300.00"])
    #expect(try await rows("group_by=total&seller_id=\(seller.string ?? "")") == ["- TRY 200.00"])
    let cost = try await finance.get("/v1/turnover?group_by=product&product_id=\(finance.product)&currency=TRY", as: "ayse")["data"]?.array?.first
    #expect(cost?["cost"] == "200.00" && cost?["quantity"] == "5.000", "\(String(describing: cost))")

    // A private sale is its seller's alone; purchasing reads nothing.
    let secret = try await finance.draft([goods], series.merging(["customer_id": .string(his)]) { $1 })
    _ = try await finance.behind("UPDATE crm.invoice SET visibility = 'private' WHERE id = \(UUID(uuidString: secret.id))")
    let hidden = try await server.database.admin.execute(
      [
        """
        UPDATE crm.invoice SET status = 'issued', ettn = gen_random_uuid(), issue_date = '2026-03-02', issue_time = '12:00', buyer_name = 'x',
          buyer_tax_number = '9876543217', buyer_tax_office = 'x', buyer_street = 'x', buyer_district = 'x', buyer_city = 'x', buyer_country = 'TR',
          seller_name = 'x', seller_tax_number = '4561237896', seller_tax_office = 'x', seller_street = 'x', seller_district = 'x', seller_city = 'x', seller_country = 'TR'
         WHERE id = \(UUID(uuidString: secret.id))
        """
      ],
      context: .init(readOnly: false), deadline: .after(.seconds(60)))
    #expect(hidden[0].affectedRows == 1)
    #expect(try await rows("group_by=total&from=2026-03-02&currency=TRY", as: "mehmet") == ["- TRY 300.00"])
    #expect(try await rows("group_by=total&from=2026-03-02&currency=TRY") == [])
    #expect(try await finance.send(.get, "/v1/turnover?group_by=total", as: "emre").status == 403)
    #expect(try await finance.send(.get, "/v1/turnover", as: "ayse").status == 400)
    #expect(try await finance.send(.get, "/v1/turnover?group_by=weekday", as: "ayse").status == 400)
    try await finance.expectInvariants()

    _ = try await finance.behind("UPDATE crm.turnover SET invoiced = invoiced + 0.01 WHERE day = '2026-01-15' AND product_id IS NULL")
    let drift = try await finance.behind("SELECT issued, counted FROM crm.turnover_invariants()")
    #expect(drift.count == 1)
    #expect(try drift[0].decode(Decimal.self, "counted") == Decimal(string: "50.01"))
  }
}
