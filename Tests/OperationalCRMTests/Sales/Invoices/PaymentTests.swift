import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("Credit notes, payments and ageing")
struct PaymentTests {
  @Test("instalments follow the payment term and sum exactly to what is payable")
  func instalments() async throws {
    let finance = try await InvoiceFixture.suite()
    let series = try await finance.series()
    let invoice = try await finance.issued([finance.line("83.34")], ["payment_term": "three_instalments", "series": .string(series)], on: "2026-01-31")
    let parts = invoice["instalments"]?.array?.sorted { ($0["due_on"]?.string ?? "") < ($1["due_on"]?.string ?? "") } ?? []
    #expect(invoice["payable_amount"] == "100.01" && parts.map { $0["amount"] } == ["33.34", "33.33", "33.34"], "\(parts)")
    #expect(parts.map { $0["due_on"] } == ["2026-03-02", "2026-04-02", "2026-05-02"] && invoice["due_on"] == "2026-03-02")
    let term = try await finance.done(
      .post, "/v1/payment_terms",
      json: [
        "code": .string("t\(UUID().uuidString.lowercased().replacing("-", with: ""))"), "name_en": "End of month", "name_tr": "Ay sonu", "first_due_days": 10,
        "end_of_month": true,
        "instalments": 7,
      ])
    let monthly = try await finance.issued([finance.line("1000")], ["payment_term": term["code"] ?? .null, "series": .string(series)], on: "2026-01-31")
    let amounts = monthly["instalments"]?.array?.compactMap { $0["amount"]?.string.flatMap { Decimal(string: $0) } } ?? []
    #expect(amounts.count == 7 && amounts.reduce(0, +) == 1200, "\(amounts)")
    #expect(monthly["due_on"] == "2026-02-28")
    #expect(try await finance.send(.post, "/v1/payment_terms", json: ["code": "x", "name_en": "x", "name_tr": "x", "instalments": 61]).status == 422)
    #expect(
      try await finance.send(.post, "/v1/invoices", json: ["customer_id": .string(finance.customer), "payment_term": "never"]).text.contains("/payment_term"))
  }

  @Test("a payment is allocated to invoices in parts, and more than is open or was paid is refused by the database")
  func allocation() async throws {
    let finance = try await InvoiceFixture.suite()
    let customer = try await InvoiceFixture.customer(finance.server)
    let fields: [String: JSON] = ["customer_id": .string(customer)]
    let first = try await finance.issued([finance.line("100")], fields)
    let second = try await finance.issued([finance.line("50")], fields.merging(["payment_term": "three_instalments"]) { $1 })
    func pay(_ amount: String, _ more: [String: JSON] = [:]) async throws -> TestServer.Answer {
      try await finance.send(
        .post, "/v1/payments", json: .object(["customer_id": .string(customer), "amount": .string(amount), "paid_on": "2026-02-01"].merging(more) { $1 }))
    }
    func share(_ invoice: JSON, _ amount: String) -> JSON { ["invoice_id": .string(invoice.id), "amount": .string(amount)] }
    func open(_ invoice: JSON) async throws -> Decimal {
      let parts = try await finance.get("/v1/instalments?invoice_id=eq.\(invoice.id)")["data"]?.array ?? []
      return parts.compactMap { $0["open"]?.string.flatMap { Decimal(string: $0) } }.reduce(0, +)
    }
    for (amount, fields, pointer) in [("0", [:], "/amount"), ("-1", [:], "/amount"), ("1", ["paid_on": "2999-01-01"], "/paid_on")]
      as [(String, [String: JSON], String)]
    {
      let refused = try await pay(amount, fields)
      #expect(refused.status == 422 && refused.text.contains("\"\(pointer)\""), "\(refused.text)")
    }
    let part = try await pay("70", ["allocations": [share(first, "40"), share(second, "25.5")], "method": "card", "reference": "POS 17"])
    #expect(part.status == 201, "\(part.text)")
    let payment = try part.json()
    #expect(payment["unallocated"] == "4.50" && payment["allocations"]?.array?.count == 3, "\(part.text)")
    #expect(try await open(first) == 80)
    #expect(try await open(second) == Decimal(string: "34.5"))
    let tooMuch = try await pay("500", ["allocations": [share(first, "80.01")]])
    #expect(tooMuch.status == 422 && tooMuch.text.contains("instalment_settled_range") && tooMuch.text.contains("than is open"), "\(tooMuch.text)")
    let tooLittle = try await pay("10", ["allocations": [share(first, "10.01")]])
    #expect(tooLittle.status == 422 && tooLittle.text.contains("payment_allocated_range"), "\(tooLittle.text)")
    for shares: JSON in [[share(first, "1"), share(first, "1")], [share(["id": .string(UUID.v7().lowercase)], "1")]] {
      #expect(try await pay("10", ["allocations": shares]).status == 422)
    }
    let stranger = try await finance.issued([finance.line("5")])
    #expect(try await pay("6", ["allocations": [share(stranger, "6")]]).text.contains("nothing-open"))
    #expect(try await pay("6", ["allocations": [share(first, "6")], "currency": "USD"]).text.contains("nothing-open"))
    #expect(try await pay("0").status == 422)

    let rest = try await pay("200", ["oldest_first": true])
    #expect(rest.status == 201, "\(rest.text)")
    #expect(try await open(first) == 0)
    #expect(try await open(second) == 0)
    #expect(try rest.json()["unallocated"] == "85.50")
    let released = try #require(payment["allocations"]?.array?.first)
    #expect(try await finance.send(.delete, "/v1/payments/\(payment.id)").status == 409)
    #expect(try await finance.send(.delete, "/v1/payment_allocations/\(released.id)").status == 204)
    let left = try await open(first)
    #expect(try await open(second) + left == Decimal(string: released["amount"]?.string ?? ""))
    let again = try await finance.done(.post, "/v1/payments/\(payment.id)/allocate")
    #expect(again["unallocated"] == "4.50", "\(again)")
    #expect(try await finance.send(.post, "/v1/payments/\(UUID.v7().lowercase)/allocate").status == 404)
    for person in ["ayse", "emre"] {
      #expect(try await finance.send(.post, "/v1/payments/\(payment.id)/allocate", as: person).status == 403)
      #expect(try await finance.send(.delete, "/v1/payments/\(payment.id)", as: person).status == 403)
    }
  }

  @Test("a credit note takes back lines and quantities, settles what is open and owes the customer the rest")
  func credit() async throws {
    let finance = try await InvoiceFixture.suite()
    let customer = try await InvoiceFixture.customer(finance.server)
    let goods: JSON = ["product_id": .string(finance.product), "quantity": "10", "unit_price": "10", "vat_rate": "20"]
    let invoice = try await finance.issued([goods, finance.line("50")], ["customer_id": .string(customer), "profile": "TICARIFATURA"])
    let line = try #require(invoice["lines"]?.array?.first { $0["quantity"] == "10.000" })
    #expect(invoice["payable_amount"] == "180.00")
    let draft = try await finance.done(
      .post, "/v1/invoices/\(invoice.id)/credit", json: ["lines": [["line_id": .string(line.id), "quantity": "4"]], "note": "Hasarlı"])
    #expect(
      draft["type"] == "IADE" && draft["profile"] == "TEMELFATURA" && draft["returned_number"] == invoice["number"] && draft["payable_amount"] == "48.00",
      "\(draft)")
    let note = try await finance.issue(draft)
    #expect(note["instalments"] == [] && note["status"] == "issued")
    #expect(try await finance.get("/v1/instalments?invoice_id=eq.\(invoice.id)")["data"]?.array?.first?["open"] == "132.00")
    let tooMuch = try await finance.send(.post, "/v1/invoices/\(invoice.id)/credit", json: ["lines": [["line_id": .string(line.id), "quantity": "6.001"]]])
    #expect(tooMuch.status == 422 && tooMuch.text.contains("credited-too-much"), "\(tooMuch.text)")
    let strange = try await finance.send(.post, "/v1/invoices/\(invoice.id)/credit", json: ["lines": [["line_id": .string(UUID.v7().lowercase)]]])
    #expect(strange.status == 422 && strange.text.contains("unknown-line"))

    _ = try await finance.done(
      .post, "/v1/payments", json: ["customer_id": .string(customer), "amount": "100", "paid_on": "2026-02-01", "oldest_first": true])
    // Two drafts for all that is left: the second one to be issued takes back too much.
    let whole = try await finance.done(.post, "/v1/invoices/\(invoice.id)/credit")
    let again = try await finance.done(.post, "/v1/invoices/\(invoice.id)/credit")
    #expect(whole["payable_amount"] == "132.00")
    let rest = try await finance.issue(whole)
    #expect(rest["instalments"]?.array?.map { $0["direction"] } == ["out"] && rest["instalments"]?.array?.first?["amount"] == "100.00", "\(rest)")
    let second = try await finance.send(.post, "/v1/invoices/\(again.id)/issue")
    #expect(second.status == 422 && second.text.contains("credited-too-much"), "\(second.text)")
    let nothing = try await finance.send(.post, "/v1/invoices/\(invoice.id)/credit")
    #expect(nothing.status == 409 && nothing.problem == "nothing-to-credit")
    for wrong in [again, note] {
      #expect(try await finance.send(.post, "/v1/invoices/\(wrong.id)/credit").problem == "not-creditable")
    }
    let back = try await finance.done(
      .post, "/v1/payments",
      json: [
        "customer_id": .string(customer), "amount": "100", "paid_on": "2026-02-02", "direction": "out",
        "allocations": [["invoice_id": .string(rest.id), "amount": "100"]],
      ])
    #expect(back["unallocated"] == "0.00")
    #expect(try await finance.get("/v1/ageing?customer_id=\(customer)")["data"] == [])
    let turnover = try await finance.get("/v1/turnover?group_by=customer&customer_id=\(customer)", as: "ayse")["data"]?.array?.first
    #expect(turnover?["invoiced"] == "150.00" && turnover?["credited"] == "150.00" && turnover?["amount"] == "0.00", "\(String(describing: turnover))")
    try await finance.expectInvariants()
  }

  @Test("ageing looks back to any day, by days past due, for a customer and in total")
  func ageing() async throws {
    let server = try await TestServer.start()
    let finance = try await InvoiceFixture(server: server)
    let series: [String: JSON] = ["series": .string(try await finance.series())]
    var invoices: [JSON] = []
    for (net, day) in [("100", "2026-01-01"), ("200", "2026-02-15"), ("300", "2026-03-10"), ("400", "2026-03-31"), ("500", "2026-04-20")] {
      invoices.append(try await finance.issued([finance.line(net, vat: "0", ["exemption_code": "351"])], series, on: day))
    }
    _ = try await finance.done(
      .post, "/v1/payments",
      json: [
        "customer_id": .string(finance.customer), "amount": "90", "paid_on": "2026-04-15",
        "allocations": [["invoice_id": .string(invoices[1].id), "amount": "60"]],
      ])
    func ageing(_ day: String, _ path: String = "/v1/ageing", as person: String = "fatma") async throws -> [JSON?] {
      let row = try await finance.get("\(path)?as_of=\(day)", as: person)["data"]?.array?.first
      return ["not_due", "days_1_30", "days_31_60", "days_61_90", "days_91", "open", "credit"].map { row?[$0] }
    }
    #expect(try await ageing("2026-04-10") == ["0.00", "400.00", "500.00", "0.00", "100.00", "1000.00", "0.00"].map(JSON.string))
    #expect(try await ageing("2026-04-15") == ["0.00", "400.00", "440.00", "0.00", "100.00", "940.00", "30.00"].map(JSON.string))
    #expect(try await ageing("2026-04-20") == ["500.00", "400.00", "300.00", "140.00", "100.00", "1440.00", "30.00"].map(JSON.string))
    #expect(try await ageing("2026-04-20", "/v1/ageing/total") == ["500.00", "400.00", "300.00", "140.00", "100.00", "1440.00", "30.00"].map(JSON.string))
    #expect(try await ageing("2025-12-31") == [nil, nil, nil, nil, nil, nil, nil])
    #expect(try await finance.get("/v1/ageing?as_of=2026-04-20", as: "ayse")["data"]?.array?.first?["open"] == "1440.00")
    #expect(try await finance.send(.get, "/v1/ageing", as: "emre").status == 403)
    #expect(try await finance.send(.get, "/v1/ageing?as_of=yesterday").status == 400)
  }
}
