import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("Invoices")
struct InvoiceTests {
  @Test("a draft is priced, issued with number, date, ETTN, buyer and seller, and counted")
  func life() async throws {
    let finance = try await InvoiceFixture.suite()
    let coffee: JSON = ["product_id": .string(finance.product), "quantity": "2.5", "unit_price": "100.333333", "discount_percent": "10"]
    let draft = try await finance.draft(
      [coffee, finance.line("0.05"), finance.line("0.05"), finance.line("0.05")], ["note": "Teşekkürler", "payment_term": "net30"])
    #expect(draft["status"] == "draft" && draft["number"] == .null && draft["type"] == "SATIS" && draft["profile"] == "EARSIVFATURA")
    #expect(draft["gross_amount"] == "250.98" && draft["discount_amount"] == "25.08" && draft["net_amount"] == "225.90", "\(draft)")
    // 225.75 at 10 % and 0.15 at 20 %: the three lines of 0.05 share the 0.03, of which each alone would have had 0.01.
    #expect(draft["vat_amount"] == "22.61" && draft["total_amount"] == "248.51" && draft["payable_amount"] == "248.51")
    let first = try #require(draft["lines"]?.array?.first)
    #expect(first["description"] == "Filtre kahve" && first["unit_code"] == "KGM" && first["vat_rate"] == "10.00" && first["unit_cost"] == "40.000000")
    let vat = try await finance.get("/v1/invoices/\(draft.id)/vat")["data"]?.array ?? []
    #expect(vat.map { $0["vat_rate"] } == ["20.00", "10.00"] && vat.map { $0["vat_amount"] } == ["0.03", "22.58"], "\(vat)")

    let invoice = try await finance.issue(draft)
    #expect(invoice["status"] == "issued" && invoice["ettn"]?.string != nil)
    let number = try #require(invoice["number"]?.string)
    let day = try #require(invoice["issue_date"]?.string)
    #expect(number.wholeMatch(of: /MUH20[0-9]{2}[0-9]{9}/) != nil && number.hasPrefix("MUH\(day.prefix(4))"))
    #expect(invoice["buyer_name"] == "Çınar Gıda A.Ş." && invoice["buyer_tax_number"] == "9876543217" && invoice["buyer_city"] == "İstanbul")
    #expect(invoice["seller_name"] == "Çarşı Market Ticaret A.Ş." && invoice["seller_tax_office"] == "Beyoğlu" && invoice["exchange_rate"] == "1.000000")
    #expect(invoice["instalments"]?.array?.count == 1 && invoice["instalments"]?.array?.first?["amount"] == "248.51")
    #expect(invoice["lines"]?.array?.allSatisfy { $0["invoice_status"] == "issued" } == true)

    let twice = try await finance.send(.post, "/v1/invoices/\(draft.id)/issue")
    #expect(twice.status == 409 && twice.problem == "invoice-issued", "\(twice.text)")
    _ = try await finance.done(.patch, "/v1/customers/\(finance.customer)", as: "ayse", json: ["name": "Yeni Unvan A.Ş."])
    #expect(try await finance.get("/v1/invoices/\(draft.id)")["buyer_name"] == "Çınar Gıda A.Ş.")
    let history = try await finance.get("/v1/invoices/\(draft.id)/history")
    #expect(history["data"]?.array?.first?["after"]?["status"] == "issued", "\(history)")
    try await finance.expectInvariants()
  }

  @Test("lines of a draft are added, changed and removed, its header changed, and it is discarded")
  func edit() async throws {
    let finance = try await InvoiceFixture.suite()
    let draft = try await finance.draft([])
    #expect(draft["net_amount"] == "0.00" && draft["lines"] == [])
    var now = try await finance.done(.post, "/v1/invoices/\(draft.id)/lines", json: finance.line("100"))
    now = try await finance.done(.post, "/v1/invoices/\(draft.id)/lines", json: finance.line("50", vat: "10"))
    #expect(now["net_amount"] == "150.00" && now["vat_amount"] == "25.00" && now["lines"]?.array?.map { $0["line_number"] } == [1, 2], "\(now)")
    let second = try #require(now["lines"]?.array?[1])
    now = try await finance.done(.patch, "/v1/invoices/\(draft.id)/lines/\(second.id)", json: ["quantity": "3", "discount_percent": "50"])
    #expect(now["net_amount"] == "175.00" && now["discount_amount"] == "75.00" && now["vat_amount"] == "27.50", "\(now)")
    now = try await finance.done(.delete, "/v1/invoices/\(draft.id)/lines/\(second.id)")
    #expect(now["payable_amount"] == "120.00")
    now = try await finance.done(
      .patch, "/v1/invoices/\(draft.id)", json: ["note": "Son", "payment_term": "net60", "profile": "TEMELFATURA", "buyer_city": "Ankara"])
    #expect(now["note"] == "Son" && now["profile"] == "TEMELFATURA" && now["buyer_city"] == "Ankara")

    let unknown = UUID.v7().lowercase
    for (method, path, body): (Request.Method, String, JSON?) in [
      (.patch, "/v1/invoices/\(unknown)", ["note": "x"]), (.delete, "/v1/invoices/\(unknown)", nil), (.post, "/v1/invoices/\(unknown)/issue", nil),
      (.post, "/v1/invoices/\(unknown)/lines", finance.line("1")), (.patch, "/v1/invoices/\(draft.id)/lines/\(second.id)", ["quantity": "1"]),
      (.delete, "/v1/invoices/\(draft.id)/lines/\(second.id)", nil), (.post, "/v1/invoices/\(unknown)/credit", nil),
    ] {
      #expect(try await finance.send(method, path, json: body).status == 404, "\(method) \(path)")
    }
    #expect(try await finance.send(.delete, "/v1/invoices/\(draft.id)").status == 204)
    #expect(try await finance.send(.get, "/v1/invoices/\(draft.id)").status == 404)
  }

  @Test("the type follows from the lines: withholding and exemption")
  func types() async throws {
    let finance = try await InvoiceFixture.suite()
    let consulting = try await finance.issued([
      finance.line("1000", ["withholding_code": "602"]), finance.line("333.33", ["withholding_code": "602"]), finance.line("10"),
    ])
    #expect(consulting["type"] == "TEVKIFAT" && consulting["vat_amount"] == "268.67" && consulting["withholding_amount"] == "240.00", "\(consulting)")
    #expect(consulting["total_amount"] == "1612.00" && consulting["payable_amount"] == "1372.00")
    let export = try await finance.issued([finance.line("1000", vat: "0", ["exemption_code": "301"])], ["currency": "USD", "exchange_rate": "41.123456"])
    #expect(export["type"] == "ISTISNA" && export["vat_amount"] == "0.00" && export["currency"] == "USD" && export["exchange_rate"] == "41.123456")
    #expect(export["lines"]?.array?.first?["exemption_reason"] == "11/1-a Mal ihracatı")
    let exempt = try await finance.draft([.object(["description": "x", "quantity": "1", "unit_price": "1", "exemption_code": "351"])])
    #expect(exempt["type"] == "SATIS" && exempt["vat_amount"] == "0.00")
    let mixed = try await finance.issued([finance.line("100"), finance.line("1000", vat: "0", ["exemption_code": "301"])], ["profile": "TICARIFATURA"])
    #expect(mixed["type"] == "ISTISNA" && mixed["vat_amount"] == "20.00")
  }

  @Test("what the administration takes on no invoice is told before the invoice is issued: exempt beside withheld, and VAT that comes to nothing")
  func refusedKinds() async throws {
    let finance = try await InvoiceFixture.suite()
    for (lines, pointer) in [
      ([finance.line("100", ["withholding_code": "602"]), finance.line("100", vat: "0", ["exemption_code": "301"])], "/lines/1/exemption_code"),
      ([finance.line("0")], "/lines/0/vat_rate"), ([finance.line("100", ["discount_percent": "100"])], "/lines/0/vat_rate"),
    ] {
      let draft = try await finance.draft(lines)
      let check = try await finance.get("/v1/invoices/\(draft.id)/check")["data"]?.array
      #expect(check?.compactMap { $0["pointer"]?.string } == [pointer], "\(check ?? [])")
      let refused = try await finance.send(.post, "/v1/invoices/\(draft.id)/issue")
      #expect(refused.status == 422 && refused.text.contains(pointer), "\(refused.text)")
    }
    // A gift beside what is sold at the same rate, and one with its reason, are fine.
    let gift = try await finance.issued([finance.line("100"), finance.line("0"), finance.line("0", vat: "0", ["exemption_code": "351"])])
    #expect(gift["type"] == "SATIS" && gift["vat_amount"] == "20.00")
  }

  @Test(
    "what a line or a draft cannot say is refused with its field",
    arguments: [
      (["quantity": "0"], "invoice_line_quantity_positive"), (["unit_code": "ADET"], "too-long"), (["unit_code": "XXX"], "/unit_code"),
      (["vat_rate": "101"], "/vat_rate"),
      (["withholding_code": "699"], "/withholding_code"), (["exemption_code": "999", "vat_rate": "0"], "/exemption_code"),
      (["exemption_code": "301"], "invoice_line_exemption_whole"), (["unit_price": .null], "/unit_price"),
      (["product_id": "00000000-0000-0000-0000-000000000001"], "/product_id"),
      (["description": .null], "/description"), (["discount": "3"], "unknown-field"),
      (["quantity": "999999999", "unit_price": "999999999"], "/lines/0/unit_price"),
    ] as [([String: JSON], String)])
  func badLines(fields: [String: JSON], expected: String) async throws {
    let finance = try await InvoiceFixture.suite()
    let answer = try await finance.send(
      .post, "/v1/invoices", json: ["customer_id": .string(finance.customer), "lines": [finance.line("1", fields)]])
    #expect(answer.status == 422 && answer.text.contains(expected), "\(answer.text)")
  }

  @Test("an invoice that lacks something is not issued, and says all of what is missing in both languages")
  func incomplete() async throws {
    let finance = try await InvoiceFixture.suite()
    let bare = try await InvoiceFixture.customer(finance.server, ["name": "Eksik Ltd.", "tax_office": .null], address: nil)
    let draft = try await finance.draft([finance.line("1", vat: "0")], ["customer_id": .string(bare), "currency": "EUR"])
    let answer = try await finance.send(.post, "/v1/invoices/\(draft.id)/issue", json: ["issue_date": "2999-01-01"], headers: ["accept-language": "tr"])
    #expect(answer.status == 422 && answer.problem == "invalid-fields")
    let pointers = try answer.json()["errors"]?.array?.compactMap { $0["pointer"]?.string } ?? []
    #expect(
      pointers == [
        "/lines", "/exchange_rate", "/buyer_tax_office", "/buyer_street", "/buyer_district", "/buyer_city", "/buyer_country", "/issue_date",
        "/lines/0/exemption_code",
      ],
      "\(answer.text)")
    #expect(answer.text.contains("vergi dairesini"))
    let empty = try await finance.draft([])
    #expect(try await finance.send(.post, "/v1/invoices/\(empty.id)/issue").text.contains("at least one line"))
    let person = try await InvoiceFixture.customer(
      finance.server, ["kind": "person", "name": "Ayşe Nur Yılmaz", "tax_number": "10000000146", "tax_office": .null])
    let sold = try await finance.issued([finance.line("1")], ["customer_id": .string(person)])
    #expect(sold["buyer_first_name"] == "Ayşe Nur" && sold["buyer_family_name"] == "Yılmaz" && sold["buyer_tax_number"] == "10000000146")
  }

  @Test("finance invoices, sales reads what is its own, purchasing nothing")
  func people() async throws {
    let finance = try await InvoiceFixture.suite()
    let seller = try await finance.get("/v1/me", as: "mehmet")["id"] ?? .null
    let his = try await InvoiceFixture.customer(finance.server, as: "mehmet", ["owner_id": seller])
    let invoice = try await finance.issued([finance.line("10")], ["customer_id": .string(his)])
    let other = try await finance.draft([finance.line("10")])
    #expect(invoice["owner_id"] == seller)
    #expect(try await finance.send(.get, "/v1/invoices/\(invoice.id)?expand=lines,instalments", as: "mehmet").status == 200)
    #expect(try await finance.send(.get, "/v1/invoices/\(other.id)", as: "mehmet").status == 404)
    #expect(try await finance.send(.get, "/v1/invoices/\(other.id)", as: "ayse").status == 200)
    for (person, path) in [("emre", "/v1/invoices"), ("emre", "/v1/invoices/\(invoice.id)/vat"), ("elif", "/v1/invoice_lines")] {
      #expect(try await finance.send(.get, path, as: person).status == 403, "\(person) \(path)")
    }
    for person in ["ayse", "mehmet", "emre", "elif"] {
      for (method, path, body): (Request.Method, String, JSON?) in [
        (.post, "/v1/invoices", ["customer_id": .string(finance.customer)]), (.patch, "/v1/invoices/\(other.id)", ["note": "x"]),
        (.delete, "/v1/invoices/\(other.id)", nil),
        (.post, "/v1/invoices/\(other.id)/issue", nil), (.post, "/v1/invoices/\(other.id)/lines", finance.line("1")),
        (.post, "/v1/invoices/\(invoice.id)/credit", nil),
        (.post, "/v1/invoice_series", ["code": "ZZZ", "name": "x"]), (.post, "/v1/payments", nil),
      ] {
        #expect(try await finance.send(method, path, as: person, json: body).status == 403, "\(person) \(path)")
      }
    }
    #expect(try await finance.get("/v1/exemption_codes?code=eq.301", as: "ayse")["data"]?.array?.count == 1)
  }

  @Test("numbers follow each other without a gap or a double, whatever is rolled back and however many issue at once")
  func numbers() async throws {
    let finance = try await InvoiceFixture.suite()
    let series = try await finance.series()
    var drafts: [JSON] = []
    for _ in 0..<30 { drafts.append(try await finance.draft([finance.line("1")], ["series": .string(series)])) }
    let dry = try await finance.send(.post, "/v1/invoices/\(drafts[0].id)/issue", headers: ["prefer": "tx=rollback"])
    #expect(dry.status == 200 && dry.text.contains("\"issued\""))
    let invoices = try await withThrowingTaskGroup(of: JSON.self) { group in
      for draft in drafts { group.addTask { try await finance.issue(draft) } }
      return try await group.reduce(into: []) { $0.append($1) }
    }
    #expect(invoices.map { Int($0["number"]?.string?.suffix(9) ?? "") ?? 0 }.sorted() == Array(1...30))
    // The day of the numbering, which is Türkiye's and not this machine's.
    let today = try #require(invoices.last?["issue_date"]?.string)
    let late = try await finance.draft([finance.line("1")], ["series": .string(series)])
    let early = try await finance.send(.post, "/v1/invoices/\(late.id)/issue", json: ["issue_date": .string(today.prefix(4) + "-01-01")])
    #expect(today.hasSuffix("-01-01") || early.status == 422 && early.text.contains("issue-date-order"), "\(early.text)")
    let lastYear = try await finance.issue(late, on: "2020-02-29")
    #expect(lastYear["number"] == .string("\(series)2020000000001") && lastYear["due_on"] == "2020-02-29")
    #expect(try await finance.send(.post, "/v1/invoice_series", json: ["code": "muh", "name": "x"]).status == 422)
    #expect(try await finance.send(.post, "/v1/invoices", json: ["customer_id": .string(finance.customer), "series": "QQ?"]).status == 422)
    try await finance.expectInvariants()
  }

  @Test("no column of an issued invoice and none of its lines can be changed by the gateway's or the worker's role, not even as the system")
  func frozen() async throws {
    let finance = try await InvoiceFixture.suite()
    _ = try await finance.issued([finance.line("10"), finance.line("20")])
    _ = try await finance.draft([finance.line("30")])
    let everything = Caller.system("test").context(writing: Set(Area.allCases), request: nil)
    let attempt: SQL = """
      DO $$
      DECLARE
        item record;
        touched bigint;
      BEGIN
        FOR item IN
          SELECT c.relname AS name, format('UPDATE crm.%I SET %I = %s WHERE %I = ''issued''', c.relname, a.attname,
                   CASE WHEN a.attgenerated <> '' THEN 'DEFAULT' ELSE quote_ident(a.attname) END, state.name) AS statement
            FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
            JOIN (VALUES ('crm.invoice', 'status'), ('crm.invoice_line', 'invoice_status')) AS state (relation, name) ON a.attrelid = state.relation::regclass
           WHERE a.attnum > 0 AND NOT a.attisdropped
          UNION ALL
          VALUES ('invoice', 'UPDATE crm.invoice SET status = ''draft'' WHERE status = ''issued'''),
                 ('invoice_line', 'UPDATE crm.invoice_line SET invoice_status = ''draft'' WHERE invoice_status = ''issued'''),
                 ('invoice', 'DELETE FROM crm.invoice WHERE status = ''issued'''), ('invoice_line', 'DELETE FROM crm.invoice_line WHERE invoice_status = ''issued''')
        LOOP
          EXECUTE item.statement;
          GET DIAGNOSTICS touched = ROW_COUNT;
          IF touched > 0 THEN RAISE EXCEPTION 'touched %: %', touched, item.statement; END IF;
        END LOOP;
      END
      $$
      """
    for pool in [finance.server.database.app, finance.server.database.worker] {
      _ = try await pool.execute([attempt], context: everything, deadline: .after(.seconds(60)))
      for (intrusion, state): (SQL, String) in [
        (
          """
          UPDATE crm.invoice_line SET invoice_status = 'issued', line_number = 99, (customer_id, invoice_id) = (SELECT customer_id, id FROM crm.invoice WHERE status = 'issued' LIMIT 1)
           WHERE id = (SELECT id FROM crm.invoice_line WHERE invoice_status = 'draft' LIMIT 1)
          """, "42501"
        ),
        (
          """
          UPDATE crm.invoice_line SET line_number = 99, (customer_id, invoice_id) = (SELECT customer_id, id FROM crm.invoice WHERE status = 'issued' LIMIT 1)
           WHERE id = (SELECT id FROM crm.invoice_line WHERE invoice_status = 'draft' LIMIT 1)
          """, "23503"
        ),
        (
          """
          INSERT INTO crm.invoice_line (customer_id, invoice_id, invoice_status, line_number, description, quantity, unit_price, vat_rate)
          SELECT customer_id, id, 'issued', 99, 'x', 1, 1, 20 FROM crm.invoice WHERE status = 'issued' LIMIT 1
          """, "42501"
        ),
        (
          """
          INSERT INTO crm.invoice_line (customer_id, invoice_id, line_number, description, quantity, unit_price, vat_rate)
          SELECT customer_id, id, 99, 'x', 1, 1, 20 FROM crm.invoice WHERE status = 'issued' LIMIT 1
          """, "23503"
        ),
        (
          """
          INSERT INTO crm.invoice (customer_id, status, company_id, series, department_id)
          SELECT customer_id, 'issued', company_id, series, department_id FROM crm.invoice LIMIT 1
          """, "42501"
        ),
        ("UPDATE crm.invoice_counter SET last_number = last_number + 1", "42501"), ("UPDATE crm.instalment SET settled = 0", "42501"),
        ("DELETE FROM crm.instalment", "42501"),
        ("UPDATE crm.turnover SET invoiced = 0", "42501"), ("UPDATE crm.payment SET amount = 1", "42501"), ("TRUNCATE crm.invoice CASCADE", "42501"),
      ] {
        await #expect("\(intrusion.text)") {
          _ = try await pool.execute([intrusion], context: everything, deadline: .after(.seconds(60)))
        } throws: { error in
          (error as? PostgresError)?.sqlState == state
        }
      }
    }
    // What the owner's triggers may do, a number's consumer may not: a draft whose totals do not fit its lines is not issued.
    await #expect {
      _ = try await finance.server.database.app.execute(
        [
          "UPDATE crm.invoice SET net_amount = net_amount + 1, gross_amount = gross_amount + 1, status = 'issued', issue_date = current_date WHERE status = 'draft' AND net_amount > 0"
        ], context: everything, deadline: .after(.seconds(60)))
    } throws: { error in
      (error as? PostgresError)?.constraint == "invoice_amounts_positive"
    }
    try await finance.expectInvariants()
  }
}
