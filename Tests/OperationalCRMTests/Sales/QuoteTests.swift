import CRMCore
import Foundation
import Gateway
import MuhatapTestKit
import PostgresClient
import Testing

@Suite struct QuoteTests {
  @Test func `a quote has a number, the products' VAT and names, and totals by rate`() async throws {
    let desk = QuoteDesk(server: try await TestServer.suite())
    let quote = try await desk.quote(desk.draft())
    #expect(quote["number"]?.string?.wholeMatch(of: /Q-20\d\d-\d{6}/) != nil)
    #expect(quote["revision"] == 1 && quote["status"] == "draft" && quote["line_count"] == 3)
    #expect(quote["net_amount"] == "1433.32" && quote["vat_amount"] == "267.67" && quote["total_amount"] == "1700.99", "\(quote)")
    #expect(
      quote["vat_breakdown"] == [
        ["vat_rate": "1.00", "net_amount": "99.99", "vat_amount": "1.00"], ["vat_rate": "20.00", "net_amount": "1333.33", "vat_amount": "266.67"],
      ])
    let lines = try #require(quote["lines"]?.array).sorted { $0["line_number"]?.text ?? "" < $1["line_number"]?.text ?? "" }
    #expect(lines.map { $0["description"]?.string } == ["Şeker", "Şeker", "Ekmek"])
    #expect(lines.map { $0["unit_code"]?.string } == ["KGM", "KGM", "KGM"])
    #expect(lines.map { $0["net_amount"]?.string } == ["1000.00", "333.33", "99.99"])
    #expect(quote["link_hash"] == nil && quote["sealed_digest"] == nil)
  }

  @Test func `halves are rounded up, line by line`() async throws {
    let desk = QuoteDesk(server: try await TestServer.suite())
    let product = try await desk.product(vatRate: "18")
    let customer = try await desk.customer()
    let made = try await desk.post(
      "/v1/quotes", ["customer_id": .string(customer), "lines": [desk.line(product, "1", "10.025"), desk.line(product, "3", "1.115", discount: "10")]])
    let lines = try await desk.quote(desk.id(made))["lines"]?.array ?? []
    // 10.025 → 10.03, VAT 1.8054 → 1.81; 3 × 1.115 × 0.9 = 3.0105 → 3.01, VAT 0.5418 → 0.54
    #expect(Set(lines.map { "\($0["net_amount"]?.string ?? "") \($0["vat_amount"]?.string ?? "")" }) == ["10.03 1.81", "3.01 0.54"])
  }

  @Test func `a quote from an opportunity has its customer, contact, currency and lines`() async throws {
    let desk = QuoteDesk(server: try await TestServer.suite())
    let customer = try await desk.customer()
    let contact = try desk.id(try await desk.post("/v1/contacts", as: "ayse", ["customer_id": .string(customer), "name": "Ömer Çağ"]))
    let opportunity = try desk.id(
      try await desk.post(
        "/v1/opportunities", as: "ayse", ["customer_id": .string(customer), "contact_id": .string(contact), "name": "Yıllık alım", "currency": "EUR"]))
    let product = try await desk.product("Zeytin")
    let line = try await desk.post(
      "/v1/opportunity_lines", as: "ayse",
      [
        "customer_id": .string(customer), "opportunity_id": .string(opportunity), "line_number": 1, "product_id": .string(product), "quantity": "4",
        "unit_price": "2.5", "discount_percent": "5", "description": "siyah",
      ])
    try #require(line.status == 201, "\(line.text)")
    let quote = try await desk.quote(desk.id(desk.post("/v1/quotes", as: "ayse", ["opportunity_id": .string(opportunity)])))
    #expect(quote["customer_id"]?.string == customer && quote["contact_id"]?.string == contact && quote["currency"] == "EUR")
    #expect(quote["net_amount"] == "9.50" && quote["lines"]?.array?.first?["description"] == "Zeytin – siyah", "\(quote)")

    let other = try await desk.customer("Başka Ltd.")
    let mixed = try await desk.post("/v1/quotes", as: "ayse", ["customer_id": .string(other), "opportunity_id": .string(opportunity)])
    #expect(mixed.status == 422 && mixed.text.contains("/opportunity_id"), "\(mixed.text)")
  }

  @Test func `a draft that cannot be is refused with every mistake named`() async throws {
    let desk = QuoteDesk(server: try await TestServer.suite())
    let customer = try await desk.customer()
    let product = try await desk.product()
    let nobody = try await desk.post("/v1/quotes", ["lines": []])
    #expect(nobody.status == 422 && nobody.text.contains("/customer_id"), "\(nobody.text)")
    let unknown = try await desk.post("/v1/quotes", ["customer_id": .string(UUID().uuidString)])
    #expect(unknown.status == 422 && unknown.text.contains("not-found"), "\(unknown.text)")
    let lines = try await desk.post(
      "/v1/quotes",
      [
        "customer_id": .string(customer),
        "lines": [desk.line(UUID().uuidString, "1", "1"), ["product_id": .string(product), "quantity": "1"]],
      ])
    #expect(lines.status == 422 && lines.text.contains("/lines/0/product_id") && lines.text.contains("/lines/1/unit_price"), "\(lines.text)")
    let past = try await desk.post("/v1/quotes", ["customer_id": .string(customer), "valid_until": "2020-01-01"])
    #expect(past.status == 422 && past.text.contains("/valid_until"), "\(past.text)")
    let currency = try await desk.post("/v1/quotes", ["customer_id": .string(customer), "currency": "XXQ"])
    #expect(currency.status == 422 && currency.text.contains("/currency"), "\(currency.text)")
    #expect(try await desk.post("/v1/quotes", as: "zeynep", ["customer_id": .string(customer)]).status == 403)
    #expect(try await desk.post("/v1/quotes", as: nil, ["customer_id": .string(customer)]).status == 401)
  }

  @Test func `lines of a draft are added, changed and removed, and the totals follow`() async throws {
    let desk = QuoteDesk(server: try await TestServer.suite())
    let id = try await desk.draft()
    let product = try await desk.product("Un", vatRate: "1")
    let added = try await desk.post("/v1/quotes/\(id)/lines", ["lines": [desk.line(product, "2", "50")]])
    #expect(try added.status == 200 && added.json()["net_amount"] == "1533.32", "\(added.text)")
    let line = try #require(try added.json()["lines"]?.array?.first { $0["line_number"] == 4 }?["id"]?.string)
    let changed = try await desk.server.send(.patch, "/v1/quote_lines/\(line)", as: "mehmet", json: ["quantity": "3", "description": "Tip 650"])
    #expect(try changed.status == 200 && changed.json()["net_amount"] == "150.00" && changed.json()["description"] == "Tip 650", "\(changed.text)")
    #expect(try await desk.quote(id)["net_amount"] == "1583.32")
    #expect(try await desk.server.send(.patch, "/v1/quote_lines/\(line)", as: "mehmet", json: ["quantity": "0"]).status == 422)
    #expect(try await desk.server.send(.delete, "/v1/quote_lines/\(line)", as: "zeynep").status == 403)
    #expect(try await desk.server.send(.delete, "/v1/quote_lines/\(line)", as: "mehmet").status == 204)
    #expect(try await desk.quote(id)["net_amount"] == "1433.32")
    #expect(try await desk.server.send(.delete, "/v1/quote_lines/\(line)", as: "mehmet").status == 404)
  }

  @Test func `a sent quote cannot be changed: not over the API, not past it`() async throws {
    let desk = QuoteDesk(server: try await TestServer.suite())
    let id = try await desk.draft()
    let line = try #require(try await desk.quote(id)["lines"]?.array?.first?["id"]?.string)
    _ = try await desk.sent(id)
    let uuid = try #require(UUID(uuidString: id))
    let quote = try await desk.quote(id)
    #expect(quote["status"] == "sent" && quote["sent_at"]?.string != nil)

    let patched = try await desk.server.send(.patch, "/v1/quotes/\(id)", as: "mehmet", json: ["valid_until": "2199-01-01"])
    #expect(patched.status == 422 && patched.text.contains("revise it"), "\(patched.text)")
    #expect(try await desk.server.send(.patch, "/v1/quotes/\(id)", as: "mehmet", json: ["terms": "peşin"]).status == 422)
    // What the customer does not see may change.
    #expect(try await desk.server.send(.patch, "/v1/quotes/\(id)", as: "mehmet", json: ["note": "Sıkı pazarlık"]).status == 200)
    let product = try await desk.product()
    #expect(try await desk.post("/v1/quotes/\(id)/lines", ["lines": [desk.line(product, "1", "1")]]).problem == "quote-status")
    #expect(try await desk.server.send(.patch, "/v1/quote_lines/\(line)", as: "mehmet", json: ["quantity": "9"]).problem == "quote-status")
    #expect(try await desk.server.send(.delete, "/v1/quote_lines/\(line)", as: "mehmet").problem == "quote-status")

    #expect(try await desk.behind("UPDATE crm.quote_line SET quantity = 1 WHERE quote_id = \(uuid)").affectedRows == 0)
    #expect(try await desk.behind("DELETE FROM crm.quote_line WHERE quote_id = \(uuid)").affectedRows == 0)
    for editable in [true, false] {
      let refused = await refusal {
        try await desk.behind(
          """
          INSERT INTO crm.quote_line (customer_id, quote_id, editable, line_number, product_id, description, quantity, unit_code, unit_price, vat_rate)
          SELECT customer_id, quote_id, \(editable), 99, product_id, description, quantity, unit_code, unit_price, vat_rate
            FROM crm.quote_line WHERE quote_id = \(uuid) LIMIT 1
          """)
      }
      #expect(refused == (editable ? "quote_line_quote_id_exists" : "42501"))
    }
    for statement: SQL in [
      "UPDATE crm.quote SET net_amount = 1 WHERE id = \(uuid)", "UPDATE crm.quote SET currency = 'EUR' WHERE id = \(uuid)",
      "UPDATE crm.quote SET line_count = 7 WHERE id = \(uuid)",
    ] {
      #expect(await refusal { try await desk.behind(statement) } == "quote_sealed_digest_exists")
    }
    #expect(await refusal { try await desk.behind("UPDATE crm.quote_seal SET digest = 'x' WHERE quote_id = \(uuid)") } == "42501")
    #expect(await refusal { try await desk.behind("DELETE FROM crm.quote WHERE id = \(uuid)") } == "42501")
  }

  @Test func `who takes over a sent quote takes over its lines`() async throws {
    let desk = QuoteDesk(server: try await TestServer.suite())
    let id = try await desk.draft()
    _ = try await desk.sent(id)
    let ayse = try desk.id(try await desk.server.send(.get, "/v1/me", as: "ayse"), 200)
    let moved = try await desk.server.send(.patch, "/v1/quotes/\(id)", as: "ayse", json: ["owner_id": .string(ayse), "visibility": "private"])
    #expect(moved.status == 200, "\(moved.text)")
    #expect(try await desk.server.send(.get, "/v1/quote_lines?quote_id=eq.\(id)", as: "mehmet").json()["data"] == [])
    #expect(try await desk.server.send(.get, "/v1/quote_lines?quote_id=eq.\(id)", as: "ayse").json()["data"]?.array?.count == 3)
  }

  @Test func `a sent quote follows when its contact and its customer are merged into others, and is accepted there`() async throws {
    let desk = QuoteDesk(server: try await TestServer.suite())
    let (kept, gone) = (try await desk.customer("Kalan Ltd."), try await desk.customer("Giden Ltd."))
    let people = [
      try desk.id(try await desk.post("/v1/contacts", as: "ayse", ["customer_id": .string(gone), "name": "Ömer Çağ"])),
      try desk.id(try await desk.post("/v1/contacts", as: "ayse", ["customer_id": .string(gone), "name": "Ömer Cağ"])),
    ]
    let id = try await desk.draft(customer: gone, ["contact_id": .string(people[1])])
    let path = try await desk.sent(id)
    let contacts = try await desk.post("/v1/contacts/\(people[0])/merge", as: "deniz", ["merged_id": .string(people[1])])
    #expect(contacts.status == 201, "\(contacts.text)")
    #expect(try await desk.quote(id)["contact_id"]?.string == people[0])
    let customers = try await desk.post("/v1/customers/\(kept)/merge", as: "deniz", ["merged_id": .string(gone)])
    #expect(customers.status == 201, "\(customers.text)")
    let page = try await desk.server.send(.get, path, as: nil)
    #expect(page.status == 200 && page.text.contains("Kalan Ltd.") && page.text.contains("Ömer Çağ"), "\(page.text)")
    #expect(try await desk.server.send(.patch, "/v1/quotes/\(id)", as: "mehmet", json: ["terms": "peşin"]).status == 422)
    #expect(try await desk.post("\(path)/accept", as: nil, ["name": "Ömer Çağ"]).status == 200)
    let quote = try await desk.quote(id, expand: "orders,lines")
    #expect(quote["customer_id"]?.string == kept && quote["lines"]?.array?.count == 3 && quote["orders"]?.array?.count == 1, "\(quote)")
  }

  @Test func `an empty quote and a quote that is over are not sent`() async throws {
    let desk = QuoteDesk(server: try await TestServer.suite())
    let customer = try await desk.customer()
    let empty = try desk.id(try await desk.post("/v1/quotes", ["customer_id": .string(customer)]))
    #expect(try await desk.post("/v1/quotes/\(empty)/send").problem == "quote-empty")
    let late = try await desk.draft()
    #expect(try await desk.server.send(.patch, "/v1/quotes/\(late)", as: "mehmet", json: ["valid_until": "2020-01-01"]).status == 200)
    #expect(try await desk.post("/v1/quotes/\(late)/send").problem == "quote-expired")
    let others = try await desk.draft(as: "ayse")
    #expect(try await desk.post("/v1/quotes/\(others)/send").status == 403)
    #expect(try await desk.post("/v1/quotes/\(UUID().uuidString)/send").status == 404)
    #expect(try await desk.post("/v1/quotes/\(others)/send", as: "zeynep").status == 403)
  }

  @Test func `a revision supersedes what was sent, with the same number and lines`() async throws {
    let desk = QuoteDesk(server: try await TestServer.suite())
    let id = try await desk.draft(["terms": "30 gün vade"])
    #expect(try await desk.post("/v1/quotes/\(id)/revise", [:]).problem == "quote-status")
    let path = try await desk.sent(id)
    let revised = try await desk.post("/v1/quotes/\(id)/revise", [:])
    let next = try desk.id(revised)
    let old = try await desk.quote(id)
    let new = try await desk.quote(next)
    #expect(old["status"] == "superseded" && new["status"] == "draft" && new["revision"] == 2)
    #expect(new["number"] == old["number"] && new["supersedes_id"]?.string == id && new["terms"] == "30 gün vade")
    #expect(new["total_amount"] == old["total_amount"] && new["lines"]?.array?.count == 3)
    #expect(try await desk.post("/v1/quotes/\(id)/revise", [:]).problem == "quote-status")
    #expect(try await desk.server.send(.get, path, as: nil).status == 410)
    _ = try await desk.sent(next)
    #expect(try await desk.post("/v1/quotes/\(next)/revise", ["valid_until": "2020-01-01"]).status == 422)
    #expect(try await desk.quote(next)["status"] == "sent")
    #expect(try await desk.post("/v1/quotes/\(next)/revise", as: "zeynep", [:]).status == 403)
  }

  @Test func `a draft is discarded, and the sent version that it was to supersede stands again`() async throws {
    let desk = QuoteDesk(server: try await TestServer.suite())
    let id = try await desk.draft()
    #expect(try await desk.server.send(.delete, "/v1/quotes/\(id)", as: "zeynep").status == 403)
    #expect(try await desk.server.send(.delete, "/v1/quotes/\(id)", as: "mehmet").status == 204)
    #expect(try await desk.server.send(.get, "/v1/quotes/\(id)", as: "mehmet").status == 404)
    #expect(try await desk.server.send(.delete, "/v1/quotes/\(id)", as: "mehmet").status == 404)
    let asked = try await desk.draft(discount: "60")
    #expect(try await desk.post("/v1/quotes/\(asked)/submit", [:]).status == 200)
    #expect(try await desk.server.send(.delete, "/v1/quotes/\(asked)", as: "mehmet").problem == "quote-status")
    #expect(try await desk.post("/v1/quotes/\(asked)/reopen", [:]).status == 200)
    #expect(try await desk.server.send(.delete, "/v1/quotes/\(asked)", as: "mehmet").status == 204)

    let sent = try await desk.draft()
    let path = try await desk.sent(sent)
    #expect(try await desk.server.send(.delete, "/v1/quotes/\(sent)", as: "mehmet").problem == "quote-status")
    #expect(await refusal { try await desk.behind("SELECT crm.discard_quote(q.customer_id, q.id) FROM crm.quote AS q WHERE q.id = \(sent)::uuid") } == "42501")
    let next = try desk.id(try await desk.post("/v1/quotes/\(sent)/revise", [:]))
    #expect(try await desk.server.send(.get, path, as: nil).status == 410)
    #expect(try await desk.server.send(.delete, "/v1/quotes/\(next)", as: "mehmet").status == 204)
    #expect(try await desk.quote(sent)["status"] == "sent")
    #expect(try await desk.post("\(path)/accept", as: nil, ["name": "Işıl"]).status == 200)
  }

  @Test func `a server that knows its public address answers with the whole link`() async throws {
    let desk = QuoteDesk(server: try await TestServer.start { $0.publicAddress = "https://crm.carsi.example/" })
    let answer = try await desk.post("/v1/quotes/\(try await desk.draft())/send")
    let path = try #require(try answer.json()["path"]?.string)
    #expect(try answer.json()["link"]?.string == "https://crm.carsi.example\(path)")
    let silent = QuoteDesk(server: try await TestServer.suite())
    #expect(try await silent.post("/v1/quotes/\(try await silent.draft())/send").json()["link"] == .null)
  }
}

extension JSON {
  fileprivate var text: String? { if case .number(let number) = self { "\(number)" } else { string } }
}
