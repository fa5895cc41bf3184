import CRMCore
import Foundation
import Gateway
import MuhatapTestKit
import PostgresClient
import Testing

/// The access matrix over HTTP: every person of the demo company × every kind of record that departments own × reading, changing and history.
/// What each may do is asked of PostgreSQL, whose policies sql/tests/access.sql holds against a model of their own.
@Suite struct HiddenRecordTests {
  private struct Kind {
    let resource: String
    /// The ids among those made here that the caller of the transaction sees.
    let seen: SQL
    /// The same for changing.
    let changed: SQL
    let change: JSON
  }

  private struct Record: RowDecodable {
    let resource: String
    let id: UUID
    init(row: PostgresRow) throws {
      resource = try row.decode("resource")
      id = try row.decode("id")
    }
  }

  private static let kinds = [
    Kind(
      resource: "customers", seen: "SELECT id FROM crm.customer",
      changed: "UPDATE crm.customer SET note = 'x' WHERE id IS NOT NULL RETURNING id", change: ["note": "x"]),
    Kind(
      resource: "contacts", seen: "SELECT id FROM crm.contact",
      changed: "UPDATE crm.contact SET note = 'x' WHERE id IS NOT NULL RETURNING id", change: ["note": "x"]),
    Kind(
      resource: "addresses", seen: "SELECT id FROM crm.address",
      changed: "UPDATE crm.address SET city = 'x' WHERE id IS NOT NULL RETURNING id", change: ["city": "x"]),
    Kind(
      resource: "contact_points", seen: "SELECT id FROM crm.contact_point",
      changed: "UPDATE crm.contact_point SET label = 'x' WHERE id IS NOT NULL RETURNING id", change: ["label": "x"]),
    Kind(
      resource: "orders", seen: "SELECT id FROM crm.sales_order",
      changed: "UPDATE crm.sales_order SET note = 'x' WHERE id IS NOT NULL RETURNING id", change: ["note": "x"]),
    Kind(
      resource: "order_lines", seen: "SELECT id FROM crm.sales_order_line",
      changed: "UPDATE crm.sales_order_line SET unit_price = 1 WHERE id IS NOT NULL RETURNING id", change: ["unit_price": "1"]),
  ]

  /// Made by operations and tested beside them over HTTP; sql/tests/access.sql holds their policies against the model as it does for the kinds above.
  private static let ofOperations: Set<String> = [
    "activities", "activity_participants", "attachments", "campaign_members", "campaign_responses", "campaign_sendings", "campaign_touches", "campaigns",
    "channel_preferences", "commission_settlement_lines", "consent_events", "contract_lines", "contract_renewals", "contracts", "conversations",
    "customer_observations", "customer_phases", "e_invoices", "form_submissions", "inbox_views", "instalments", "interactions", "internal_notes",
    "invoice_lines", "invoice_shares", "invoices", "lead_assignments", "leads", "merges", "opportunities", "opportunity_competitors",
    "opportunity_lines", "opportunity_stages", "order_fulfilments", "outbound_messages", "payment_allocations", "payments", "portal_accesses",
    "quote_answers", "quote_approvals", "quote_lines", "quotes", "routing_decisions", "shipment_lines", "shipments", "sla_events",
    "survey_invitations", "survey_responses", "ticket_times", "tickets", "web_forms", "webhooks",
  ]

  /// One of each kind for three departments × company, department, private.
  private func fill(_ database: TestDatabase) async throws -> [Record] {
    let context = PostgresPool.Context(settings: [.init("muhatap.via", "system:test")], readOnly: false)
    return try await database.admin.transaction(context: context, deadline: .after(.seconds(60))) { tx in
      try await tx.run("INSERT INTO crm.product (sku, name) VALUES ('hidden', 'x')")
      try await tx.run(
        """
        INSERT INTO crm.customer (kind, name, department_id, owner_id, visibility)
        SELECT 'person', 'x', d.id, u.id, v FROM crm.department d CROSS JOIN unnest(ARRAY['company', 'department', 'private']) v
        CROSS JOIN crm.app_user u WHERE d.code IN ('sales', 'marketing', 'service') AND u.email = 'mehmet@carsi.example'
        """)
      try await tx.run("INSERT INTO crm.contact (customer_id, name) SELECT id, 'x' FROM crm.customer")
      try await tx.run("INSERT INTO crm.address (customer_id, city) SELECT id, 'x' FROM crm.customer")
      try await tx.run("INSERT INTO crm.contact_point (customer_id, kind, value) SELECT id, 'other', 'x' FROM crm.customer")
      try await tx.run(
        """
        INSERT INTO crm.sales_order (customer_id, department_id, owner_id, visibility)
        SELECT id, department_id, owner_id, visibility FROM crm.customer
        """)
      try await tx.run(
        """
        INSERT INTO crm.sales_order_line (customer_id, order_id, product_id, line_number, quantity, amount)
        SELECT o.customer_id, o.id, p.id, 1, 1, 1 FROM crm.sales_order o JOIN crm.product p ON p.sku = 'hidden'
        """)
      return try await tx.all(
        Record.self,
        """
        SELECT 'customers' AS resource, id FROM crm.customer UNION ALL SELECT 'contacts', id FROM crm.contact
        UNION ALL SELECT 'addresses', id FROM crm.address UNION ALL SELECT 'contact_points', id FROM crm.contact_point
        UNION ALL SELECT 'orders', id FROM crm.sales_order UNION ALL SELECT 'order_lines', id FROM crm.sales_order_line
        """)
    }
  }

  /// What a person sees and may change, by resource, according to PostgreSQL.
  private func reach(of email: String, in database: TestDatabase) async throws -> (seen: [String: Set<UUID>], changed: [String: Set<UUID>]) {
    let user = try await database.admin.execute(
      ["SELECT id FROM crm.app_user WHERE email = \(email)"], context: .init(readOnly: true), deadline: .after(.seconds(60)))[0][0].decode(UUID.self, at: 0)
    func ids(_ sql: KeyPath<Kind, SQL>) async throws -> [String: Set<UUID>] {
      var found: [String: Set<UUID>] = [:]
      for kind in Self.kinds {
        let statement = kind[keyPath: sql]
        let result = try await database.app.transaction(context: .init(readOnly: false), deadline: .after(.seconds(60))) { tx in
          try await tx.run(
            """
            SELECT set_config('muhatap.caller', \(user)::text, true), set_config('muhatap.read_' || area, array_to_string(readable, ','), true),
              set_config('muhatap.write_' || area, array_to_string(writable, ','), true) FROM crm.access_of(\(user))
            """)
          return try await tx.result(statement)
        }
        found[kind.resource] = Set(try (0..<result.count).map { try result[$0].decode(UUID.self, at: 0) })
      }
      return found
    }
    return (try await ids(\.seen), try await ids(\.changed))
  }

  /// An answer without what differs from request to request.
  private func comparable(_ answer: TestServer.Answer, _ id: UUID) -> String {
    let requestID = answer.headers["x-request-id"] ?? answer.headers["request-id"] ?? "-"
    let fixed = answer.headers.filter { !["date", "x-request-id", "request-id"].contains($0.key) }.sorted { $0.key < $1.key }
    return "\(answer.status) \(fixed) \(answer.text)".replacing(requestID, with: "REQUEST").replacing(id.uuidString.lowercased(), with: "ID")
  }

  @Test func `everybody reads and changes over HTTP exactly what PostgreSQL lets them, and hidden is as absent`() async throws {
    let server = try await TestServer.suite()
    let database = server.database
    let records = try await fill(database)
    let owned = try await database.admin.execute(
      ["SELECT resource FROM crm.protection WHERE kind = 'owned' AND resource IS NOT NULL"], context: .init(readOnly: true), deadline: .after(.seconds(60)))[0]
    #expect(
      Set(try (0..<owned.count).map { try owned[$0].decode(String.self, at: 0) }) == Set(Self.kinds.map(\.resource)).union(Self.ofOperations),
      "add the new kind of record here")

    var met: Set<Int> = []
    for person in DemoCompany.people {
      let name = String(person.email.prefix { $0 != "@" })
      let (seen, changed) = try await reach(of: person.email, in: database)
      for kind in Self.kinds {
        var absent: [String: String] = [:]
        for record in [nil] + records.filter({ $0.resource == kind.resource }).map(Optional.some) {
          let id = record?.id ?? UUID()
          let path = "/v1/\(kind.resource)/\(id.uuidString.lowercased())"
          let isSeen = seen[kind.resource]?.contains(id) == true
          let isChanged = changed[kind.resource]?.contains(id) == true
          for (verb, allowed) in [("read", isSeen), ("history", isSeen), ("change", isChanged)] {
            let answer =
              switch verb {
              case "read": try await server.send(.get, path, as: name)
              case "history": try await server.send(.get, path + "/history", as: name)
              default: try await server.send(.patch, path, as: name, json: kind.change)
              }
            met.insert(answer.status)
            if record == nil { absent[verb] = comparable(answer, id) }
            if allowed {
              #expect(answer.status == 200, "\(name) \(verb) \(kind.resource): \(answer.text)")
            } else if isSeen {
              #expect(answer.status == 403, "\(name) \(verb) \(kind.resource): \(answer.status)")
            } else {
              #expect(comparable(answer, id) == absent[verb], "\(name) \(verb) \(kind.resource)")
            }
          }
        }
      }
    }
    #expect(met == [200, 403, 404], "the demo company's roles no longer show all cases")
  }
}
