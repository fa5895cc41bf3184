import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

/// Erasing and exporting, held against the catalogue: a row about one person in every table that can have one, a marker in every personal column.
@Suite("Erasing persons")
struct ErasureTests {
  private struct Planted {
    let fixture: PrivacyFixture
    let root: String
    let id: String
    /// `table.column` to its marker, as far as tables are reached from the person.
    let markers: [String: String]
    var person: [String: JSON] {
      get async throws {
        if root == "contact" {
          let customer = try await fixture.sql("SELECT customer_id FROM crm.contact WHERE id = \(UUID(uuidString: id))")[0].decode(UUID.self, at: 0)
          return ["customer_id": .string(customer.uuidString.lowercased()), "contact_id": .string(id)]
        }
        return ["\(root)_id": .string(id)]
      }
    }
  }

  private func planted(_ root: String) async throws -> Planted {
    let api = try await TestAPI.start()
    let f = PrivacyFixture(api: api)
    try await api.database.load("sql/tests/planted_markers.sql")
    let id: String
    switch root {
    case "customer":
      id = try await f.person("MARK.crm.customer.name.", number: "10000000146")
    case "contact":
      let organisation = try await f.sql("SELECT id FROM crm.customer WHERE kind = 'organisation' LIMIT 1")[0].decode(UUID.self, "id")
      let made = try await api.send(
        .post, "/v1/contacts", json: ["customer_id": .string(organisation.uuidString.lowercased()), "name": "MARK.crm.contact.name."])
      id = try #require(try made.json()["id"]?.string, "\(made.text)")
    default:
      let made = try await api.send(
        .post, "/v1/leads", json: ["name": "MARK.crm.lead.name.", "source": "web", "department_id": .string(try await f.department())])
      id = try #require(try made.json()["id"]?.string, "\(made.text)")
    }
    try await f.sql("SELECT plant.person(\(root), \(UUID(uuidString: id)))")
    let rows = try await f.sql("SELECT relation || '.' || column_name AS name, marker FROM plant.marker").rows
    let markers = try rows.map { (try $0.decode(String.self, "name"), try $0.decode(String.self, "marker")) }
    return Planted(
      fixture: f, root: root, id: id,
      markers: Dictionary(markers + [("crm.\(root).name", "MARK.crm.\(root).name.")], uniquingKeysWith: { first, _ in first }))
  }

  @Test("the export has every personal column of every table that leads to the person", arguments: ["customer", "contact", "lead"])
  func export(_ root: String) async throws {
    let p = try await planted(root)
    // Every table with personal data of customers is reached, or its texts are searched when somebody is erased.
    #expect(p.markers.count > (root == "customer" ? 60 : 15))
    let request = try await p.fixture.request("export")
    #expect(try await p.fixture.identify(request, p.person).status == 200)
    for format in ["json", "csv"] {
      let answer = try await p.fixture.api.send(.get, "/v1/privacy_requests/\(request)/export", [(name: "format", value: format)], body: nil)
      #expect(answer.status == 200, "\(answer.text.prefix(500))")
      let missing = p.markers.filter { !answer.text.contains($0.value) }.keys.sorted()
      #expect(missing == [], "\(format) lacks them")
      #expect(!answer.text.contains("link_hash"))
      if format == "json" { #expect(try answer.json()["tables"]?.array?.isEmpty == false) }
    }
  }

  @Test("after the erasure a dump of the database has no trace outside of what the plan keeps", arguments: ["customer", "contact", "lead"])
  func dump(_ root: String) async throws {
    let p = try await planted(root)
    let f = p.fixture
    try await f.sql("UPDATE crm.legal_hold SET released_at = now()")
    if root == "customer" {
      try await f.sql(
        """
        INSERT INTO crm.idempotency_key (user_id, key, method, path, fingerprint, response)
        SELECT id, 'k', 'POST', '/v1/customers', sha256('x'), convert_to('{"tax_number":"10000000146"}', 'UTF8') FROM crm.app_user LIMIT 1
        """)
      try await f.sql("INSERT INTO crm.job (kind, payload) VALUES ('nobody.does', '{\"number\": \"10000000146\"}')")
    }
    let request = try await f.granted("erase", of: p.person)
    let plan = try await f.api.send(.get, "/v1/privacy_requests/\(request)/plan").rows()
    let kept = Set(plan.filter { $0["action"]?.string == "keep" }.compactMap { $0["table"]?.string })
    #expect(plan.filter { $0["action"]?.string == "keep" }.allSatisfy { $0["basis_en"]?.string?.isEmpty == false })
    #expect(try await f.dump().contains { $0.line.contains("MARK.crm.\(root).name.") })

    #expect(try await f.api.send(.post, "/v1/privacy_requests/\(request)/execute", json: [:]).status == 200)
    try await f.work("privacy.execute")
    let after = try await f.api.send(.get, "/v1/privacy_requests/\(request)").json()
    try #require(after["state"]?.string == "executed", "\(after["problem"]?.string ?? "")")

    let traces = try await f.dump().filter { $0.line.contains("MARK.") || $0.line.contains("10000000146") }
    #expect(Set(traces.map(\.table)).subtracting(kept) == [], "\(traces.filter { !kept.contains($0.table) }.prefix(3))")

    let certificate = try await f.api.send(.get, "/v1/erasure_certificates", ["request_id": "eq.\(request)"]).rows()
    #expect(certificate.count == 1 && certificate[0]["erased_by"]?.string != nil)
    #expect(
      try await f.sql(
        """
        SELECT bool_and(c.digest = crm.certificate_digest(c.id, c.request_id, c.root, c.subject_id, c.erased_at, c.erased_by, c.counts, c.kept, c.sums, c.previous)) AS ok
        FROM crm.erasure_certificate c WHERE c.request_id = \(UUID(uuidString: request))
        """)[0].decode(Bool.self, "ok"))
  }

  @Test("a legal hold stops the erasure, and nothing of it was done")
  func hold() async throws {
    let f = PrivacyFixture(api: try await TestAPI.suite())
    let person = try await f.person("Dava Açan", email: "dava@posta.example")
    let made = try await f.api.send(.post, "/v1/legal_holds", json: ["customer_id": .string(person), "reason": "2026/12 E."])
    let hold = try #require(try made.json()["id"]?.string, "\(made.text)")
    let request = try await f.granted("erase", of: ["customer_id": .string(person)])
    #expect(try await f.api.send(.post, "/v1/privacy_requests/\(request)/execute", json: [:]).problem == "legal-hold")
    // It may also come between the order and the job.
    #expect(try await f.api.send(.patch, "/v1/legal_holds/\(hold)", json: ["released_at": "2026-12-01T00:00:00Z"]).status == 200)
    #expect(try await f.api.send(.post, "/v1/privacy_requests/\(request)/execute", json: [:]).status == 200)
    #expect(try await f.api.send(.patch, "/v1/legal_holds/\(hold)", json: ["released_at": .null]).status == 200)
    try await f.work("privacy.execute")
    let after = try await f.api.send(.get, "/v1/privacy_requests/\(request)").json()
    #expect(after["state"]?.string == "decided" && after["problem"]?.string?.contains("legal hold") == true)
    #expect(try await f.api.send(.get, "/v1/customers/\(person)").json()["name"]?.string == "Dava Açan")
  }

  @Test("an issued invoice and all sums stay as they were")
  func accounts() async throws {
    let f = PrivacyFixture(api: try await TestAPI.start())
    let person = try await f.sql(
      "SELECT c.id FROM crm.customer c JOIN crm.sales_order o ON o.customer_id = c.id GROUP BY c.id ORDER BY count(*) DESC, c.name DESC LIMIT 1")[0].decode(
        UUID.self, "id")
    try await f.sql("UPDATE crm.customer SET kind = 'person' WHERE id = \(person)")
    let name = try await f.sql("SELECT name FROM crm.customer WHERE id = \(person)")[0].decode(String.self, "name")
    func sums() async throws -> [String] {
      try await f.sql(
        """
        SELECT 'orders ' || count(*) || ' ' || sum(amount) AS line FROM crm.sales_order UNION ALL SELECT 'lines ' || count(*) || ' ' || sum(amount) FROM crm.sales_order_line
        UNION ALL SELECT 'invoices ' || count(*) || ' ' || coalesce(sum(total_amount), 0) FROM crm.invoice UNION ALL SELECT 'turnover ' || count(*) || ' ' || coalesce(sum(amount), 0) FROM crm.turnover
        """
      ).rows.map { try $0.decode(String.self, "line") }
    }
    let before = try await sums()
    try await f.erase(["customer_id": .string(person.uuidString.lowercased())])
    #expect(try await sums() == before)
    let shown = try await f.api.send(.get, "/v1/customers/\(person.uuidString.lowercased())").json()
    #expect(shown["name"]?.string?.hasPrefix("erased ") == true && shown["erased_at"]?.string != nil)
    // Others may have the name, or one that it is a part of.
    let found = try await f.api.send(.get, "/v1/customers", ["search": name, "limit": "1000"]).rows()
    #expect(!found.contains { $0["id"]?.string == person.lowercase }, "\(found)")
  }

  @Test("nobody who was erased is entered again by hand, and comes back only when the tombstone is lifted")
  func tombstones() async throws {
    let f = PrivacyFixture(api: try await TestAPI.start())
    let person = try await f.person("Geri Dönmeyen", number: "10000000146", email: "geri@posta.example", phone: "+905321110002")
    let friend = try await f.person("Başka Biri")
    try await f.erase(["customer_id": .string(person)])
    let body: [String: JSON] = ["kind": "person", "name": "Geri Dönmeyen", "department_id": .string(try await f.department()), "tax_number": "10000000146"]
    let again = try await f.api.send(.post, "/v1/customers", json: .object(body))
    #expect(
      again.status == 422 && again.fieldErrors == ["/tax_number customer_tax_number_not_erased"] && again.text.contains("erased at their own request"),
      "\(again.text)")
    for (kind, value) in [("email", "GERI@posta.example"), ("phone", "+905321110002"), ("whatsapp", "+905321110002")] {
      let point = try await f.api.send(.post, "/v1/contact_points", json: ["customer_id": .string(friend), "kind": .string(kind), "value": .string(value)])
      #expect(point.status == 422 && point.fieldErrors == ["/value contact_point_value_not_erased"], "\(point.text)")
    }
    let lead = try await f.api.send(
      .post, "/v1/leads", json: ["name": "G. D.", "source": "web", "email": "geri@posta.example", "department_id": .string(try await f.department())])
    #expect(lead.status == 422, "\(lead.text)")
    #expect(
      try await f.api.send(.post, "/v1/contact_points", json: ["customer_id": .string(friend), "kind": "email", "value": "baska@posta.example"]).status == 201)
    let suppressed = try await f.sql(
      "SELECT count(*) AS n FROM crm.suppression WHERE reason = 'erased' AND address_token = crm.address_token('email', 'geri@posta.example')")
    #expect(try suppressed[0].decode(Int.self, "n") == 1)

    let lift: JSON = ["kind": "number", "value": "10000000146", "reason": "Signed a new contract."]
    #expect(try await f.api.send(.post, "/v1/privacy_requests/tombstones/lift", as: "elif", json: lift).status == 403)
    #expect(try await f.api.send(.post, "/v1/privacy_requests/tombstones/lift", json: lift).json()["lifted"] == .number(1))
    #expect(try await f.api.send(.post, "/v1/customers", json: .object(body)).status == 201)
  }

  @Test("a restored backup loses whoever was erased after it was made")
  func restore() async throws {
    let f = PrivacyFixture(api: try await TestAPI.start())
    let person = try await f.person("Yedekteki", number: "10000000146", email: "yedek@posta.example")
    let id = try #require(UUID(uuidString: person))
    // As good as a restore: the rows as they were, without the tombstones.
    try await f.sql(
      "CREATE TABLE public.backup AS SELECT to_jsonb(c) AS customer, (SELECT jsonb_agg(to_jsonb(p)) FROM crm.contact_point p WHERE p.customer_id = c.id) AS points FROM crm.customer c WHERE c.id = \(id)"
    )
    try await f.erase(["customer_id": .string(person)])
    let lines = try await Database(pool: f.api.database.worker).transaction(as: .system("test")) { tx in
      try await tx.value(JSONText.self, "SELECT jsonb_agg(l) FROM crm.tombstone_lines() AS l")
    }
    #expect(!lines.text.contains("yedek") && !lines.text.contains("10000000146"))
    try await f.sql("DELETE FROM crm.erasure_tombstone")
    try await f.sql(
      """
      WITH restored AS (
        UPDATE crm.customer c SET name = b.customer ->> 'name', tax_number = b.customer ->> 'tax_number', note = b.customer ->> 'note', erased_at = NULL
        FROM public.backup b WHERE c.id = \(id))
      INSERT INTO crm.contact_point (customer_id, id, kind, value) SELECT \(id), (p ->> 'id')::uuid, p ->> 'kind', p ->> 'value' FROM public.backup b, jsonb_array_elements(b.points) p
      """)
    #expect(try await f.api.send(.get, "/v1/customers/\(person)").json()["name"]?.string == "Yedekteki")
    let erased = try await Database(pool: f.api.database.worker).transaction(as: .system("test")) { tx in
      try await tx.run("SELECT crm.take_tombstones(\(lines)::jsonb)")
      return try await tx.value(Int.self, "SELECT crm.reapply_tombstones(now())")
    }
    #expect(erased == 1)
    #expect(try await f.api.send(.get, "/v1/customers/\(person)").json()["name"]?.string?.hasPrefix("erased ") == true)
    try await f.sql("DROP TABLE public.backup")
    #expect(try await f.dump().allSatisfy { !$0.line.contains("Yedekteki") && !$0.line.contains("yedek@posta.example") })
  }

  @Test("what an erased person could come in with is gone: portal tokens, unanswered surveys, the mark of the browser", arguments: ["customer", "contact"])
  func tokens(_ root: String) async throws {
    let f = PrivacyFixture(api: try await TestAPI.start())
    let person = try await f.person("Portaldaki")
    let customer = try #require(UUID(uuidString: person))
    let contact = try await f.sql(
      "INSERT INTO crm.contact (customer_id, name, department_id) SELECT c.id, c.name, c.department_id FROM crm.customer AS c WHERE c.id = \(customer) RETURNING id"
    )[0]
    .decode(UUID.self, "id")
    try await Database(pool: f.api.database.worker).transaction(as: .system("test")) { tx in
      let (access, survey, site, visitor) = (UUID.v7(), UUID.v7(), UUID.v7(), UUID.v7())
      try await tx.run("INSERT INTO crm.portal_access (customer_id, id, contact_id, redeemed_at) VALUES (\(customer), \(access), \(contact), now())")
      try await tx.run(
        "INSERT INTO crm.portal_session (customer_id, access_id, token_hash, expires_at) VALUES (\(customer), \(access), sha256('x'), now() + interval '1 day')"
      )
      try await tx.run("INSERT INTO crm.survey (id, code, name, kind, title_en, title_tr) VALUES (\(survey), 'm', 'M', 'csat', 'M', 'M')")
      for state in ["due", "sent", "answered"] {
        try await tx.run(
          """
          INSERT INTO crm.survey_invitation (customer_id, survey_id, contact_id, event_id, state, token_hash, expires_at, sent_at, answered_at, department_id)
          SELECT c.id, \(survey), \(contact), crm.uuid_v7(), \(state), CASE WHEN \(state)::text <> 'due' THEN sha256(\(state)::text::bytea) END,
            CASE WHEN \(state)::text <> 'due' THEN now() END, CASE WHEN \(state)::text <> 'due' THEN now() END, CASE WHEN \(state)::text = 'answered' THEN now() END,
            c.department_id FROM crm.customer AS c WHERE c.id = \(customer)
          """)
      }
      try await tx.run(
        """
        INSERT INTO crm.channel_account (id, code, name, channel, provider, department_id)
        SELECT \(site), 'site', 'Site', 'web', 'web', d.id FROM crm.department AS d WHERE d.code = 'marketing'
        """)
      try await tx.run(
        """
        INSERT INTO crm.web_visitor (id, site_id, customer_id, contact_id, known_at, department_id)
        SELECT \(visitor), \(site), \(customer), \(contact), now(), d.id FROM crm.department AS d WHERE d.code = 'marketing'
        """)
      try await tx.run(
        """
        INSERT INTO crm.web_event (visitor_id, session_id, at, name, path, department_id)
        SELECT v.id, v.session_id, now(), 'page', '/masa', v.department_id FROM crm.web_visitor AS v WHERE v.id = \(visitor)
        """)
    }
    func left() async throws -> String {
      try await f.sql(
        """
        SELECT concat_ws(' ', (SELECT count(*) FROM crm.portal_access), (SELECT count(*) FROM crm.portal_session),
          (SELECT string_agg(i.state, ',' ORDER BY i.state) FROM crm.survey_invitation AS i), (SELECT count(*) FROM crm.web_visitor), (SELECT count(*) FROM crm.web_event)) AS left
        """)[0].decode(String.self, "left")
    }
    #expect(try await left() == "1 1 answered,due,sent 1 1")
    try await f.erase(
      root == "customer" ? ["customer_id": .string(person)] : ["customer_id": .string(person), "contact_id": .string(contact.lowercase)])
    #expect(try await left() == "0 0 answered 0 0")
  }

  @Test("the commands keep who was erased erased: tombstones are printed without names, and applied after a restore", .timeLimit(.minutes(10)))
  func commands() async throws {
    let f = PrivacyFixture(api: try await TestAPI.start())
    let person = try await f.person("Komuttaki", number: "10000000146", email: "komut@posta.example")
    let id = try #require(UUID(uuidString: person))
    let program = Command.repository.appending(path: ".build/debug/muhatap").path
    func muhatap(_ arguments: String...) async throws -> Command.Output {
      try await Command(program, ["admin", "tombstones"] + arguments, environment: ["DATABASE_URL": f.api.database.url()]).output()
    }
    try await f.erase(["customer_id": .string(person)])
    let printed = try await muhatap("export")
    let lines = printed.standardOutput.split(separator: "\n")
    #expect(printed.exitCode == 0 && lines.count >= 3, "\(printed.standardError)")
    #expect(!printed.standardOutput.contains("komut") && !printed.standardOutput.contains("10000000146") && !printed.standardOutput.contains("Komuttaki"))
    for line in lines { #expect((try? JSONDecoder().decode(JSON.self, from: Data(line.utf8)))?["kind"]?.string != nil, "\(line)") }

    let file = FileManager.default.temporaryDirectory.appending(path: "tombstones-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: file) }
    try printed.standardOutput.write(to: file, atomically: true, encoding: .utf8)
    // As good as a restore from before the erasure.
    try await f.sql("DELETE FROM crm.erasure_tombstone")
    try await f.sql("UPDATE crm.customer SET name = 'Komuttaki', tax_number = '10000000146', erased_at = NULL WHERE id = \(id)")
    let applied = try await muhatap("apply", file.path)
    #expect(applied.exitCode == 0 && applied.standardOutput.contains("\(lines.count) tombstones were added; 1 persons were erased again."), "\(applied)")
    #expect(try await f.api.send(.get, "/v1/customers/\(person)").json()["name"]?.string?.hasPrefix("erased ") == true)
    // Again, and without a file: nothing is left to do.
    #expect(try await muhatap("apply", file.path).standardOutput.contains("0 tombstones were added; 0 persons"))
    #expect(try await muhatap("apply").standardOutput.contains("0 tombstones were added; 0 persons"))

    try "not a tombstone\n".write(to: file, atomically: true, encoding: .utf8)
    for (name, wrong) in [("a file of something else", file.path), ("no file", file.path + ".missing")] {
      let refused = try await muhatap("apply", wrong)
      #expect(refused.exitCode != 0 && !refused.standardError.contains("SELECT") && !refused.standardError.isEmpty, "\(name): \(refused)")
    }
  }
}
