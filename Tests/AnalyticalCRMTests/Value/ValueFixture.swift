import CRMCore
import Foundation
import MuhatapTestKit
import Testing

/// Value models over the year of shopping, as a client of the API makes and computes them.
struct ValueFixture {
  let server: TestServer

  /// The model that the expected figures were computed with.
  static let keys: [JSON] = [
    key("revenue", "0.45"), key("orders", "0.2"), key("tenure", "0.1"), key("recency", "0.1"), key("product_breadth", "0.1"), key("redemptions", "0.05"),
  ]

  static func key(_ metric: String, _ coefficient: String, _ more: [String: JSON] = [:]) -> JSON {
    .object(["metric": .string(metric), "coefficient": .string(coefficient)].merging(more) { $1 })
  }

  func model(_ code: String, keys: [JSON] = keys, _ more: [String: JSON] = [:]) async throws -> String {
    let body: JSON = .object(
      ["code": .string(code), "name_en": .string(code), "name_tr": .string(code), "keys": .array(keys)].merging(more) { $1 })
    let answer = try await server.send(.post, "/v1/value_models", json: body)
    #expect(answer.status == 201, "\(answer.text)")
    return try #require(try answer.json()["id"]?.string)
  }

  /// A run that is over.
  func run(_ model: String, asOf: String = ShoppingYear.asOf) async throws -> JSON {
    let answer = try await server.send(.post, "/v1/value_models/\(model)/run", json: ["as_of": .string(asOf)])
    #expect(answer.status == 202, "\(answer.text)")
    return try await server.finish(run: try #require(try answer.json()["id"]?.string))
  }

  func done(_ model: String, asOf: String = ShoppingYear.asOf) async throws -> String {
    let run = try await run(model, asOf: asOf)
    #expect(run["status"] == "done", "\(run)")
    return try #require(run["id"]?.string)
  }

  func rows(_ path: String) async throws -> [JSON] {
    let answer = try await server.send(.get, path)
    #expect(answer.status == 200, "\(path): \(answer.text)")
    return try answer.json()["data"]?.array ?? []
  }

  /// Everybody in a run, from the top.
  func values(_ model: String, _ run: String) async throws -> [JSON] { try await rows("/v1/value_models/\(model)/customers?run_id=\(run)&limit=1000") }
}
