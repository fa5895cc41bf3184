import CRMCore
import Foundation
import Gateway
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("The log of sensitive reads")
struct SensitiveReadTests {
  /// What was written down of a request, as soon as it is.
  private func noted(_ server: TestServer, _ answer: TestServer.Answer) async throws -> [JSON] {
    let request = try #require(answer.headers["x-request-id"])
    for _ in 0..<1_200 {
      let rows = try await server.send(.get, "/v1/sensitive_reads?request_id=\(request)").json()["data"]?.array ?? []
      if !rows.isEmpty { return rows }
      try await Task.sleep(for: .milliseconds(50))
    }
    return []
  }

  private func made(_ server: TestServer, _ path: String, _ json: JSON) async throws -> String {
    let answer = try await server.send(.post, path, as: "ayse", json: json)
    try #require(answer.status == 201, "\(answer.text)")
    return try answer.json().id
  }

  @Test("whoever is shown an identity number is written down with the record and the request, in every form of reading, and nobody else")
  func reads() async throws {
    let server = try await TestServer.start()
    let named = try await made(server, "/v1/customers", ["kind": "person", "name": "Numaralı Kişi", "tax_number": "10000000146"])
    let other = try await made(server, "/v1/customers", ["kind": "person", "name": "Numarasız Kişi"])
    let activity = try await made(
      server, "/v1/activities", ["kind": "call", "subject": "Arama", "customer_id": .string(named), "starts_at": "2026-11-23T09:00:00Z"])
    let me = try await server.send(.get, "/v1/users?email=eq.ayse@carsi.example").json()["data"]?.array?.first?.id

    let both = "id=in.(\(named),\(other))"
    for path in [
      "/v1/customers?\(both)", "/v1/customers/\(named)", "/v1/customers?\(both)&select=name,tax_number", "/v1/customers/export?format=csv&\(both)",
      "/v1/activities/\(activity)?expand=customer", "/v1/activities?id=eq.\(activity)&select=subject,customer.tax_number", "/v1/customers/\(named)/history",
      "/v1/changes?resource=customers",
    ] {
      let answer = try await server.send(.get, path, as: "ayse", checked: false)
      #expect(answer.status == 200 && answer.text.contains("10000000146"), "\(path): \(answer.text)")
      let rows = try await noted(server, answer)
      #expect(rows.count == 1, "\(path): \(rows)")
      let row = rows.first
      #expect(
        row?["resource"] == "customers" && row?["fields"] == ["tax_number"] && row?["record_ids"] == [.string(named)] && row?["user_id"]?.string == me
          && row?["user"] == "Ayşe Yılmaz" && row?["via"] == "api", "\(path): \(rows)")
    }
    // Nothing sensitive was shown: nothing is written, though the customer was.
    let before = try await server.send(.get, "/v1/sensitive_reads?record_id=\(named)").json()["data"]?.array?.count
    for path in ["/v1/customers?\(both)&select=name", "/v1/customers/\(other)", "/v1/activities/\(activity)", "/v1/customers/\(named)/timeline"] {
      let answer = try await server.send(.get, path, as: "ayse", checked: false)
      #expect(answer.status == 200 && !answer.text.contains("10000000146"), "\(path)")
    }
    let last = try await server.send(.get, "/v1/customers/\(named)?select=tax_number", as: "fatma", checked: false)
    #expect(try await noted(server, last).first?["user"] == "Fatma Arslan")
    #expect(try await server.send(.get, "/v1/sensitive_reads?record_id=\(named)").json()["data"]?.array?.count == (before ?? 0) + 1)
    #expect(try await server.send(.get, "/v1/sensitive_reads?record_id=\(other)").json()["data"]?.array == [])

    #expect(try await server.send(.get, "/v1/sensitive_reads", as: "ayse").status == 403)
    #expect(try await [400, 422].contains(server.send(.get, "/v1/sensitive_reads?limit=0").status))
  }

  @Test("groups, the answer to changing something else, operations and an invoice's document are written down, too")
  func otherForms() async throws {
    let server = try await TestServer.start()
    let named = try await made(server, "/v1/customers", ["kind": "person", "name": "Numaralı Kişi", "tax_number": "10000000146"])
    let first = try await made(server, "/v1/customers", ["kind": "person", "name": "Öteki Kişi", "tax_number": "10000000078"])
    let both: JSON = ["id": ["in": [.string(named), .string(first)]]]
    func group(_ body: [String: JSON]) async throws -> Set<String> {
      let answer = try await server.send(.post, "/v1/customers/aggregate", as: "ayse", json: .object(body.merging(["filter": both]) { $1 }))
      #expect(answer.status == 200, "\(answer.text)")
      let rows = try await noted(server, answer)
      #expect(rows.allSatisfy { $0["resource"] == "customers" && $0["fields"] == ["tax_number"] }, "\(rows)")
      return Set(rows.flatMap { $0["record_ids"]?.array ?? [] }.compactMap(\.string))
    }
    #expect(try await group(["group": ["tax_number"], "measures": ["count"]]) == [named, first])
    #expect(try await group(["measures": [["max": "tax_number"]]]) == [named])
    #expect(try await group(["measures": [["min": "tax_number", "as": "least"], "count"]]) == [first])
    let counted = try await server.send(.post, "/v1/customers/aggregate", as: "ayse", json: ["group": ["kind"], "measures": ["count"], "filter": both])
    #expect(counted.status == 200)

    // Whoever changes a note is shown the number; whoever gives the number is not.
    let changed = try await server.send(.patch, "/v1/customers/\(named)", as: "ayse", json: ["note": "x"])
    #expect(changed.text.contains("10000000146"))
    #expect(try await noted(server, changed).first?["record_ids"] == [.string(named)])
    let given = try await server.send(.patch, "/v1/customers/\(first)", as: "ayse", json: ["tax_number": "10000000078"])
    #expect(given.status == 200)
    let batch = try await server.send(
      .post, "/v1/customers/batch", as: "ayse", json: ["items": [["action": "change", "id": .string(first), "data": ["note": "y"]]]], checked: false)
    if batch.text.contains("10000000078") { #expect(try await noted(server, batch).first?["record_ids"] == [.string(first)], "\(batch.text)") }

    // An invoice as the administration gets it.
    let invoice = UUID.v7()
    _ = try await server.database.admin.execute(
      [
        "SET LOCAL session_replication_role = replica",
        """
        INSERT INTO crm.invoice (id, customer_id, company_id, series, department_id, status, issue_year, sequence, ettn, issue_date, issue_time, due_on, exchange_rate, buyer_name,
          buyer_first_name, buyer_family_name, buyer_tax_number, buyer_street, buyer_district, buyer_city, buyer_country, seller_name, seller_tax_number,
          seller_tax_office, seller_street, seller_district, seller_city, seller_country)
        SELECT \(invoice), c.id, p.id, 'ESK', c.department_id, 'issued', 2011, 1, gen_random_uuid(), '2011-01-03', '10:00', '2011-01-03', 1, 'Numaralı Kişi', 'Numaralı', 'Kişi',
          '10000000146', 'Sokak 1', 'Beyoğlu', 'İstanbul', 'TR', p.name, p.tax_number, p.tax_office, p.street, p.district, p.city, 'TR'
          FROM crm.customer AS c CROSS JOIN crm.company_profile AS p WHERE c.id = \(UUID(uuidString: named))
        """,
      ], context: .init(readOnly: false), deadline: .after(.seconds(60)))
    let document = try await server.send(.get, "/v1/invoices/\(invoice.lowercase)/ubl", checked: false)
    try #require(document.status == 200 && document.text.contains("10000000146"), "\(document.text.prefix(500))")
    let shown = try await noted(server, document).first
    #expect(shown?["resource"] == "invoices" && shown?["record_ids"] == [.string(invoice.lowercase)], "\(String(describing: shown))")
    let fields = Set(shown?["fields"]?.array?.compactMap(\.string) ?? [])
    #expect(fields.isSuperset(of: ["buyer_name", "buyer_tax_number", "buyer_street"]) && !fields.contains("buyer_email"), "\(fields)")

    // What showed no number is not in the log.
    let all = try await server.send(.get, "/v1/sensitive_reads?limit=1000").json()["data"]?.array ?? []
    for silent in [counted, given] { #expect(!all.contains { $0["request_id"]?.string == silent.headers["x-request-id"] }) }
  }

  @Test("what a server was about to write down is written before it ends")
  func stopping() async throws {
    let server = try await TestServer.start()
    let named = try await made(server, "/v1/customers", ["kind": "person", "name": "Son Bakış", "tax_number": "10000000146"])
    for _ in 0..<20 { #expect(try await server.send(.get, "/v1/customers/\(named)", as: "ayse").status == 200) }
    try await server.application.stop()
    let count = try await server.database.admin.execute(
      ["SELECT count(*) FROM crm.sensitive_read WHERE record_ids @> ARRAY[\(UUID(uuidString: named))::uuid]"], context: .init(readOnly: true),
      deadline: .after(.seconds(60)))[0][0].decode(Int.self, at: 0)
    #expect(count == 20)
  }
}
