import CRMCore
import Foundation
import MuhatapTestKit
import Testing

extension JSON {
  /// A number as a double.
  var figure: Double? { if case .number(let value) = self { NSDecimalNumber(decimal: value).doubleValue } else { nil } }
  /// A number without a fraction.
  var whole: Int? { if case .number(let value) = self { Int(exactly: NSDecimalNumber(decimal: value).doubleValue) } else { nil } }
  /// An exact decimal as cents; nil if it has more decimals.
  var cents: Int? { string.flatMap { Decimal(string: $0) }.flatMap { Int(exactly: NSDecimalNumber(decimal: $0 * 100).doubleValue) } }
}

extension TestServer {
  /// What a question is answered with, when it is.
  func ask(_ path: String, as person: String = "deniz", language: String = "en") async throws -> JSON {
    let answer = try await send(.get, path, as: person, headers: ["accept-language": language])
    try #require(answer.status == 200, "\(answer.text)")
    return try answer.json()
  }

  /// The run that an operation asks for, computed.
  func compute(_ path: String, _ body: JSON, as person: String = "deniz") async throws -> JSON {
    let answer = try await send(.post, path, as: person, json: body)
    try #require(answer.status == 202, "\(answer.text)")
    return try await finish(run: try #require(try answer.json()["id"]?.string))
  }

  /// A customer, with one order a day given: day, currency, amount. Answers with its id.
  func sell(_ name: String, _ orders: [(day: String, currency: String, amount: String)], sku: String? = nil, as person: String = "deniz") async throws -> String
  {
    let customer = try await send(.post, "/v1/customers", as: person, json: ["kind": "person", "name": .string(name)])
    let id = try #require(try customer.json()["id"], "\(customer.text)")
    let product = try await send(.post, "/v1/products", json: ["sku": .string(sku ?? UUID().uuidString), "name": "Terazi"])
    let productID = try #require(try product.json()["id"], "\(product.text)")
    for (day, currency, amount) in orders {
      let order = try await send(
        .post, "/v1/orders", as: person,
        json: [
          "customer_id": id, "ordered_at": .string(day.count == 10 ? "\(day)T12:00:00Z" : day), "currency": .string(currency), "channel": "phone",
          "status": "completed",
        ])
      let line = try await send(
        .post, "/v1/order_lines", as: person,
        json: [
          "customer_id": id, "order_id": try #require(try order.json()["id"], "\(order.text)"), "line_number": 1, "product_id": productID, "quantity": "2",
          "amount": .string(amount),
        ])
      try #require(line.status == 201, "\(line.text)")
    }
    return id.string ?? ""
  }
}

/// Equal to nine digits, as figures computed elsewhere are compared.
func isClose(_ left: Double?, _ right: Double?, _ tolerance: Double = 1e-9) -> Bool {
  guard let left, let right else { return left == nil && right == nil }
  return abs(left - right) <= tolerance * max(1, abs(left), abs(right))
}
