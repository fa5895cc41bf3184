import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("Timeline")
struct TimelineTests {
  /// A customer of sales with an order, an activity, three mails and an internal note.
  private func customer(_ api: TestAPI) async throws -> (id: String, conversation: String) {
    let email = "zaman-\(UUID().uuidString.prefix(8))@bilinen.example"
    let customer = try await Mailroom.customer(api, "Zaman Çizelgesi", email: email)
    try await api.behind(
      """
      INSERT INTO crm.sales_order (customer_id, ordered_at, amount, department_id)
      SELECT \(customer), now() - interval '1 day', 99.9, d.id FROM crm.department AS d WHERE d.code = 'sales'
      """)
    try await api.behind(
      """
      INSERT INTO crm.activity (kind, subject, starts_at, customer_id, department_id)
      SELECT 'call', 'Arandı', now() - interval '2 days', \(customer), d.id FROM crm.department AS d WHERE d.code = 'sales'
      """)
    let box = try await Mailroom.open(api)
    var conversation = ""
    for day in 0..<3 {
      conversation = try await box.receive(from: email, id: "<\(email)\(day)>", at: Date().addingTimeInterval(Double(-day) * 3600)).conversation.lowercase
    }
    let note = try await api.send(.post, "/v1/conversations/\(conversation)/notes", as: "zeynep", json: ["text": "Kargo kayıp, tazminat düşün."])
    #expect(note.status == 201, "\(note.text)")
    return (customer.lowercase, conversation)
  }

  private func kinds(_ answer: TestAPI.Answer) throws -> [String] { try answer.rows().map { $0["kind"]?.string ?? "?" } }

  @Test("each sees what they may read: the internal note is the service's alone, orders are not the buyer's")
  func rights() async throws {
    let api = try await TestAPI.suite()
    let customer = try await customer(api)
    let path = "/v1/customers/\(customer.id)/timeline"
    let sales = try await api.send(.get, path, as: "ayse")
    #expect(try kinds(sales) == ["interaction", "interaction", "interaction", "order", "activity"], "\(sales.text)")
    #expect(!sales.text.contains("tazminat"))
    let service = try await api.send(.get, path, as: "zeynep")
    #expect(try kinds(service) == ["internal_note", "interaction", "interaction", "interaction", "order", "activity"])
    #expect(service.text.contains("tazminat"))
    #expect(try kinds(try await api.send(.get, path, as: "fatma")).contains("order"))
    #expect(try await api.send(.get, path, as: "emre").status == 403)
    #expect(try await api.send(.get, "/v1/customers/\(UUID().uuidString.lowercased())/timeline", as: "ayse").status == 404)
  }

  @Test("pages join without a gap or a repetition, at any size")
  func pages() async throws {
    let api = try await TestAPI.suite()
    let customer = try await customer(api)
    let path = "/v1/customers/\(customer.id)/timeline"
    let whole = try await api.send(.get, path, as: "zeynep").rows()
    for size in 1...4 {
      var read: [JSON] = []
      var cursor: String?
      repeat {
        var query: [(name: String, value: String)] = [("limit", "\(size)")]
        if let cursor { query.append(("cursor", cursor)) }
        let answer = try await api.send(.get, path, query, as: "zeynep", body: nil)
        read += try answer.rows()
        cursor = try answer.json()["next_cursor"]?.string
      } while cursor != nil
      #expect(read == whole)
    }
    let cursor = try await api.send(.get, path, ["limit": "1"], as: "zeynep").json()["next_cursor"]?.string ?? ""
    #expect(try await api.send(.get, path, ["cursor": "x"], as: "zeynep").status == 400)
    let other = try await self.customer(api)
    #expect(try await api.send(.get, "/v1/customers/\(other.id)/timeline", ["cursor": cursor], as: "zeynep").status == 400)
  }

  @Test("kinds, channels and dates narrow it")
  func filters() async throws {
    let api = try await TestAPI.suite()
    let customer = try await customer(api)
    let path = "/v1/customers/\(customer.id)/timeline"
    #expect(try kinds(try await api.send(.get, path, ["kinds": "order,activity"], as: "ayse")) == ["order", "activity"])
    #expect(try kinds(try await api.send(.get, path, ["channels": "email"], as: "zeynep")) == ["interaction", "interaction", "interaction"])
    #expect(try kinds(try await api.send(.get, path, ["channels": "phone"], as: "zeynep")) == [])
    let yesterday = Date().addingTimeInterval(-36 * 3600).formatted(.iso8601)
    #expect(try kinds(try await api.send(.get, path, ["until": yesterday], as: "ayse")) == ["activity"])
    #expect(try kinds(try await api.send(.get, path, ["from": yesterday, "kinds": "order,activity"], as: "ayse")) == ["order"])
    let wrong = try await api.send(.get, path, ["kinds": "order,gossip"], as: "ayse", checked: false)
    #expect(wrong.status == 400)
  }

  @Test("tickets, quotes, invoices, payments, touches, tiers and consents have their place in it")
  func everyKind() async throws {
    let api = try await TestAPI.start()
    let customer = try await customer(api)
    let id = try #require(UUID(uuidString: customer.id))
    try await api.behind(
      "INSERT INTO crm.ticket (customer_id, subject, department_id) SELECT \(id), 'Kayıp kargo', d.id FROM crm.department AS d WHERE d.code = 'service'")
    try await api.behind(
      """
      INSERT INTO crm.quote (customer_id, number, valid_until, department_id)
      SELECT \(id), 'T-1', current_date + 30, d.id FROM crm.department AS d WHERE d.code = 'sales'
      """)
    try await api.behind(
      """
      INSERT INTO crm.invoice (customer_id, company_id, series, department_id)
      SELECT \(id), p.id, 'MUH', d.id FROM crm.company_profile AS p, crm.department AS d WHERE d.code = 'sales' LIMIT 1
      """)
    try await api.behind(
      """
      INSERT INTO crm.payment (customer_id, currency, amount, paid_on, department_id, visibility)
      SELECT \(id), 'TRY', 10, '2026-01-05', d.id, 'company' FROM crm.department AS d WHERE d.code = 'sales'
      """)
    try await api.behind(
      """
      INSERT INTO crm.campaign (id, code, name, assignment, starts_on, ends_on, department_id)
      SELECT \(id), 'bahar', 'Bahar', 'chosen', '2026-01-01', '2026-12-31', d.id FROM crm.department AS d WHERE d.code = 'sales'
      """)
    try await api.behind(
      "INSERT INTO crm.campaign_touch (customer_id, campaign_id, channel, touched_at, department_id) SELECT \(id), \(id), 'email', '2026-02-01', c.department_id FROM crm.campaign AS c WHERE c.id = \(id)"
    )
    try await api.behind(
      """
      WITH run AS (INSERT INTO crm.analysis_run (kind, method, as_of) VALUES ('test', 'x', now()) RETURNING id)
      INSERT INTO crm.customer_tier_history (customer_id, model_id, valid_from, tier, run_id)
      SELECT \(id), m.id, '2026-03-01', 'gold', run.id FROM run, crm.value_model AS m LIMIT 1
      """)
    let answer = try await api.send(.get, "/v1/customers/\(customer.id)/timeline", as: "deniz")
    let shown = Set(try kinds(answer))
    for kind in ["interaction", "internal_note", "order", "activity", "ticket", "quote", "invoice", "payment", "campaign_touch", "tier_change"] {
      #expect(shown.contains(kind), "\(kind) is missing")
    }
    let payment = try #require(try answer.rows().first { $0["kind"]?.string == "payment" })
    #expect(payment["at"]?.string == "2026-01-04T21:00:00Z")
    #expect(payment["amount"]?.string == "10.00")
  }
}
