import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("Merging customers with invoices", .serialized)
struct MergeOfInvoicesTests {
  @Test("turnover is that of the invoices after a merge, after an invoice more, and after parting")
  func turnover() async throws {
    let finance = try await InvoiceFixture(server: try await TestServer.start())
    let other = try await InvoiceFixture.customer(finance.server, ["name": "ÇINAR GIDA SAN. VE TİC. A.Ş."])
    let goods = finance.line("100", ["product_id": .string(finance.product), "unit_code": "KGM"])
    _ = try await finance.issued([goods])
    let moved = try await finance.issued([goods, finance.line("7.50")], ["customer_id": .string(other)])
    try await finance.expectInvariants()

    let merge = try await finance.done(
      .post, "/v1/customers/\(finance.customer)/merge", as: "ayse", json: ["merged_id": .string(other), "reason": "Aynı firma"])
    try await finance.expectInvariants()
    let invoice = try await finance.get("/v1/invoices/\(moved.id)?expand=lines")
    #expect(invoice["customer_id"] == .string(finance.customer) && invoice["number"] == moved["number"] && invoice["status"] == "issued", "\(invoice)")
    #expect(invoice["lines"]?.array?.allSatisfy { $0["customer_id"] == .string(finance.customer) } == true)

    // What is counted since belongs to the survivor.
    _ = try await finance.issued([goods])
    try await finance.expectInvariants()
    _ = try await finance.done(.post, "/v1/merges/\(merge.id)/unmerge", as: "ayse")
    try await finance.expectInvariants()
    #expect(try await finance.get("/v1/invoices/\(moved.id)")["customer_id"] == .string(other))
    let turnover = try await finance.behind("SELECT sum(t.amount)::text FROM crm.turnover AS t WHERE t.customer_id = \(other)::uuid")
    #expect(try turnover[0].decode(String.self, at: 0) == "107.50")
  }
}
