import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

/// A customer's own client.
struct PortalVisitor {
  let desk: SurveyDesk
  let token: String

  func send(_ method: Request.Method, _ path: String, _ json: JSON? = nil) async throws -> TestServer.Answer {
    try await desk.server.send(method, path, as: nil, json: json, headers: ["authorization": "Bearer \(token)"])
  }

  func list(_ path: String) async throws -> [JSON] {
    let answer = try await send(.get, path)
    try #require(answer.status == 200, "\(path): \(answer.text)")
    return try answer.json()["data"]?.array ?? []
  }

  /// A ticket with a conversation.
  func opened(_ subject: String, _ fields: [String: JSON] = [:]) async throws -> (id: String, conversation: String) {
    let answer = try await send(
      .post, "/v1/portal/tickets", .object(["subject": .string(subject), "description": "Yardım eder misiniz?"].merging(fields) { $1 }))
    try #require(answer.status == 201, "\(answer.text)")
    return (try #require(try answer.json()["id"]?.string), try #require(try answer.json()["conversation_id"]?.string))
  }
}

extension SurveyDesk {
  func portalInvitation(_ customer: String, contact: String? = nil, as person: String = "zeynep") async throws -> (access: String, secret: String) {
    let answer = try await post("/v1/customers/\(customer)/portal_invitations", as: person, contact.map { ["contact_id": .string($0)] })
    try #require(answer.status == 201, "\(answer.text)")
    return (try #require(try answer.json()["id"]?.string), try #require(try answer.json()["invitation"]?.string))
  }

  func visitor(_ customer: String, contact: String? = nil, as person: String = "zeynep") async throws -> PortalVisitor {
    let secret = try await portalInvitation(customer, contact: contact, as: person).secret
    let answer = try await post("/v1/portal/sessions", as: nil, ["invitation": .string(secret)])
    try #require(answer.status == 201, "\(answer.text)")
    return PortalVisitor(desk: self, token: try #require(try answer.json()["token"]?.string))
  }

  /// An order of a customer, with a line.
  func order(_ customer: String, number: String) async throws -> String {
    let id = try #require(UUID(uuidString: customer))
    let row = try await admin(
      """
      WITH o AS (INSERT INTO crm.sales_order (customer_id, external_number, source_system, department_id, amount) SELECT c.id, \(number), 'test', c.department_id, 12.5 FROM crm.customer c WHERE c.id = \(id) RETURNING customer_id, id),
           p AS (INSERT INTO crm.product (sku, name) VALUES (\(number), 'Çay') RETURNING id)
      INSERT INTO crm.sales_order_line (customer_id, order_id, product_id, line_number, quantity, amount) SELECT o.customer_id, o.id, p.id, 1, 1, 12.5 FROM o CROSS JOIN p
      RETURNING order_id
      """)[0]
    return try row.decode(UUID.self, at: 0).lowercase
  }
}
