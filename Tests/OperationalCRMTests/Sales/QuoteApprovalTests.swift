import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

/// In the demo company a seller gives 10 %, a sales manager 25 %, an administrator what she likes.
@Suite struct QuoteApprovalTests {
  @Test func `within the cap a quote is sent without asking`() async throws {
    let desk = QuoteDesk(server: try await TestServer.suite())
    let id = try await desk.draft(discount: "10")
    #expect(try await desk.quote(id)["worst_discount_percent"] == "10.00")
    #expect(try await desk.post("/v1/quotes/\(id)/submit").problem == "approval-not-needed")
    _ = try await desk.sent(id)
  }

  @Test func `above the cap a manager of the department approves`() async throws {
    let desk = QuoteDesk(server: try await TestServer.suite())
    let id = try await desk.draft(discount: "20")
    let refused = try await desk.server.send(.post, "/v1/quotes/\(id)/send", as: "mehmet", json: nil, headers: ["accept-language": "tr"])
    #expect(refused.problem == "approval-needed" && refused.text.contains("onay"), "\(refused.text)")
    let submitted = try await desk.post("/v1/quotes/\(id)/submit", ["note": "Yıllık sözleşme"])
    #expect(try submitted.status == 200 && submitted.json()["status"] == "awaiting_approval", "\(submitted.text)")
    #expect(try await desk.post("/v1/quotes/\(id)/send").problem == "quote-status")
    #expect(try await desk.post("/v1/quotes/\(id)/approve").status == 403)
    #expect(try await desk.post("/v1/quotes/\(id)/approve", as: "gul").status == 403)
    let approved = try await desk.post("/v1/quotes/\(id)/approve", as: "ayse", ["note": "Olur"])
    let approval = try approved.json()["approvals"]?.array?.first
    #expect(try approved.json()["status"] == "approved", "\(approved.text)")
    #expect(approval?["decision"] == "approved" && approval?["request_note"] == "Yıllık sözleşme" && approval?["discount_percent"] == "20.00")
    #expect(try await desk.post("/v1/quotes/\(id)/approve", as: "ayse").problem == "quote-status")
    #expect(try await desk.post("/v1/quotes/\(id)/lines", ["lines": [desk.line(try await desk.product(), "1", "1", discount: "90")]]).problem == "quote-status")
    _ = try await desk.sent(id)
  }

  @Test func `whoever approves needs a cap that covers the discount, and is not the author`() async throws {
    // A server of its own: other tests read the caps that this one changes.
    let desk = QuoteDesk(server: try await TestServer.start())
    let steep = try await desk.draft(discount: "40")
    #expect(try await desk.post("/v1/quotes/\(steep)/submit").status == 200)
    #expect(try await desk.post("/v1/quotes/\(steep)/approve", as: "ayse").status == 403)
    #expect(try await desk.post("/v1/quotes/\(steep)/approve", as: "deniz").status == 200)

    let own = try await desk.draft(as: "ayse", discount: "30")
    #expect(try await desk.post("/v1/quotes/\(own)/submit", as: "ayse").status == 200)
    try await desk.behind("UPDATE crm.role SET discount_cap_percent = 50 WHERE code = 'sales_manager'")
    let answer = try await desk.post("/v1/quotes/\(own)/approve", as: "ayse")
    try await desk.behind("UPDATE crm.role SET discount_cap_percent = 25 WHERE code = 'sales_manager'")
    #expect(answer.status == 403 && answer.text.contains("of their own"), "\(answer.text)")
  }

  @Test func `a rejected quote is a draft again, and so is one taken back`() async throws {
    let desk = QuoteDesk(server: try await TestServer.suite())
    let id = try await desk.draft(discount: "15")
    #expect(try await desk.post("/v1/quotes/\(id)/submit").status == 200)
    #expect(try await desk.post("/v1/quotes/\(id)/reject").status == 403)
    let rejected = try await desk.post("/v1/quotes/\(id)/reject", as: "ayse", ["note": "En çok yüzde 10"])
    #expect(try rejected.json()["status"] == "draft", "\(rejected.text)")
    #expect(try await desk.post("/v1/quotes/\(id)/reject", as: "ayse").problem == "quote-status")
    #expect(try await desk.post("/v1/quotes/\(id)/submit").status == 200)
    let back = try await desk.post("/v1/quotes/\(id)/reopen")
    #expect(try back.json()["status"] == "draft", "\(back.text)")
    let approvals = try back.json()["approvals"]?.array ?? []
    #expect(Set(approvals.map { $0["decision"]?.string }) == ["rejected", "withdrawn"])
    #expect(try await desk.post("/v1/quotes/\(id)/reopen").problem == "quote-status")
  }

  @Test func `the widest role decides a cap, and a price below the list counts as a discount`() async throws {
    let desk = QuoteDesk(server: try await TestServer.suite())
    let caps = try await desk.behind(
      "SELECT u.email, crm.discount_cap(u.id, NULL)::text AS cap FROM crm.app_user u WHERE u.email IN ('ayse@carsi.example', 'mehmet@carsi.example', 'deniz@carsi.example', 'emre@carsi.example') ORDER BY 1"
    )
    #expect(try caps.rows.map { try $0.decode(String.self, "cap") } == ["25.00", "100", "0", "10.00"])
    let id = try #require(UUID(uuidString: try await desk.draft()))
    try await desk.behind("UPDATE crm.quote_line SET list_price = 125, discount_percent = 10 WHERE quote_id = \(id) AND line_number = 1")
    // 100 less 10 % is 90: 28 % below 125.
    #expect(try await desk.quote(id.lowercase)["worst_discount_percent"] == "28.00")
  }
}
