import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

/// One after the other, because each counts what is new in the feed of the database that they share.
@Suite("Histories and changes over the API", .serialized)
struct ChangesEndpointTests {
  /// All changes after a cursor, and the cursor at the end. The feed stays behind every transaction of the server, of other tests' databases
  /// too, so it may take a while until the `expected` number is there.
  private func changes(
    _ api: TestAPI, after: String?, as person: String = "deniz", limit: Int = 100, resource: String? = nil, expected: Int = 0
  ) async throws -> (rows: [JSON], end: String) {
    var rows: [JSON] = []
    var cursor = after
    let patience = Deadline.after(.seconds(300))
    while true {
      var query = [(name: "limit", value: "\(limit)")]
      if let cursor { query.append((name: "after", value: cursor)) }
      if let resource { query.append((name: "resource", value: resource)) }
      let answer = try await api.send(.get, "/v1/changes", query, as: person, body: nil)
      try #require(answer.status == 200, "\(answer.text)")
      let page = try answer.rows()
      rows += page
      let next = try #require(try answer.json()["next_cursor"]?.string, "the feed always has a cursor")
      cursor = next
      if page.isEmpty, rows.count >= expected || patience.hasPassed { return (rows, next) }
      if page.isEmpty { try await Task.sleep(for: .milliseconds(20)) }
    }
  }

  /// The end of the feed once everything that was committed is in it.
  private func end(_ api: TestAPI, as person: String = "deniz") async throws -> String {
    let patience = Deadline.after(.seconds(300))
    let last = try await api.behind("SELECT coalesce(max(xid), '0')::text FROM crm.change")[0].decode(String.self, at: 0)
    while try await api.behind("SELECT \(last)::xid8 < pg_snapshot_xmin(pg_current_snapshot())")[0].decode(Bool.self, at: 0) == false, !patience.hasPassed {
      try await Task.sleep(for: .milliseconds(20))
    }
    return try await changes(api, after: nil, as: person, limit: 1000).end
  }

  @Test("every change is told once, in its order, with before and after, deletions included, and the cursor stays good at the end", arguments: [1, 3, 1000])
  func feed(limit: Int) async throws {
    let api = try await TestAPI.suite()
    let start = try await end(api)
    let (id, _) = try await WriteTests.customer(api, ["note": "a"])
    let contact = try #require(try await api.send(.post, "/v1/contacts", as: "ayse", json: ["customer_id": .string(id), "name": "Kişi"]).json()["id"]?.string)
    _ = try await api.send(.patch, "/v1/customers/\(id)", as: "ayse", json: ["note": "b", "website": "w"])
    let (first, middle) = try await changes(api, after: start, limit: limit, expected: 3)
    try #require(first.map { $0["op"] } == ["insert", "insert", "update"])
    #expect(try await changes(api, after: middle).end == middle)
    _ = try await api.send(.delete, "/v1/contacts/\(contact)", as: "ayse")
    let (second, end) = try await changes(api, after: middle, limit: limit, expected: 1)
    try #require(second.map { $0["op"] } == ["delete"] && end != middle)
    #expect(second[0]["id"]?.string == contact && second[0]["before"]?["name"] == "Kişi" && second[0]["after"] == .null && second[0]["resource"] == "contacts")
    #expect(first[0]["after"]?["note"] == "a" && first[0]["before"] == .null && first[0]["id"]?.string == id && first[0]["resource"] == "customers")
    #expect(first[2]["before"]?["note"] == "a" && first[2]["after"]?["note"] == "b")
    #expect(Set(first[2]["after"]?.object?.keys.map { $0 } ?? []) == ["note", "website", "version"])
    let ayse = try #require(try await api.caller("ayse").userID?.lowercase)
    for change in first + second {
      #expect(change["actor_id"]?.string == ayse && change["via"] == "api" && change["request_id"]?.string != nil && change["customer_id"]?.string == id)
    }
    #expect(try await changes(api, after: start, resource: "contacts", expected: 2).rows.map { $0["op"] } == ["insert", "delete"])
  }

  @Test("a caller is told of exactly the changes of rows they could see")
  func visibility() async throws {
    let api = try await TestAPI.suite()
    var ends: [String: String] = [:]
    for person in ["deniz", "ayse", "mehmet", "gul", "zeynep", "emre"] { ends[person] = try await end(api, as: person) }
    let (open, _) = try await WriteTests.customer(api)
    let (closed, _) = try await WriteTests.customer(api, ["visibility": "private"])
    let (departmental, _) = try await WriteTests.customer(api, ["visibility": "department"])
    _ = try await api.send(.post, "/v1/products", json: ["sku": "Z-1", "brand": "z", "name": "Ürün"])
    let counts = ["ayse": 4, "deniz": 3, "mehmet": 3, "gul": 2, "zeynep": 2, "emre": 1]
    var seen: [String: Set<String>] = [:]
    for (person, end) in ends {
      seen[person] = Set(
        try await changes(api, after: end, as: person, expected: counts[person] ?? 0).rows.compactMap {
          $0["resource"] == "products" ? "product" : $0["id"]?.string
        })
    }
    #expect(seen["ayse"] == [open, closed, departmental, "product"])
    #expect(seen["deniz"] == [open, departmental, "product"])
    #expect(seen["mehmet"] == [open, departmental, "product"])
    #expect(seen["gul"] == [open, "product"])
    #expect(seen["zeynep"] == [open, "product"])
    #expect(seen["emre"] == ["product"])
    #expect(try await changes(api, after: nil, as: "emre", limit: 1000).rows.allSatisfy { $0["resource"] != "customers" && $0["resource"] != "orders" })
  }

  @Test("nothing secret is ever in the log")
  func secrets() async throws {
    let api = try await TestAPI.suite()
    try await api.behind("UPDATE crm.app_user SET password_hash = 'scrypt$secret$hash', locale = 'en' WHERE email = 'ayse@carsi.example'")
    try await api.behind(
      "INSERT INTO crm.api_key (user_id, name, prefix, key_hash) SELECT id, 'k', 'p', sha256('topsecret') FROM crm.app_user WHERE email = 'ayse@carsi.example'")
    _ = try await end(api)
    let rows = try await changes(api, after: nil, limit: 1000).rows
    let user = try #require(rows.last { $0["resource"] == "users" && $0["op"] == "update" })
    #expect(Set(user["after"]?.object?.keys.map { $0 } ?? []) == ["locale", "version"])
    for row in rows {
      let text = String(decoding: try row.encoded(), as: UTF8.self)
      #expect(!text.contains("password_hash") && !text.contains("key_hash") && !text.contains("scrypt$"))
    }
  }

  @Test("a change that is not committed yet holds the feed back behind it, and is never skipped")
  func horizon() async throws {
    let api = try await TestAPI.suite()
    let start = try await end(api)
    let (isOpen, opened) = AsyncStream<Void>.makeStream()
    let (mayEnd, end) = AsyncStream<Void>.makeStream()
    let caller = try await api.caller("ayse")
    let slow = Task {
      try await Database(pool: api.database.app).transaction(as: caller) { tx in
        try await tx.run(
          "UPDATE crm.customer SET note = 'yavaş' WHERE id = (SELECT id FROM crm.customer WHERE visibility = 'company' AND department_id = \(caller.departmentID) LIMIT 1)"
        )
        opened.yield()
        for await _ in mayEnd { break }
      }
    }
    for await _ in isOpen { break }
    let (quick, _) = try await WriteTests.customer(api)
    let (early, middle) = try await changes(api, after: start)
    #expect(early.isEmpty, "a later change overtook one that is still open")
    end.yield()
    try await slow.value
    let late = try await changes(api, after: middle, expected: 2).rows
    #expect(late.map { $0["op"] } == ["update", "insert"] && late.last?["id"]?.string == quick)
  }

  @Test("the history of a record tells its changes newest first, in pages, to who may see it")
  func history() async throws {
    let api = try await TestAPI.suite()
    let (id, _) = try await WriteTests.customer(api)
    for number in 1...5 { _ = try await api.send(.patch, "/v1/customers/\(id)", as: "ayse", json: ["note": .string("\(number)")]) }
    var rows: [JSON] = []
    var cursor: String?
    repeat {
      let answer = try await api.send(
        .get, "/v1/customers/\(id)/history", [(name: "limit", value: "2")] + (cursor.map { [(name: "cursor", value: $0)] } ?? []), as: "zeynep", body: nil)
      try #require(answer.status == 200, "\(answer.text)")
      rows += try answer.rows()
      cursor = try answer.json()["next_cursor"]?.string
    } while cursor != nil
    #expect(rows.map { $0["after"]?["note"]?.string } == ["5", "4", "3", "2", "1", nil])
    #expect(rows.last?["op"] == "insert" && rows.allSatisfy { $0["id"]?.string == id && $0["resource"] == "customers" })
    let (hidden, _) = try await WriteTests.customer(api, ["visibility": "private"])
    #expect(try await api.send(.get, "/v1/customers/\(hidden)/history", as: "zeynep").status == 404)
    #expect(try await api.send(.get, "/v1/customers/\(hidden)/history", as: "ayse").status == 200)
    #expect(try await api.send(.get, "/v1/contacts/\(id)/history", as: "ayse").status == 404)
  }

  @Test("rows that an import inserted have a history and are told one by one", arguments: [2, 1000])
  func imported(limit: Int) async throws {
    let api = try await TestAPI.suite()
    let start = try await end(api)
    let (customer, _) = try await WriteTests.customer(api)
    try await api.database.app.transaction(
      context: .init(
        settings: [
          .init("muhatap.caller", ""), .init("muhatap.via", "import:1"), .init("muhatap.read_customers", "*"), .init("muhatap.write_customers", "*"),
        ], readOnly: false), deadline: .after(.seconds(60))
    ) { tx in
      try await tx.run("INSERT INTO crm.contact (customer_id, name) SELECT \(customer)::uuid, 'Aktarılan ' || i FROM generate_series(1, 5) i")
    }
    let rows = try await changes(api, after: start, limit: limit, expected: 6).rows
    try #require(rows.count == 6)
    let contacts = try await api.send(.get, "/v1/contacts", ["customer_id": "eq.\(customer)"]).rows().compactMap { $0["id"]?.string }
    #expect(contacts.count == 5 && Set(rows.dropFirst().compactMap { $0["id"]?.string }) == Set(contacts))
    #expect(rows.dropFirst().allSatisfy { $0["via"] == "import:1" && $0["op"] == "insert" && $0["after"] == .null })
    for contact in contacts {
      let history = try await api.send(.get, "/v1/contacts/\(contact)/history")
      #expect(history.status == 200, "\(history.text)")
      #expect(try history.rows().map { $0["id"]?.string } == [contact])
    }
  }

  @Test("cursors of the feed and of histories open nothing else, and parameters are known by name")
  func refusals() async throws {
    let api = try await TestAPI.suite()
    let (id, _) = try await WriteTests.customer(api)
    _ = try await api.send(.patch, "/v1/customers/\(id)", as: "ayse", json: ["note": "x"])
    let feed = try #require(try await api.send(.get, "/v1/changes", ["limit": "1"]).json()["next_cursor"]?.string)
    let history = try #require(try await api.send(.get, "/v1/customers/\(id)/history", ["limit": "1"]).json()["next_cursor"]?.string)
    #expect(try await api.send(.get, "/v1/customers/\(id)/history", ["cursor": feed]).status == 400)
    #expect(try await api.send(.get, "/v1/changes", ["after": history]).status == 400)
    for (name, value) in [("after", "x"), ("limit", "0"), ("resource", "custmers"), ("order", "at"), ("after", "")] {
      let answer = try await api.send(.get, "/v1/changes", [name: value])
      #expect(answer.status == 400, "\(name)=\(value)")
      if name == "resource" { #expect(answer.text.contains("customers")) }
    }
  }
}
