import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

/// A server with a customer that can be invoiced and a product; Fatma of finance acts unless somebody is named.
struct InvoiceFixture: Sendable {
  let server: TestServer
  let customer: String
  let product: String

  static func suite(_ file: String = #fileID) async throws -> InvoiceFixture { try await InvoiceFixture(server: TestServer.suite(file)) }

  init(server: TestServer) async throws {
    self.server = server
    customer = try await Self.customer(server)
    let product = try await server.send(
      .post, "/v1/products", as: "emre", json: ["sku": .string("F-\(UUID())"), "name": "Filtre kahve", "vat_rate": "10", "unit_code": "KGM", "cost": "40"])
    try #require(product.status == 201, "\(product.text)")
    self.product = try #require(try product.json()["id"]?.string)
  }

  /// An organisation with all that an invoice needs, or less.
  static func customer(_ server: TestServer, as person: String = "ayse", _ fields: [String: JSON] = [:], address: JSON? = InvoiceFixture.address) async throws
    -> String
  {
    let values: [String: JSON] = ["kind": "organisation", "name": "Çınar Gıda A.Ş.", "tax_number": "9876543217", "tax_office": "Kadıköy"]
    let made = try await server.send(.post, "/v1/customers", as: person, json: .object(values.merging(fields) { $1 }))
    try #require(made.status == 201, "\(made.text)")
    let id = try #require(try made.json()["id"]?.string)
    if let address = address?.object {
      let placed = try await server.send(.post, "/v1/addresses", as: person, json: .object(address.merging(["customer_id": .string(id)]) { $1 }))
      try #require(placed.status == 201, "\(placed.text)")
    }
    return id
  }

  static let address: JSON = ["kind": "billing", "street": "Moda Caddesi 5", "district": "Kadıköy", "city": "İstanbul", "province_code": "34"]

  func send(_ method: Request.Method, _ path: String, as person: String = "fatma", json: JSON? = nil, headers: [String: String] = [:]) async throws
    -> TestServer.Answer
  {
    try await server.send(method, path, as: person, json: json, headers: headers)
  }

  /// What a request that must succeed answers with.
  func done(_ method: Request.Method = .post, _ path: String, as person: String = "fatma", json: JSON? = nil) async throws -> JSON {
    let answer = try await send(method, path, as: person, json: json)
    try #require((200...299).contains(answer.status), "\(path): \(answer.text)")
    return try answer.bytes.isEmpty ? .null : answer.json()
  }

  func get(_ path: String, as person: String = "fatma") async throws -> JSON { try await done(.get, path, as: person) }

  /// A draft of the fixture's customer, or another's.
  func draft(_ lines: [JSON], _ fields: [String: JSON] = [:]) async throws -> JSON {
    try await done(.post, "/v1/invoices", json: .object(["customer_id": .string(customer), "lines": .array(lines)].merging(fields) { $1 }))
  }

  /// One line over a net amount.
  func line(_ net: String, vat: String = "20", _ fields: [String: JSON] = [:]) -> JSON {
    .object(["description": "Danışmanlık", "quantity": "1", "unit_price": .string(net), "vat_rate": .string(vat)].merging(fields) { $1 })
  }

  func issued(_ lines: [JSON], _ fields: [String: JSON] = [:], on day: String? = nil) async throws -> JSON {
    try await issue(draft(lines, fields), on: day)
  }

  func issue(_ draft: JSON, on day: String? = nil) async throws -> JSON {
    try await done(.post, "/v1/invoices/\(draft.id)/issue", json: day.map { ["issue_date": .string($0)] })
  }

  private struct NoFreeSeries: Error {}

  /// A series nobody else uses, so that its dates are the test's own.
  func series() async throws -> String {
    let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
    for _ in 0..<20 {
      let code = String((0..<3).map { _ in letters.randomElement() ?? "X" })
      if try await send(.post, "/v1/invoice_series", json: ["code": .string(code), "name": "Deneme"]).status == 201 { return code }
    }
    throw NoFreeSeries()
  }

  /// Asks the database itself, behind the policies.
  @discardableResult
  func behind(_ statement: SQL) async throws -> PostgresResult {
    try await server.database.admin.execute([statement], context: .init(readOnly: false), deadline: .after(.seconds(120)))[0]
  }

  /// Numbers without gaps or doubles, and turnover as the invoices say.
  func expectInvariants(sourceLocation: SourceLocation = #_sourceLocation) async throws {
    let numbers = try await behind("SELECT series || ' ' || year || ': ' || violation AS violation FROM crm.invoice_number_violations()")
    for row in numbers.rows { Issue.record("\(try row.decode(String.self, at: 0))", sourceLocation: sourceLocation) }
    let turnover = try await behind("SELECT concat_ws(' ', customer_id, product_id, day, currency, issued, counted) FROM crm.turnover_invariants()")
    for row in turnover.rows { Issue.record("turnover: \(try row.decode(String.self, at: 0))", sourceLocation: sourceLocation) }
  }
}
