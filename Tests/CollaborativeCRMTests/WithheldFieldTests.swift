import CRMCore
import Foundation
import Gateway
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("Sensitive fields in live events")
struct WithheldFieldTests {
  private func customer(_ server: TestServer, _ json: JSON) async throws -> String {
    let made = try await server.send(.post, "/v1/customers", as: "deniz", json: json)
    try #require(made.status == 201, "\(made.text)")
    return try made.json().id
  }

  @Test("an event says that a sensitive field had a value, and not which, also to who comes back; the feed of changes shows it", .timeLimit(.minutes(10)))
  func events() async throws {
    let server = try await TestServer.start { $0.limits.live.interval = .milliseconds(20) }
    let stream = try await EventStream(server, "/v1/events?resource=customers", as: "deniz")
    _ = try await stream.next()
    let beginning = try #require(stream.lastID)
    let numbered = try await customer(server, ["kind": "person", "name": "Numaralı Kişi", "tax_number": "10000000146"])
    for change in [["note": "bir"], ["tax_number": .null, "note": "iki"], ["tax_number": "10000000146"]] as [JSON] {
      #expect(try await server.send(.patch, "/v1/customers/\(numbered)", as: "deniz", json: change).status == 200)
    }
    let plain = try await customer(server, ["kind": "person", "name": "Numarasız Kişi"])

    let again = try await EventStream(server, "/v1/events?resource=customers", as: "deniz", after: beginning)
    for told in [try await stream.changes(upTo: plain), try await again.changes(upTo: plain)] {
      let about = told.filter { $0.recordID == numbered }
      #expect(about.map { $0.data["op"]?.string } == ["insert", "update", "update", "update"], "\(told)")
      #expect(about.map { $0.data["withheld"] } == [["tax_number"], nil, ["tax_number"], ["tax_number"]], "\(about)")
      #expect(about.allSatisfy { $0.data["before"]?["tax_number"] == nil && $0.data["after"]?["tax_number"] == nil }, "\(about)")
      #expect(about.map { $0.data["after"]?["note"]?.string } == [nil, "bir", "iki", nil] && about.first?.data["after"]?["name"] == "Numaralı Kişi")
      #expect(told.filter { $0.recordID == plain }.allSatisfy { $0.data["withheld"] == nil && $0.data["after"]?["name"] == "Numarasız Kişi" })
    }
    let history = try await server.send(.get, "/v1/customers/\(numbered)/history", as: "deniz").json()["data"]?.array ?? []
    #expect(history.last?["after"]?["tax_number"] == "10000000146", "\(history)")
  }

  @Test("the rows told are those of the change log, in its order, and lose nothing but sensitive values")
  func rows() async throws {
    let database = try await TestDatabase.clone()
    try await DemoCompany.found(in: database.app)
    let app = Database(pool: database.app)
    try await SampleSales.sell(in: app)
    let differing = try await app.read(
      as: .system("test"), deadline: .after(.seconds(60)),
      """
      SELECT c.relation FROM (SELECT *, row_number() OVER () AS place FROM crm.changes_after('0'::xid8, 0, 100000)) AS c
      FULL JOIN (SELECT *, row_number() OVER () AS place FROM crm.changes_told_after('0'::xid8, 0, 100000)) AS t USING (xid, seq)
      WHERE c.place IS DISTINCT FROM t.place OR c.row_id IS DISTINCT FROM t.row_id OR c.op IS DISTINCT FROM t.op OR c.audience IS DISTINCT FROM t.audience
        OR (c.before - coalesce(t.withheld, '{}')) IS DISTINCT FROM t.before OR (c.after - coalesce(t.withheld, '{}')) IS DISTINCT FROM t.after
        OR t.withheld IS NOT NULL AND NOT EXISTS (SELECT FROM crm.sensitive_fields() AS s WHERE s.resource = t.relation AND t.withheld <@ s.fields)
        OR EXISTS (SELECT FROM crm.sensitive_fields() AS s, unnest(s.fields) AS f WHERE s.resource = t.relation AND coalesce(t.before ->> f, t.after ->> f) IS NOT NULL)
      """)
    #expect(try differing.rows.map { try $0.decode(String.self, at: 0) } == [])
  }
}
