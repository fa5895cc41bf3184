import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("Retention of issued invoices")
struct InvoiceRetentionTests {
  /// Issues an invoice of some years ago: the numbering of today does not go back.
  /// - Returns: its id.
  private func issued(_ f: PrivacyFixture, _ customer: String, yearsAgo: Int, on day: String) async throws -> String {
    let id = UUID.v7()
    _ = try await f.api.database.admin.execute(
      [
        "SET LOCAL session_replication_role = replica",
        """
        INSERT INTO crm.invoice (customer_id, id, company_id, series, department_id, status, profile, issue_year, sequence, ettn, issue_date, issue_time, due_on, exchange_rate, note,
          buyer_name, buyer_first_name, buyer_family_name, buyer_tax_number, buyer_street, buyer_district, buyer_city, buyer_postal_code, buyer_country, buyer_email,
          seller_name, seller_tax_number, seller_tax_office, seller_street, seller_district, seller_city, seller_country, gross_amount, net_amount, vat_amount)
        SELECT c.id, \(id), p.id, 'ESK', c.department_id, 'issued', 'EARSIVFATURA', y.year, (SELECT count(*) + 1 FROM crm.invoice), gen_random_uuid(), (y.year || \("-\(day)"))::date, '10:00',
          (y.year || '-12-31')::date, 1, 'Green ink', 'Faturalı Kişi', 'Faturalı', 'Kişi', '10000000146', 'Gizli Sokak 1', 'Adalar', 'İstanbul', '34400', 'TR',
          'faturali@posta.example', p.name, p.tax_number, p.tax_office, p.street, p.district, p.city, 'TR', 100, 100, 20
        FROM crm.customer AS c CROSS JOIN (SELECT * FROM crm.company_profile ORDER BY code LIMIT 1) AS p
        CROSS JOIN (SELECT extract(year FROM crm.business_day(now()))::int - \(yearsAgo)::int) AS y (year) WHERE c.id = \(UUID(uuidString: customer))
        """,
        """
        INSERT INTO crm.invoice_line (customer_id, invoice_id, invoice_status, line_number, description, quantity, unit_price, vat_rate, vat_amount, department_id, audience)
        SELECT i.customer_id, i.id, 'issued', 1, 'Danışmanlık', 1, 100, 20, 20, i.department_id, i.audience FROM crm.invoice AS i WHERE i.id = \(id)
        """,
      ], context: .init(readOnly: false), deadline: .after(.seconds(30)))
    return id.lowercase
  }

  private func buyer(_ f: PrivacyFixture, _ invoice: String) async throws -> String? {
    try await f.sql("SELECT buyer_name FROM crm.invoice WHERE id = \(UUID(uuidString: invoice))")[0].decode(String?.self, "buyer_name")
  }

  private func destroy(_ f: PrivacyFixture, at: String? = nil) async throws {
    try await f.sql("INSERT INTO crm.job (kind, payload) VALUES ('privacy.retention', jsonb_strip_nulls(jsonb_build_object('at', \(at)::text)))")
    try await f.work("privacy.retention")
  }

  private func rule(_ f: PrivacyFixture) async throws -> String {
    try #require(try await f.api.send(.get, "/v1/retention_rules", ["code": "eq.invoice_buyers"]).rows().first?["id"]?.string)
  }

  /// What must stay: numbers, days, amounts, whose it was.
  private func accounts(_ f: PrivacyFixture) async throws -> [String] {
    try await f.sql(
      """
      SELECT concat_ws(' ', i.id, i.customer_id, i.number, i.ettn, i.issue_date, i.status, i.gross_amount, i.net_amount, i.vat_amount, i.payable_amount, i.buyer_city, i.seller_name,
        (SELECT string_agg(concat_ws(' ', l.id, l.description, l.net_amount), ',') FROM crm.invoice_line AS l WHERE l.invoice_id = i.id)) AS line FROM crm.invoice AS i ORDER BY 1
      """
    ).rows.map { try $0.decode(String.self, "line") }
  }

  @Test("ten years after its year the buyer goes from an invoice, its document and its history; number and amounts stay")
  func destruction() async throws {
    let f = PrivacyFixture(api: try await TestAPI.start())
    let api = f.api
    let customer = try await f.person("Faturalı Kişi", number: "10000000146")
    let kept = try await f.person("Davalı Kişi")
    let old = try await issued(f, customer, yearsAgo: 12, on: "12-31")
    // Ten years since, but not ten since the end of the year.
    let recent = try await issued(f, customer, yearsAgo: 10, on: "01-02")
    let held = try await issued(f, kept, yearsAgo: 12, on: "03-03")
    let hold = try await api.send(.post, "/v1/legal_holds", json: ["customer_id": .string(kept), "reason": "2026/33 E."])
    #expect(hold.status == 201, "\(hold.text)")
    let before = try await accounts(f)
    let document = try await api.send(.get, "/v1/invoices/\(old)/ubl", as: "fatma", checked: false)
    #expect(document.text.contains("Gizli Sokak") && document.text.contains("10000000146"), "\(document.text)")

    let rule = try await rule(f)
    let dry = try await api.send(.post, "/v1/retention_rules/\(rule)/try", json: [:])
    #expect(try dry.json()["rows"] == .number(1), "\(dry.text)")
    #expect(try await buyer(f, old) == "Faturalı Kişi")
    try await destroy(f)

    #expect(try await accounts(f) == before)
    #expect(try await buyer(f, recent) == "Faturalı Kişi")
    #expect(try await buyer(f, held) == "Faturalı Kişi")
    let shown = try await api.send(.get, "/v1/invoices/\(old)", as: "fatma")
    let traces = ["Faturalı", "10000000146", "Gizli Sokak", "Adalar", "34400", "faturali@posta.example", "Green ink"]
    #expect(shown.status == 200 && traces.allSatisfy { !shown.text.contains($0) }, "\(shown.text)")
    #expect(try shown.json()["buyer_destroyed_at"]?.string != nil)
    let emptied = try await api.send(.get, "/v1/invoices/\(old)/ubl", as: "fatma", checked: false)
    #expect(emptied.status == 200 && emptied.text.contains("11111111111") && emptied.text.contains("erased"), "\(emptied.text)")
    #expect(traces.allSatisfy { !emptied.text.contains($0) }, "\(emptied.text)")
    #expect(emptied.text.contains(try #require(try shown.json()["number"]?.string)) && emptied.text.contains("120.00"))
    let history = try await f.sql("SELECT concat(c.before, c.after) AS text FROM crm.change AS c WHERE c.row_id = \(UUID(uuidString: old))")
    #expect(history.count > 0)
    for row in history.rows {
      let text = try row.decode(String.self, "text")
      #expect(traces.allSatisfy { !text.contains($0) }, "\(text)")
    }
    let runs = try await api.send(.get, "/v1/retention_runs", ["rule_id": "eq.\(rule)", "dry_run": "eq.false"]).rows()
    #expect(runs.map { $0["row_count"] } == [.number(1)] && runs.first?["held_count"] == .number(1), "\(runs)")

    // Once the hold is lifted it goes with the next run.
    try await f.sql("UPDATE crm.legal_hold SET released_at = now() WHERE customer_id = \(UUID(uuidString: kept))")
    try await destroy(f)
    #expect(try await buyer(f, held) == "erased")
    #expect(try await buyer(f, recent) == "Faturalı Kişi")
  }

  @Test("nobody takes a buyer out beside the job, before its time, or sooner than the rule may say")
  func aroundTheJob() async throws {
    let f = PrivacyFixture(api: try await TestAPI.start())
    let customer = try await f.person("Faturalı Kişi", number: "10000000146")
    let old = try await issued(f, customer, yearsAgo: 3, on: "05-05")
    let id = try #require(UUID(uuidString: old))
    let draft = try await f.api.send(
      .post, "/v1/invoices", as: "fatma",
      json: ["customer_id": .string(customer), "lines": [["description": "Danışmanlık", "quantity": "1", "unit_price": "5", "vat_rate": "20"]]])
    let draftID = try #require(UUID(uuidString: try draft.json()["id"]?.string ?? ""), "\(draft.text)")
    for pool in [f.api.database.app, f.api.database.worker] {
      let database = Database(pool: pool)
      for statement: SQL in [
        "UPDATE crm.invoice SET buyer_name = 'erased' WHERE id = \(id)", "UPDATE crm.invoice SET buyer_destroyed_at = now() WHERE id = \(id)",
        "DELETE FROM crm.invoice WHERE id = \(id)",
      ] {
        #expect(try await database.transaction(as: .system("test")) { tx in try await tx.run(statement) } == 0)
      }
      for statement: SQL in [
        "UPDATE crm.invoice SET buyer_destroyed_at = now() WHERE id = \(draftID)",
        "UPDATE crm.invoice SET buyer_destroyed_at = now(), status = 'issued' WHERE id = \(draftID)",
        "UPDATE crm.invoice SET buyer_tax_number = '11111111111' WHERE id = \(draftID)",
      ] {
        await #expect(throws: PostgresError.self) { try await database.transaction(as: .system("test")) { tx in try await tx.run(statement) } }
      }
    }
    let rule = try await rule(f)
    let early = try await f.api.send(.patch, "/v1/retention_rules/\(rule)", json: ["keep_days": 1_000])
    #expect(early.status == 422 && early.text.contains("retention_rule_keep_days_least"), "\(early.text)")
    // An instant in the future does not make it later than it is.
    try await destroy(f, at: "2999-01-01T00:00:00Z")
    #expect(try await buyer(f, old) == "Faturalı Kişi")
  }
}
