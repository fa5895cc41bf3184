import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

extension JSON {
  /// The number, whole.
  var int: Int? { double.map { Int($0) } }
}

/// Customers, purchases, campaigns and touches for tests of what campaigns brought.
struct CampaignFixture {
  let server: TestServer

  @discardableResult
  func behind(_ statement: SQL) async throws -> PostgresResult {
    try await server.database.admin.execute([statement], context: PostgresPool.Context(readOnly: false), deadline: .after(.seconds(120)))[0]
  }

  /// So many customers of sales, whom everybody sees.
  func customers(_ count: Int, _ name: String = "Müşteri") async throws -> [UUID] {
    try await behind(
      """
      INSERT INTO crm.customer (kind, name, department_id) SELECT 'person', \(name)::text || ' ' || i, (SELECT id FROM crm.department WHERE code = 'sales')
        FROM generate_series(1, \(count)::integer) i RETURNING id
      """
    ).rows.map { try $0.decode(UUID.self, "id") }
  }

  /// One purchase of one product each, without a known cost unless one is given.
  func buy(_ purchases: [(customer: UUID, at: String, amount: Decimal)], currency: String = "TRY", unitCost: Decimal? = nil, category: String? = nil)
    async throws
  {
    let sku = UUID().uuidString
    if let category { try await behind("INSERT INTO crm.product_category (code, name) VALUES (\(category), \(category))") }
    try await behind(
      "INSERT INTO crm.product (sku, name, cost, category_id) VALUES (\(sku), 'Terazi', \(unitCost), (SELECT c.id FROM crm.product_category c WHERE c.code = \(category)))"
    )
    try await behind(
      """
      WITH given AS MATERIALIZED (
        SELECT g.customer_id, g.at::timestamptz AS at, g.amount::numeric AS amount, crm.uuid_v7() AS order_id
          FROM unnest(\(purchases.map(\.customer))::uuid[], \(purchases.map(\.at))::text[], \(purchases.map { "\($0.amount)" })::text[]) AS g (customer_id, at, amount)
      ), made AS (
        INSERT INTO crm.sales_order (customer_id, id, status, channel, ordered_at, currency, department_id)
        SELECT customer_id, order_id, 'completed', 'store', at, \(currency), (SELECT id FROM crm.department WHERE code = 'sales') FROM given RETURNING id
      )
      SELECT count(*) FROM made
      """)
    try await behind(
      """
      INSERT INTO crm.sales_order_line (customer_id, order_id, line_number, product_id, quantity, amount)
      SELECT o.customer_id, o.id, 1, (SELECT id FROM crm.product WHERE sku = \(sku)), 1, g.amount::numeric
        FROM unnest(\(purchases.map(\.customer))::uuid[], \(purchases.map(\.at))::text[], \(purchases.map { "\($0.amount)" })::text[]) AS g (customer_id, at, amount)
        JOIN crm.sales_order o ON o.customer_id = g.customer_id AND o.ordered_at = g.at::timestamptz
       WHERE NOT EXISTS (SELECT FROM crm.sales_order_line l WHERE l.customer_id = o.customer_id AND l.order_id = o.id)
      """)
  }

  /// A campaign of May 2025, made through the API by marketing.
  func campaign(_ values: [String: JSON] = [:]) async throws -> String {
    let made = try await server.send(
      .post, "/v1/campaigns", as: "elif",
      json: .object(
        ["code": .string(UUID().uuidString), "name": "Mayıs", "starts_on": "2025-05-01", "ends_on": "2025-05-31", "status": "running"].merging(values) { $1 }))
    try #require(made.status == 201, "\(made.text)")
    return try #require(try made.json()["id"]?.string)
  }

  func assign(_ customers: [UUID], to campaign: String) async throws -> TestServer.Answer {
    try await server.send(
      .post, "/v1/campaigns/\(campaign)/assign", as: "elif", json: ["customer_ids": .array(customers.map { .string($0.uuidString.lowercased()) })])
  }

  func get(_ path: String, as person: String = "elif", _ headers: [String: String] = [:]) async throws -> JSON {
    let answer = try await server.send(.get, path, as: person, headers: headers)
    try #require(answer.status == 200, "\(answer.text)")
    return try answer.json()
  }
}
