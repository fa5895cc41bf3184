import CRMCore
import Foundation
import Gateway
import MuhatapTestKit
import PostgresClient
import Testing

/// A server with a customer and a product of its own, for what sales tests do again and again; `ayse` acts unless somebody is named.
struct SalesFixture: Sendable {
  let server: TestServer
  let customer: String
  let product: String

  /// On the server that the tests of one file share, with a customer nobody else uses.
  static func suite(_ file: String = #fileID) async throws -> SalesFixture {
    try await SalesFixture(server: TestServer.suite(file))
  }

  init(server: TestServer) async throws {
    self.server = server
    let customer = try await server.send(.post, "/v1/customers", as: "ayse", json: ["kind": "organisation", "name": "Çınar Gıda A.Ş."])
    let product = try await server.send(.post, "/v1/products", as: "emre", json: ["sku": .string("P-\(UUID())"), "name": "Filtre kahve"])
    try #require(customer.status == 201 && product.status == 201, "\(customer.text) \(product.text)")
    self.customer = try customer.json().id
    self.product = try product.json().id
  }

  func send(
    _ method: Request.Method, _ path: String, as person: String = "ayse", json: JSON? = nil, headers: [String: String] = [:]
  ) async throws -> TestServer.Answer {
    try await server.send(method, path, as: person, json: json, headers: headers)
  }

  /// What a read shows; anything but 200 fails the test.
  func get(_ path: String, as person: String = "ayse") async throws -> JSON {
    let answer = try await send(.get, path, as: person)
    try #require(answer.status == 200, "\(path): \(answer.text)")
    return try answer.json()
  }

  /// What a request that must succeed answers with.
  func done(_ method: Request.Method = .post, _ path: String, as person: String = "ayse", json: JSON? = nil) async throws -> JSON {
    let answer = try await send(method, path, as: person, json: json)
    try #require((200...299).contains(answer.status), "\(path): \(answer.text)")
    return try answer.bytes.isEmpty ? .null : answer.json()
  }

  func opportunity(_ fields: [String: JSON], as person: String = "ayse") async throws -> JSON {
    try await done(
      .post, "/v1/opportunities", as: person, json: .object(["customer_id": .string(customer), "name": "Kahve"].merging(fields) { $1 }))
  }

  func line(_ opportunity: JSON, _ number: Int, quantity: String, price: String, discount: String = "0") async throws -> String {
    try await done(
      .post, "/v1/opportunity_lines",
      json: [
        "customer_id": .string(customer), "opportunity_id": .string(opportunity.id), "line_number": .number(Decimal(number)),
        "product_id": .string(product), "quantity": .string(quantity), "unit_price": .string(price), "discount_percent": .string(discount),
      ]
    ).id
  }

  /// Has a worker's handler do one job of this kind.
  func work(_ kind: String, payload: JSON = [:]) async throws {
    let database = Database(pool: server.database.worker)
    let id = try await database.transaction(as: .system("test")) { tx in try await JobQueue.enqueue(kind, payload: payload, in: tx) }
    let handler = try #require(Work.handlers.first { $0.kind == kind })
    let job = try #require(try await JobQueue(database: database).take([kind], worker: "test", lease: .seconds(1_800)))
    try #require(job.id == id)
    try await handler.run(JobLease(job: job, database: database))
  }

  /// What a statement finds behind the policies.
  func behind(_ statement: SQL) async throws -> PostgresResult {
    try await server.database.admin.execute([statement], context: .init(readOnly: false), deadline: .after(.seconds(120)))[0]
  }

  struct Pipeline: Sendable {
    let id: String
    let stages: [String]
  }

  /// A pipeline with stages of these names and probabilities, in percent.
  func pipeline(
    _ name: String, department: String? = nil, isDefault: Bool = false, stages: [(String, Int)], fields: [[String: JSON]] = []
  ) async throws -> Pipeline {
    var body: [String: JSON] = ["name": .string(name), "is_default": .bool(isDefault)]
    if let department {
      body["department_id"] = .string(try await get("/v1/departments?code=eq.\(department)", as: "deniz")["data"]?.array?.first?.id ?? "")
    }
    let pipeline = try await done(.post, "/v1/pipelines", as: "deniz", json: .object(body)).id
    var ids: [String] = []
    for (index, stage) in stages.enumerated() {
      let own: [String: JSON] = [
        "pipeline_id": .string(pipeline), "position": .number(Decimal(10 * (index + 1))), "name": .string(stage.0), "probability": .string("\(stage.1)"),
      ]
      let extra = index < fields.count ? fields[index] : [:]
      ids.append(try await done(.post, "/v1/stages", as: "deniz", json: .object(own.merging(extra) { $1 })).id)
    }
    return Pipeline(id: pipeline, stages: ids)
  }
}
