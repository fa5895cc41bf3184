import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

/// What a search finds by an index is what looking at every row finds, for everybody, and page by page.
@Suite("Search by an index")
struct SearchByIndexTests {
  /// 2,400 customers, half of them Mehmet, some with tax numbers, of four visibilities and owners; a contact each.
  private func company() async throws -> TestAPI {
    let api = try await TestAPI.start()
    try await api.behind(
      """
      INSERT INTO crm.customer (kind, name, tax_number, department_id, owner_id, visibility)
      SELECT CASE WHEN i % 2 = 0 THEN 'person' ELSE 'organisation' END,
             (ARRAY['Mehmet', 'Şükrü', 'Çiğdem %50', 'Ilgaz_A'])[1 + (i % 8 / 2) * (i % 2)] || ' ' || md5(i::text) || CASE WHEN i % 97 = 0 THEN ' \\ Öz' ELSE '' END,
             CASE i WHEN 3 THEN '9960308245' WHEN 5 THEN '4561237896' END, d.id, u.id, (ARRAY['private', 'department', 'company'])[1 + i % 3]
        FROM generate_series(1, 2400) AS i
        CROSS JOIN LATERAL (SELECT u.id, u.department_id FROM crm.app_user AS u ORDER BY u.email OFFSET i % 5 LIMIT 1) AS u
        JOIN crm.department AS d ON d.id = u.department_id
      """)
    try await api.behind(
      "INSERT INTO crm.contact (customer_id, name) SELECT c.id, 'Kişi ' || substr(c.name, 1, 3) || right(md5(c.id::text), 4) FROM crm.customer AS c")
    return api
  }

  private func ids(_ api: TestAPI, _ resource: String, _ query: [String: JSON], as person: String) async throws -> [String] {
    var ids: [String] = []
    var query = query
    while true {
      let page = try await api.send(.post, "/v1/\(resource)/query", as: person, json: .object(query))
      try #require(page.status == 200, "\(page.text)")
      ids += try page.rows().compactMap { $0["id"]?.string }
      guard let next = try page.json()["next_cursor"]?.string else { return ids }
      query["cursor"] = .string(next)
    }
  }

  @Test func `what the index finds is what looking at every row finds`() async throws {
    let api = try await company()
    var generator = SystemRandomNumberGenerator()
    let names = try await api.behind("SELECT c.search_key FROM crm.customer AS c ORDER BY md5(c.id::text) LIMIT 12").rows.map {
      try $0.decode(String.self, at: 0)
    }
    let parts = names.map { name in
      let start = Int.random(in: 0..<(name.count - 6), using: &generator)
      return String(name.dropFirst(start).prefix(Int.random(in: 3...6, using: &generator))).trimmingCharacters(in: .whitespaces)
    }
    let terms = parts + ["mehmet", "şükrü", "%50", "gaz_a", "\\ öz", "99603", "4561237896", "me", "8", "ÇİĞ", "yok böyle biri"]
    for term in terms {
      func contains(_ field: String) -> JSON { [field: ["contains": .string(term)]] }
      for person in ["deniz", "ayse", "elif"] {
        let shape: [String: JSON] = ["order": ["-id"], "limit": 300, "select": ["id"]]
        for (resource, fields) in [("customers", ["name", "tax_number"]), ("contacts", ["name", "customer.name"])] {
          let searched = try await ids(api, resource, shape.merging(["search": .string(term)]) { $1 }, as: person)
          let looked = try await ids(api, resource, shape.merging(["filter": ["or": .array(fields.map(contains))]]) { $1 }, as: person)
          #expect(searched == looked, "\(term) in \(resource) for \(person)")
          let counted = try await api.send(.get, "/v1/\(resource)", ["search": term, "count": "exact", "limit": "1"], as: person).json()["count"]
          #expect(counted == .number(Decimal(looked.count)), "\(term) in \(resource) for \(person)")
        }
      }
    }
  }

  @Test func `what more than a thousand have in common, or is too short, is looked for row by row`() async throws {
    let api = try await company()
    for (term, byIndex) in [("mehmet", false), ("me", false), ("", false), ("9960308245", true), ("yok böyle biri", true), ("%", false), ("%50", true)] {
      let found = try await api.behind("SELECT crm.search_customer(\(term)) IS NOT NULL")[0].decode(Bool.self, at: 0)
      #expect(found == byIndex, "\(term)")
    }
  }

  @Test func `the index is used, also after many other terms`() async throws {
    let api = try await company()
    try await api.behind("ANALYZE crm.customer")
    func scans() async throws -> (index: Int, table: Int) {
      let row = try await api.behind(
        """
        SELECT (SELECT i.idx_scan FROM pg_stat_user_indexes AS i WHERE i.indexrelname = 'customer_search_key_trigrams') AS found,
               (SELECT t.seq_scan FROM pg_stat_user_tables AS t WHERE t.relid = 'crm.customer'::regclass) AS walked
        """)[0]
      return (try row.decode("found"), try row.decode("walked"))
    }
    _ = try await api.behind("SELECT pg_stat_force_next_flush()")
    let before = try await scans()
    for number in 0..<20 { _ = try await api.behind("SELECT crm.search_customer(\("aa\(number)")), pg_stat_force_next_flush()") }
    let after = try await scans()
    #expect(after.index >= before.index + 20 && after.table == before.table, "\(before), \(after)")
  }
}
