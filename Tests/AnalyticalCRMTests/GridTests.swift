import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@Suite struct GridTests {
  private func made(_ server: TestServer, _ code: String, bands: JSON, groups: JSON, steers: Bool = false) async throws -> String {
    let answer = try await server.send(
      .post, "/v1/grids", json: ["code": .string(code), "name": .string("Izgara \(code)"), "bands": bands, "groups": groups, "steers": .bool(steers)])
    try #require(answer.status == 201, "\(answer.text)")
    return try #require(try answer.json()["id"]?.string)
  }

  private func run(_ server: TestServer, _ grid: String, asOf: String = ShoppingYear.asOf) async throws -> JSON {
    let asked = try await server.send(.post, "/v1/grids/\(grid)/runs", json: ["as_of": .string(asOf)])
    try #require(asked.status == 202, "\(asked.text)")
    return try await server.finish(run: try #require(try asked.json()["id"]?.string))
  }

  private func matrix(_ server: TestServer, _ grid: String) async throws -> [JSON] {
    let answer = try await server.send(.get, "/v1/grids/\(grid)/matrix")
    try #require(answer.status == 200, "\(answer.text)")
    return try #require(try answer.json()["data"]?.array)
  }

  @Test(
    arguments: [
      ["by": "field", "field": "kind"], ["by": "quantile", "metric": "revenue", "groups": 4], ["by": "tier"],
      ["by": "kmeans", "features": [["metric": "recency"], ["metric": "orders"], ["metric": "revenue"]], "clusters": 3], ["by": "field", "field": "profile"],
      ["by": "field", "field": "profile.income"],
    ] as [JSON])
  func `every active customer is in exactly one cell, however it is cut`(axis: JSON) async throws {
    let server = try await ShoppingYear.suite()
    let code = "by_" + UUID().uuidString.lowercased().prefix(8).replacing("-", with: "")
    let grid = try await made(server, code, bands: ["by": "quantile", "metric": "orders", "groups": 3], groups: axis)
    let done = try await run(server, grid)
    try #require(done["status"] == "done", "\(done)")
    #expect(done["population"] == 48)
    let found = try await server.database.admin.execute(
      ["SELECT count(*), count(DISTINCT customer_id), count(*) FILTER (WHERE left_at IS NULL) FROM crm.customer_cell WHERE grid_id = \(grid)::uuid"],
      context: .init(readOnly: true),
      deadline: .after(.seconds(120)))
    #expect(try (0..<3).map { try found[0][0].decode(Int.self, at: $0) } == [48, 48, 48])
    let cells = try await matrix(server, grid)
    #expect(cells.map { $0["customers"]?.count ?? 0 }.reduce(0, +) == 48 && Set(cells.map { $0["band"]?.string }) == ["q1", "q2", "q3"])
    // Again: nobody moves.
    _ = try await run(server, grid, asOf: "2018-01-03T00:00:00Z")
    let again = try await server.database.admin.execute(
      ["SELECT count(*) FROM crm.customer_cell WHERE grid_id = \(grid)::uuid AND left_at IS NOT NULL"], context: .init(readOnly: true),
      deadline: .after(.seconds(120)))
    if axis["by"] == "field" { #expect(try again[0][0].decode(Int.self, at: 0) == 0) }
    #expect(try await matrix(server, grid).map { $0["customers"]?.count ?? 0 }.reduce(0, +) == 48)
  }

  @Test func `bands by k-means over everybody have the inertia computed independently`() async throws {
    let server = try await ShoppingYear.suite()
    let grid = try await made(
      server, "clustered", bands: ["by": "kmeans", "features": [["metric": "recency"], ["metric": "orders"], ["metric": "revenue"]], "clusters": 4],
      groups: ["by": "field", "field": "kind"])
    let done = try await run(server, grid)
    let value = try #require(done["result"]?["kmeans"]?["inertia"]?.double, "\(done)")
    #expect(abs(value - 33.6106164054185) < 1e-9)
    let sizes = Dictionary(try await matrix(server, grid).map { ($0["band"]?.string ?? "", $0["customers"]?.count ?? 0) }, uniquingKeysWith: +)
    #expect(sizes == ["k1": 9, "k2": 13, "k3": 20, "k4": 6])
  }

  @Test func `what cannot be cut is refused with its place, and a population of nobody with the reason`() async throws {
    let server = try await ShoppingYear.suite()
    func refusal(_ groups: JSON, as person: String = "deniz") async throws -> String {
      let answer = try await server.send(
        .post, "/v1/grids", as: person, json: ["code": "refused", "name": "x", "bands": ["by": "field", "field": "kind"], "groups": groups], checked: false)
      return "\(answer.status) \(try answer.json()["errors"]?.array?.first?["pointer"]?.string ?? "")"
    }
    #expect(try await refusal(["by": "magic"]) == "400 /groups/by")
    #expect(try await refusal(["by": "field", "field": "colour"]) == "400 /groups/field")
    #expect(try await refusal(["by": "quantile", "metric": "revenu", "groups": 4]) == "400 /groups/metric")
    #expect(try await refusal(["by": "quantile", "metric": "revenue", "groups": 1]) == "400 /groups/groups")
    #expect(try await refusal(["by": "kmeans", "features": [], "clusters": 3]) == "400 /groups/features")
    #expect(try await refusal(["by": "kmeans", "features": [["metric": "orders", "where": [:]]], "clusters": 3]) == "400 /groups/features/0")
    #expect(try await refusal(["by": "field", "field": "kind", "metric": "orders"]) == "400 /groups/metric")
    #expect(try await refusal(["by": "field", "field": "kind"], as: "ayse").hasPrefix("403"))
    let grid = try await made(server, "empty", bands: ["by": "tier"], groups: ["by": "field", "field": "kind"])
    let nobody = try await run(server, grid, asOf: "2001-01-01T00:00:00Z")
    #expect(nobody["status"] == "failed" && nobody["problem"]?["code"] == "empty-population", "\(nobody)")
    _ = try await run(server, grid)
    #expect(try await server.send(.post, "/v1/grids/\(grid)/runs", json: ["as_of": "2017-06-01T00:00:00Z"]).problem == "as-of-before-last-run")
    #expect(try await server.send(.post, "/v1/grids/\(grid)/runs", as: "ayse", json: [:]).status == 403)
    let cell = try #require(try await matrix(server, grid).first?["cell_id"]?.string)
    #expect(try await server.send(.patch, "/v1/grid_cells/\(cell)", json: ["strategy": "ignore"], checked: false).status == 422)
    #expect(try await server.send(.patch, "/v1/grid_cells/\(cell)", json: ["discount_cap_binds": true]).status == 422)
    #expect(try await server.send(.patch, "/v1/grid_cells/\(cell)", as: "ayse", json: ["strategy": "grow"]).status == 403)
    #expect(try await server.send(.get, "/v1/grid_cells/\(cell)/members", as: "zeynep").status == 403)
    #expect(try await server.send(.get, "/v1/grids/\(UUID().uuidString)/matrix").status == 404)
    let renamed = try await server.send(.patch, "/v1/grids/\(grid)", json: ["name": "Boş", "groups": ["by": "field", "field": "locale"]])
    #expect(try renamed.json()["name"] == "Boş", "\(renamed.text)")
    #expect(try await server.send(.patch, "/v1/grids/\(grid)", as: "ayse", json: ["name": "x"]).status == 403)
    #expect(try await server.send(.delete, "/v1/grids/\(grid)", as: "ayse").status == 403)
    #expect(try await server.send(.delete, "/v1/grids/\(grid)").status == 204)
  }

  /// A customer with one order, in the only cell of a grid that steers.
  private func steered(_ server: TestServer) async throws -> (customer: String, product: String, cell: String, grid: String) {
    let customer = try #require(try await server.send(.post, "/v1/customers", as: "ayse", json: ["kind": "person", "name": "Yönlenen"]).json()["id"]?.string)
    let product = try #require(try await server.send(.post, "/v1/products", json: ["sku": "P-7", "name": "Halı"]).json()["id"]?.string)
    let order = try await server.send(
      .post, "/v1/orders", as: "ayse",
      json: ["customer_id": .string(customer), "channel": "phone", "status": "completed", "ordered_at": "2026-01-02T00:00:00Z"])
    try #require(order.status == 201, "\(order.text)")
    let grid = try await made(server, "steering", bands: ["by": "field", "field": "kind"], groups: ["by": "field", "field": "locale"], steers: true)
    let done = try await run(server, grid, asOf: "2026-02-01T00:00:00Z")
    try #require(done["status"] == "done", "\(done)")
    return (customer, product, try #require(try await matrix(server, grid).first?["cell_id"]?.string), grid)
  }

  @Test func `a cell's cap raises a seller's, lowers it where it binds, and leaves administrators alone`() async throws {
    let server = try await TestServer.start()
    let (customer, product, cell, grid) = try await steered(server)
    /// Whether the person may send a quote with the discount.
    func sends(_ discount: String, as person: String) async throws -> Bool {
      let drafted = try await server.send(
        .post, "/v1/quotes", as: person,
        json: [
          "customer_id": .string(customer),
          "lines": [["product_id": .string(product), "quantity": "1", "unit_price": "100", "vat_rate": "20", "discount_percent": .string(discount)]],
        ])
      try #require(drafted.status == 201, "\(drafted.text)")
      let sent = try await server.send(.post, "/v1/quotes/\(try drafted.json()["id"]?.string ?? "")/send", as: person)
      try #require(sent.status == 200 || sent.problem == "approval-needed", "\(sent.text)")
      return sent.status == 200
    }
    func policy(_ change: JSON) async throws {
      let answer = try await server.send(.patch, "/v1/grid_cells/\(cell)", json: change)
      try #require(answer.status == 200, "\(answer.text)")
    }
    // Mehmet gives 10, ayse 25 by their roles.
    #expect(try await sends("10", as: "mehmet"))
    #expect(try await !sends("11", as: "mehmet"))
    try await policy(["discount_cap_percent": "15", "strategy": "grow", "sla_class": "gold", "contact_cadence_days": 30, "channel": "phone"])
    #expect(try await sends("15", as: "mehmet"))
    #expect(try await !sends("16", as: "mehmet"))
    #expect(try await sends("25", as: "ayse"))
    try await policy(["discount_cap_binds": true])
    #expect(try await sends("15", as: "ayse"))
    #expect(try await !sends("16", as: "ayse"))
    #expect(try await sends("40", as: "deniz"))
    try await policy(["discount_cap_percent": "5"])
    #expect(try await !sends("6", as: "mehmet"))
    #expect(try await sends("5", as: "mehmet"))

    let read = try await server.send(.get, "/v1/customers/\(customer)/policy", as: "mehmet")
    let row = try #require(try read.json()["data"]?.array?.first, "\(read.text)")
    #expect(
      row["strategy"] == "grow" && row["sla_class"] == "gold" && row["discount_cap_percent"] == "5.00" && row["discount_cap_binds"] == true
        && row["grid"] == "steering")
    #expect(try await server.send(.get, "/v1/customers/\(customer)/policy", as: "emre").status == 403)
    #expect(try await server.send(.get, "/v1/customers/\(UUID().uuidString)/policy").status == 404)
    let members = try await server.send(.get, "/v1/grid_cells/\(cell)/members")
    #expect(try members.json()["data"]?.array?.map { $0["name"] } == ["Yönlenen"], "\(members.text)")

    let second = try await server.send(.post, "/v1/grids", json: ["code": "second", "name": "x", "groups": ["by": "field", "field": "kind"], "steers": true])
    #expect(second.status == 409 && second.problem == "grid-steers", "\(second.text)")
    #expect(try await server.send(.delete, "/v1/grids/\(grid)").problem == "grid-steers")
    #expect(try await server.send(.patch, "/v1/grids/\(grid)", json: ["steers": false]).status == 200)
    #expect(try await sends("10", as: "mehmet"))
    #expect(try await server.send(.delete, "/v1/grids/\(grid)").status == 204)
  }
}
