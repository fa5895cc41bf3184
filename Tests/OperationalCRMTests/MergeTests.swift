import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

/// One after the other: merges wait for each other, and give up after two seconds.
@Suite("Merging", .serialized)
struct MergeTests {
  private func customer(_ sales: SalesFixture, _ name: String, _ fields: [String: JSON] = [:]) async throws -> JSON {
    try await sales.done(.post, "/v1/customers", json: .object(["kind": "organisation", "name": .string(name)].merging(fields) { $1 }))
  }

  /// A customer with something of everything that can belong to one.
  private func busyCustomer(_ sales: SalesFixture, _ name: String, _ fields: [String: JSON] = [:], parent: String? = nil) async throws -> JSON {
    let customer = try await customer(sales, name, fields)
    let id = JSON.string(customer.id)
    let contact = try await sales.done(.post, "/v1/contacts", json: ["customer_id": id, "name": "Kişi"])
    for kind in [("phone", "+905321112233"), ("email", "ortak@ornek.example")] {
      _ = try await sales.done(
        .post, "/v1/contact_points", json: ["customer_id": id, "kind": .string(kind.0), "value": .string(kind.1), "label": .string(name)])
    }
    _ = try await sales.done(
      .post, "/v1/contact_points", json: ["customer_id": id, "contact_id": .string(contact.id), "kind": "phone", "value": "+905321112233"])
    _ = try await sales.done(.post, "/v1/addresses", json: ["customer_id": id, "contact_id": .string(contact.id), "city": "Isparta"])
    let order = try await sales.done(.post, "/v1/orders", json: ["customer_id": id, "channel": "field"])
    _ = try await sales.done(
      .post, "/v1/order_lines",
      json: [
        "customer_id": id, "order_id": .string(order.id), "line_number": 1, "product_id": .string(sales.product), "quantity": "2", "amount": "20.50",
      ])
    let opportunity = try await sales.done(
      .post, "/v1/opportunities", json: ["customer_id": id, "name": "Kahve", "contact_id": .string(contact.id)])
    _ = try await sales.done(
      .post, "/v1/opportunity_lines",
      json: [
        "customer_id": id, "opportunity_id": .string(opportunity.id), "line_number": 1, "product_id": .string(sales.product), "quantity": "1",
        "unit_price": "5",
      ])
    _ = try await sales.done(
      .post, "/v1/activities",
      json: [
        "kind": "note", "subject": "Görüştük", "customer_id": id, "contact_id": .string(contact.id), "contact_ids": [.string(contact.id)],
        "opportunity_id": .string(opportunity.id),
      ])
    let lead = try await sales.done(.post, "/v1/leads", json: ["company_name": .string("Aday \(name)"), "force_duplicate": true])
    _ = try await sales.done(.post, "/v1/leads/\(lead.id)/convert", json: ["customer_id": id, "opportunity": false])
    return customer
  }

  @Test("merging moves everything to the survivor, and parting puts every row of every table back, byte for byte")
  func exactly() async throws {
    let sales = try await SalesFixture(server: try await TestServer.start())
    let survivor = try await busyCustomer(sales, "Yıldız Tekstil", ["profile": ["size": "M"]])
    let merged = try await busyCustomer(
      sales, "YILDIZ TEKSTİL A.Ş.",
      [
        "tax_number": "1234567890", "website": "https://yildiz.example", "visibility": "department", "profile": ["size": "L", "age": 9],
        "parent_id": .string(survivor.id),
      ])
    _ = try await sales.done(.patch, "/v1/customers/\(survivor.id)", json: ["parent_id": .string(merged.id)])
    _ = try await sales.server.database.admin.execute(
      [
        "INSERT INTO crm.external_id (relation, system, key, row_id, area) SELECT 'customers', 'sap', 'K-17', id, 'customers' FROM crm.customer WHERE name = 'YILDIZ TEKSTİL A.Ş.'"
      ],
      context: .init(readOnly: false), deadline: .after(.seconds(60)))

    let before = try await sales.allRows()
    let dry = try await sales.send(
      .post, "/v1/customers/\(survivor.id)/merge", json: ["merged_id": .string(merged.id)], headers: ["prefer": "tx=rollback"])
    #expect(dry.status == 201, "\(dry.text)")
    #expect(try await sales.allRows() == before)

    let merge = try await sales.done(
      .post, "/v1/customers/\(survivor.id)/merge", json: ["merged_id": .string(merged.id), "take": ["name"], "reason": "Aynı firma"])
    #expect(merge["survivor_id"] == .string(survivor.id) && merge["merged_name"] == "YILDIZ TEKSTİL A.Ş.", "\(merge)")
    #expect(merge["taken"] == ["name", "profile", "tax_number", "website"], "\(merge)")
    let one = try await sales.get("/v1/customers/\(survivor.id)?expand=contacts,contact_points,orders,addresses")
    #expect(one["name"] == "YILDIZ TEKSTİL A.Ş." && one["tax_number"] == "1234567890" && one["parent_id"] == .null && one["visibility"] == "company", "\(one)")
    #expect(one["profile"] == ["size": "M", "age": 9])
    #expect(one["contacts"]?.array?.count == 2 && one["orders"]?.array?.count == 2 && one["addresses"]?.array?.count == 2)
    // The telephone number and the address that both had are there once.
    #expect(one["contact_points"]?.array?.count { $0["contact_id"] == .null } == 2, "\(one["contact_points"] ?? .null)")
    for path in ["opportunities", "activities", "leads", "order_lines", "opportunity_lines"] {
      #expect(try await sales.get("/v1/\(path)?customer_id=eq.\(survivor.id)")["data"]?.array?.count == 2, "\(path)")
      #expect(try await sales.get("/v1/\(path)?customer_id=eq.\(merged.id)")["data"] == [], "\(path)")
    }
    // Parts take the survivor's audience; the change log names what happened.
    #expect(try await sales.send(.get, "/v1/contacts?customer_id=eq.\(survivor.id)", as: "zeynep").json()["data"]?.array?.count == 2)
    let history = try await sales.get("/v1/customers/\(merged.id)/history", as: "deniz")["data"]?.array
    #expect(history?.first?["op"] == "delete", "\(history ?? [])")
    let external = try await sales.send(.put, "/v1/customers/external/sap/K-17", json: ["kind": "organisation", "name": "YILDIZ TEKSTİL A.Ş."])
    #expect(try external.status == 200 && external.json()["id"] == .string(survivor.id), "\(external.text)")
    _ = try await sales.done(.post, "/v1/merges/\(merge.id)/unmerge")

    // All but the row that the upsert touched.
    var after = try await sales.allRows()
    var expected = before
    let changed = expected.keys.filter { expected[$0] != after[$0] }
    #expect(changed.allSatisfy { $0 == "crm.customer" }, "\(changed)")
    expected["crm.customer"] = nil
    after["crm.customer"] = nil
    #expect(after == expected)
    #expect(try await sales.send(.post, "/v1/merges/\(merge.id)/unmerge").problem == "unmerged")

    // And once more with nothing in between.
    let again = try await sales.allRows()
    let second = try await sales.done(.post, "/v1/customers/\(survivor.id)/merge", json: ["merged_id": .string(merged.id), "take": ["name", "kind"]])
    #expect(try await sales.allRows() != again)
    _ = try await sales.done(.post, "/v1/merges/\(second.id)/unmerge")
    let parted = try await sales.allRows()
    for (relation, rows) in again where parted[relation] != rows { Issue.record("\(relation):\n\(rows)\nis now\n\(parted[relation] ?? "")") }
  }

  @Test("where a merged customer stood goes with it and comes back with it; what runs found stays with the runs")
  func standings() async throws {
    let sales = try await SalesFixture(server: try await TestServer.start())
    let (survivor, merged) = (try await customer(sales, "Duran Bir"), try await customer(sales, "Duran İki"))
    func count(_ table: String) async throws -> Int {
      let rows = try await sales.allRows()["crm.\(table)"] ?? ""
      return rows.isEmpty ? 0 : rows.split(separator: "\n").count
    }
    _ = try await sales.server.database.admin.execute(
      [
        "INSERT INTO crm.analysis_run (kind, method, as_of) VALUES ('merged', 'test', now())",
        """
        INSERT INTO crm.customer_value (run_id, customer_id, score, rank, tier, raw, normalised, contribution, orders, revenue, margin, cost)
        SELECT r.id, c.id, 100.0 / 3, 1, 'a', '{0.1,NULL}', '{0.3,0}', '{1e-9,0}', 1, 1, 1, 1 FROM crm.analysis_run r, crm.customer c WHERE r.kind = 'merged' AND c.name LIKE 'Duran%'
        """,
        """
        INSERT INTO crm.customer_rfm (run_id, customer_id, last_purchase_at, recency_days, orders, revenue, currency, recency_score, frequency_score, monetary_score, cell, rfm_group)
        SELECT r.id, c.id, now(), 1, 1, 1, 'TRY', 1, 1, 1, 111, 'lost' FROM crm.analysis_run r, crm.customer c WHERE r.kind = 'merged' AND c.name LIKE 'Duran%'
        """,
        """
        INSERT INTO crm.customer_standing (customer_id, model_id, run_id, score, rank, tier, since, as_of)
        SELECT c.id, m.id, r.id, 100.0 / 3, 1, 'a', now(), now() FROM crm.analysis_run r, crm.value_model m, crm.customer c WHERE r.kind = 'merged' AND c.name LIKE 'Duran%'
        """,
        """
        INSERT INTO crm.customer_tier_history (customer_id, model_id, valid_from, tier, score, run_id)
        SELECT s.customer_id, s.model_id, now() + make_interval(secs => row_number() OVER ()), s.tier, s.score, s.run_id FROM crm.customer_standing s
        """,
      ], context: .init(readOnly: false), deadline: .after(.seconds(60)))
    let before = try await sales.allRows()
    let standings = try await count("customer_standing")
    #expect(standings >= 2)

    let merge = try await sales.done(.post, "/v1/customers/\(survivor.id)/merge", json: ["merged_id": .string(merged.id)])
    #expect(try await count("customer_standing") == standings / 2)
    #expect(try await count("customer_tier_history") == standings / 2)
    let after = try await sales.allRows()
    #expect(after["crm.customer_standing"]?.contains(merged.id) == false && after["crm.customer_tier_history"]?.contains(merged.id) == false)
    for table in ["crm.customer_value", "crm.customer_rfm"] { #expect(after[table] == before[table]) }

    _ = try await sales.done(.post, "/v1/merges/\(merge.id)/unmerge")
    let parted = try await sales.allRows()
    for (relation, rows) in before where parted[relation] != rows { Issue.record("\(relation):\n\(rows)\nis now\n\(parted[relation] ?? "")") }
  }

  @Test("a merged id leads to the survivor, however often it was merged on")
  func redirection() async throws {
    let api = try await TestAPI.suite()
    func make(_ name: String) async throws -> String {
      try #require(try await api.send(.post, "/v1/customers", as: "ayse", json: ["kind": "person", "name": .string(name)]).json()["id"]?.string)
    }
    let (first, second, third) = (try await make("Birinci"), try await make("İkinci"), try await make("Üçüncü"))
    let one = try await api.send(.post, "/v1/customers/\(second)/merge", as: "ayse", json: ["merged_id": .string(first)])
    #expect(one.status == 201, "\(one.text)")
    #expect(try await api.send(.post, "/v1/customers/\(third)/merge", as: "ayse", json: ["merged_id": .string(second)]).status == 201)
    for id in [first, second] {
      let answer = try await api.send(.get, "/v1/customers/\(id)", as: "ayse")
      #expect(answer.status == 301 && answer.problem == "merged" && answer.headers["location"] == "/v1/customers/\(third)", "\(answer.text)")
      #expect(try answer.json()["survivor_id"] == .string(third))
      let change = try await api.send(.patch, "/v1/customers/\(id)", as: "ayse", json: ["note": "x"])
      #expect(change.status == 409 && change.problem == "merged", "\(change.text)")
    }
    let early = try await api.send(.post, "/v1/merges/\(try one.json()["id"]?.string ?? "")/unmerge", as: "ayse")
    #expect(early.status == 409 && early.problem == "merged-on", "\(early.text)")
    // Whoever may not read the survivor is told of nothing.
    _ = try await api.send(.patch, "/v1/customers/\(third)", as: "ayse", json: ["visibility": "private"])
    #expect(try await api.send(.get, "/v1/customers/\(first)", as: "zeynep").status == 404)
    #expect(try await api.send(.get, "/v1/customers/\(UUID.v7().lowercase)", as: "ayse").status == 404)
  }

  @Test("over HTTP a client that follows redirects reads the survivor")
  func followed() async throws {
    let sales = try await SalesFixture.suite()
    let (survivor, merged) = (try await customer(sales, "Kalan"), try await customer(sales, "Giden"))
    _ = try await sales.done(.post, "/v1/customers/\(survivor.id)/merge", json: ["merged_id": .string(merged.id)])
    #expect(try await sales.get("/v1/customers/\(merged.id)").id == survivor.id)
  }

  @Test("records with different identifiers are not merged, unless a person insists")
  func identifiers() async throws {
    let sales = try await SalesFixture.suite()
    let one = try await customer(sales, "Ege Un", ["tax_number": "1234567890"])
    let other = try await customer(sales, "Ege Un", ["tax_number": "10000000146"])
    let refused = try await sales.send(.post, "/v1/customers/\(one.id)/merge", json: ["merged_id": .string(other.id)])
    #expect(refused.status == 409 && refused.problem == "different-identifiers" && refused.text.contains("different_identifiers"), "\(refused.text)")
    let insisted = try await sales.done(
      .post, "/v1/customers/\(one.id)/merge", json: ["merged_id": .string(other.id), "different_identifiers": true, "reason": "Şahıs şirketi"])
    #expect(insisted["different_identifiers"] == true && insisted["reason"] == "Şahıs şirketi")
    #expect(try await sales.get("/v1/customers/\(one.id)")["tax_number"] == "1234567890")
  }

  @Test("a merge takes what is asked for, keeps empty what shall stay empty, and names wrong fields")
  func fields() async throws {
    let sales = try await SalesFixture.suite()
    let one = try await customer(sales, "Alan Bir", ["note": "ilk"])
    let other = try await customer(sales, "Alan İki", ["note": "ikinci", "website": "https://iki.example", "tax_office": "Konak"])
    for (body, pointer) in [
      (["merged_id": .string(one.id)], "/merged_id"), (["merged_id": .string(UUID.v7().lowercase)], "/merged_id"), ([:], "/merged_id"),
      (["merged_id": .string(other.id), "take": ["owner_id"]], "/take/0"), (["merged_id": .string(other.id), "keep": ["nme"]], "/keep/0"),
    ] as [([String: JSON], String)] {
      let answer = try await sales.send(.post, "/v1/customers/\(one.id)/merge", json: .object(body))
      #expect(answer.status == 422 && answer.text.contains("\"\(pointer)\""), "\(pointer): \(answer.text)")
    }
    _ = try await sales.done(
      .post, "/v1/customers/\(one.id)/merge", json: ["merged_id": .string(other.id), "take": ["note"], "keep": ["website"]])
    let merged = try await sales.get("/v1/customers/\(one.id)")
    #expect(merged["note"] == "ikinci" && merged["website"] == .null && merged["tax_office"] == "Konak" && merged["name"] == "Alan Bir", "\(merged)")
  }

  @Test("what was changed after a merge keeps its change when the two are parted")
  func changedSince() async throws {
    let sales = try await SalesFixture.suite()
    let one = try await customer(sales, "Sonra Bir")
    let other = try await customer(sales, "Sonra İki", ["website": "https://sonra.example", "tax_office": "Konak"])
    let contact = try await sales.done(.post, "/v1/contacts", json: ["customer_id": .string(other.id), "name": "Taşınan"])
    let merge = try await sales.done(.post, "/v1/customers/\(one.id)/merge", json: ["merged_id": .string(other.id)])
    _ = try await sales.done(.patch, "/v1/contacts/\(contact.id)", json: ["job_title": "Müdür"])
    _ = try await sales.done(.patch, "/v1/customers/\(one.id)", json: ["website": "https://yeni.example"])
    let added = try await sales.done(.post, "/v1/contacts", json: ["customer_id": .string(one.id), "name": "Yeni"])
    _ = try await sales.done(.post, "/v1/merges/\(merge.id)/unmerge")
    let moved = try await sales.get("/v1/contacts/\(contact.id)")
    #expect(moved["customer_id"] == .string(other.id) && moved["job_title"] == "Müdür" && moved["version"] == 4, "\(moved)")
    let survivor = try await sales.get("/v1/customers/\(one.id)")
    #expect(survivor["website"] == "https://yeni.example" && survivor["tax_office"] == .null, "\(survivor)")
    #expect(try await sales.get("/v1/customers/\(other.id)")["website"] == "https://sonra.example")
    #expect(try await sales.get("/v1/contacts/\(added.id)")["customer_id"] == .string(one.id))
  }

  @Test("contacts merge at one customer, leads unless the merged one is a customer, and each is parted again")
  func contactsAndLeads() async throws {
    let sales = try await SalesFixture.suite()
    let (here, there) = (try await customer(sales, "Burada"), try await customer(sales, "Orada"))
    var contacts: [String] = []
    for place in [here, here, there] {
      contacts.append(try await sales.done(.post, "/v1/contacts", json: ["customer_id": .string(place.id), "name": "Aynı Kişi"]).id)
    }
    let meeting = try await sales.done(
      .post, "/v1/activities",
      json: [
        "kind": "note", "subject": "İkisi de vardı", "customer_id": .string(here.id), "contact_ids": [.string(contacts[0]), .string(contacts[1])],
      ])
    let apart = try await sales.send(.post, "/v1/contacts/\(contacts[0])/merge", json: ["merged_id": .string(contacts[2])])
    #expect(apart.status == 409 && apart.problem == "different-customers", "\(apart.text)")
    let merge = try await sales.done(.post, "/v1/contacts/\(contacts[0])/merge", json: ["merged_id": .string(contacts[1])])
    #expect(try await sales.get("/v1/activities/\(meeting.id)?expand=participants")["participants"]?.array?.count { $0["contact_id"] != .null } == 1)
    _ = try await sales.done(.post, "/v1/merges/\(merge.id)/unmerge")
    #expect(try await sales.get("/v1/activities/\(meeting.id)?expand=participants")["participants"]?.array?.count { $0["contact_id"] != .null } == 2)

    let lead = try await sales.done(.post, "/v1/leads", json: ["company_name": "Çifte Aday"])
    let twin = try await sales.done(.post, "/v1/leads", json: ["company_name": "ÇİFTE ADAY LTD", "phone": "0532 444 55 66", "force_duplicate": true])
    _ = try await sales.done(.post, "/v1/leads/\(twin.id)/convert", json: ["force_duplicate": true])
    let converted = try await sales.send(.post, "/v1/leads/\(lead.id)/merge", json: ["merged_id": .string(twin.id)])
    #expect(converted.status == 409 && converted.problem == "lead-converted", "\(converted.text)")
    let merged = try await sales.done(.post, "/v1/leads/\(twin.id)/merge", json: ["merged_id": .string(lead.id)])
    #expect(try await sales.get("/v1/leads/\(lead.id)").id == twin.id)
    #expect(try await sales.get("/v1/lead_assignments?lead_id=eq.\(twin.id)")["data"]?.array?.count == 2)
    _ = try await sales.done(.post, "/v1/merges/\(merged.id)/unmerge")
    #expect(try await sales.get("/v1/leads/\(lead.id)")["company_name"] == "Çifte Aday")
  }

  @Test("a contact named in a sent quote is merged, and the quote stays sealed")
  func sentQuote() async throws {
    let sales = try await SalesFixture.suite()
    let desk = QuoteDesk(server: sales.server)
    var contacts: [String] = []
    for _ in 0..<2 { contacts.append(try await sales.done(.post, "/v1/contacts", json: ["customer_id": .string(sales.customer), "name": "Teklif Sahibi"]).id) }
    let quote = try await desk.draft(as: "ayse", customer: sales.customer, ["contact_id": .string(contacts[1])])
    _ = try await desk.sent(quote, as: "ayse")
    let seal = try await desk.behind("SELECT q.sealed_digest FROM crm.quote AS q WHERE q.id = \(quote)::uuid")[0].decode(String.self, at: 0)
    let merge = try await sales.done(.post, "/v1/contacts/\(contacts[0])/merge", json: ["merged_id": .string(contacts[1])])
    #expect(try await desk.quote(quote)["contact_id"] == .string(contacts[0]))
    _ = try await sales.done(.post, "/v1/merges/\(merge.id)/unmerge")
    #expect(try await desk.quote(quote)["contact_id"] == .string(contacts[1]))
    let after = try await desk.behind(
      "SELECT s.digest FROM crm.quote_seal AS s JOIN crm.quote AS q ON q.customer_id = s.customer_id AND q.id = s.quote_id WHERE q.id = \(quote)::uuid AND q.sealed_digest = s.digest"
    )
    #expect(try after[0].decode(String.self, at: 0) == seal)
  }

  @Test("only who may change both records merges and parts them")
  func rights() async throws {
    let sales = try await SalesFixture.suite()
    let (one, other) = (try await customer(sales, "Hak Bir"), try await customer(sales, "Hak İki"))
    let body: JSON = ["merged_id": .string(other.id)]
    #expect(try await sales.send(.post, "/v1/customers/\(one.id)/merge", as: "elif", json: body).status == 403)
    // Mehmet changes only what is his.
    #expect(try await sales.send(.post, "/v1/customers/\(one.id)/merge", as: "mehmet", json: body).status == 403)
    #expect(try await sales.send(.post, "/v1/customers/\(UUID.v7().lowercase)/merge", json: body).status == 404)
    let hidden = try await customer(sales, "Hak Gizli", ["visibility": "private"])
    let unseen = try await sales.send(.post, "/v1/customers/\(one.id)/merge", as: "gul", json: ["merged_id": .string(hidden.id)])
    #expect(unseen.status == 422 && unseen.text.contains("not-found"), "\(unseen.text)")
    let merge = try await sales.done(.post, "/v1/customers/\(one.id)/merge", json: body)
    #expect(try await sales.send(.post, "/v1/merges/\(merge.id)/unmerge", as: "mehmet").status == 403)
    #expect(try await sales.send(.post, "/v1/merges/\(UUID.v7().lowercase)/unmerge").status == 404)
    #expect(try await sales.send(.get, "/v1/customers/\(one.id)").status == 200)
  }
}
