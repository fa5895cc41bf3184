import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

/// What names an erased person beyond the fields that are theirs: copies, texts, earlier values, what waits to be sent, what a backup or the registry holds.
@Suite("Traces of erased persons")
struct ErasureTraceTests {
  /// Runs statements as the superuser, past triggers and references.
  private func plant(_ f: PrivacyFixture, _ statements: [SQL]) async throws {
    _ = try await f.api.database.admin.execute(
      ["SET LOCAL session_replication_role = replica"] + statements, context: .init(readOnly: false), deadline: .after(.seconds(60)))
  }

  private func text(_ f: PrivacyFixture, _ statement: SQL) async throws -> String? { try await f.sql(statement)[0].decode(String?.self, at: 0) }

  private func system<Value: Sendable>(_ f: PrivacyFixture, _ body: @Sendable @escaping (PostgresTransaction) async throws -> Value) async throws -> Value {
    try await Database(pool: f.api.database.worker).transaction(as: .system("test"), body)
  }

  /// Ways in which somebody's name, telephone, address and number may be written in a dump.
  private static func isTrace(_ text: Substring) -> Bool {
    // A sum that has the telephone's digits in it is no trace.
    let line = text.replacing("95327778899123", with: "")
    let folded = line.folding(options: [.diacriticInsensitive, .caseInsensitive], locale: Locale(identifier: "en")).replacing("ı", with: "i")
    return ["caglayan", "papatya sokak", "10000000146"].contains { folded.contains($0) } || line.filter(\.isNumber).contains("5327778899")
  }

  @Test("names and numbers go from copies, texts and earlier values, however they are written, and others' stay", .timeLimit(.minutes(10)))
  func copies() async throws {
    let f = PrivacyFixture(api: try await TestAPI.start())
    // As a file brought the customer: five samples of it are kept with the import.
    let code = try #require(
      try await text(f, "SELECT d.code FROM crm.department d JOIN crm.app_user u ON u.department_id = d.id WHERE u.email = 'deniz@carsi.example'"))
    let mapping: JSON = [
      "source_system": "shop", "key": "no", "department": .string(code),
      "fields": ["name": "name", "tax_number": "number", "kind": ["constant": "person"]],
    ]
    let rows = "no,name,number\nS-1,NURGÜL ÇAĞLAYAN,10000000146\nS-2,Başka Biri,\nS-3,Nurgul Caglayan,11\n"
    let imported = try await Importer(database: Database(pool: f.api.database.worker), model: f.api.model).importFile(
      AsyncThrowingStream<[UInt8], any Error> { continuation in
        continuation.yield(Array(rows.utf8))
        continuation.finish()
      }, resource: "customers", mapping: mapping, fileName: "Nurgül Çağlayan.csv", dryRun: false, as: try await f.api.caller("deniz"))
    let id = try await f.sql("SELECT id FROM crm.customer WHERE tax_number = '10000000146'")[0].decode(UUID.self, at: 0)
    let other = try await f.sql("SELECT id FROM crm.customer WHERE name = 'Başka Biri'")[0].decode(UUID.self, at: 0)
    #expect(try await text(f, "SELECT summary::text FROM crm.import WHERE id = \(imported.id)")?.contains("10000000146") == true)
    // The name changed since.
    let customer: JSON = .string(id.lowercase)
    #expect(try await f.api.send(.patch, "/v1/customers/\(id.lowercase)", json: ["name": "Nurgül Işık"]).status == 200)
    let point = try await f.api.send(
      .post, "/v1/contact_points", json: ["customer_id": customer, "kind": "phone", "value": "+905327778899"], headers: ["idempotency-key": "once-\(UUID())"])
    #expect(point.status == 201, "\(point.text)")
    let address = try await f.api.send(
      .post, "/v1/addresses", json: ["customer_id": customer, "kind": "billing", "street": "Papatya Sokak 17/3", "city": "İzmir"])
    #expect(address.status == 201, "\(address.text)")
    let conversation = UUID.v7()
    let message = UUID.v7()
    try await plant(
      f,
      [
        "INSERT INTO crm.conversation (customer_id, id, channel, tags, department_id) SELECT c.id, \(conversation), 'chat', ARRAY['iade', 'nurgul  CAGLAYAN'], c.department_id FROM crm.customer c WHERE c.id = \(id)",
        "INSERT INTO crm.conversation (customer_id, channel, tags, department_id) SELECT c.id, 'chat', ARRAY['iade', 'Çağdaş'], c.department_id FROM crm.customer c WHERE c.id = \(other)",
        """
        INSERT INTO crm.outbound_message (customer_id, id, channel, address, legal_class, purpose, body_text, department_id)
        SELECT c.id, \(message), 'social', '@nurgul', 'transactional', 'marketing', 'Kargonuz yolda', c.department_id FROM crm.customer c WHERE c.id = \(id)
        """,
        "INSERT INTO crm.article_feedback (article_id, version_id, helpful, comment) SELECT gen_random_uuid(), gen_random_uuid(), true, x FROM unnest(ARRAY['Beni arayın: 0532 777 88 99', 'İyi anlatılmış']) AS x",
        "INSERT INTO crm.delivery_report (channel_account_id, event_id, outcome, reason, reported_at) VALUES (gen_random_uuid(), 'e', 'bounced', E'550\\nÇağlayan, Nurgül bilinmiyor', now())",
        "INSERT INTO crm.import_error (import_id, phase, row_number, column_name, value, code, reason_en, reason_tr) VALUES (\(imported.id), 'check', 9, 'tel', '(0532) 777-88-99', 'x', 'x', 'x'), (\(imported.id), 'check', 9, 'memleket', 'Ödemiş', 'x', 'x', 'x'), (\(imported.id), 'check', 10, 'tel', '0532 777 88 98', 'x', 'x', 'x')",
        "INSERT INTO crm.job (kind, payload) VALUES ('nobody.does', '{\"to\": \"905327778899\"}'), ('nobody.does', '{\"amount\": 95327778899123}')",
        "INSERT INTO crm.idempotency_key (user_id, key, method, path, fingerprint, response) SELECT u.id, k.key, 'POST', '/v1/x', sha256('x'), convert_to(k.answer, 'UTF8') FROM (SELECT id FROM crm.app_user LIMIT 1) u CROSS JOIN (VALUES ('a', '{\"id\":\"' || \(conversation)::uuid::text || '\"}'), ('b', '{\"id\":\"' || \(other)::uuid::text || '\"}')) AS k (key, answer)",
        "CREATE TABLE staging.file_of_test (row_number bigint, c1 text)", "ALTER TABLE staging.file_of_test OWNER TO crm_owner",
        "INSERT INTO staging.file_of_test VALUES (1, 'NURGUL ÇAĞLAYAN'), (2, '+90 (532) 777 88 99'), (3, 'Nurgül Çağ')",
      ])
    #expect(try await f.dump().contains { Self.isTrace($0.line) })

    let request = try await f.granted("erase", of: ["customer_id": customer])
    let plan = try await f.api.send(.get, "/v1/privacy_requests/\(request)/plan").rows()
    let planned = Dictionary(plan.map { ($0["table"]?.string ?? "", $0["rows"]) }, uniquingKeysWith: { first, _ in first })
    #expect(planned["staging"] == .number(2) && planned["crm.import"] == .number(1) && planned["crm.job"] == .number(1), "\(planned)")
    #expect(try await f.api.send(.post, "/v1/privacy_requests/\(request)/execute", json: [:]).status == 200)
    try await f.work("privacy.execute")
    let after = try await f.api.send(.get, "/v1/privacy_requests/\(request)").json()
    try #require(after["state"]?.string == "executed", "\(after["problem"]?.string ?? "")")

    let traces = try await f.dump().filter { Self.isTrace($0.line) }
    #expect(traces.isEmpty, "\(traces.prefix(5))")
    // What is about nobody, or about others, is as it was.
    #expect(try await text(f, "SELECT tags::text FROM crm.conversation WHERE id = \(conversation)") == "{iade,erased}")
    #expect(try await text(f, "SELECT tags::text FROM crm.conversation WHERE customer_id = \(other)") == "{iade,Çağdaş}")
    #expect(try await text(f, "SELECT string_agg(comment, ' ' ORDER BY comment) FROM crm.article_feedback") == "İyi anlatılmış")
    #expect(
      try await text(
        f, "SELECT string_agg(row_number || coalesce(value, '–'), ' ' ORDER BY row_number, id) FROM crm.import_error WHERE phase = 'check' AND row_number > 8")
        == "9– 9– 100532 777 88 98")
    #expect(try await text(f, "SELECT string_agg(status, ' ' ORDER BY payload::text) FROM crm.job WHERE kind = 'nobody.does'") == "queued dead")
    #expect(try await text(f, "SELECT string_agg(key, ' ' ORDER BY key) FROM crm.idempotency_key WHERE key IN ('a', 'b')") == "b")
    #expect(try await text(f, "SELECT string_agg(c1, ' ') FROM staging.file_of_test") == "Nurgül Çağ")
    #expect(try await text(f, "SELECT state FROM crm.outbound_message WHERE id = \(message)") == "refused")
    #expect(try await text(f, "SELECT name FROM crm.customer WHERE id = \(other)") == "Başka Biri")
  }

  @Test("an organisation's records lose the name and the number of whoever worked there, and keep their own", .timeLimit(.minutes(10)))
  func contact() async throws {
    let f = PrivacyFixture(api: try await TestAPI.start())
    let organisation = try await f.sql("SELECT id FROM crm.customer WHERE kind = 'organisation' ORDER BY id LIMIT 1")[0].decode(UUID.self, "id")
    let (customer, name): (JSON, String?) = (.string(organisation.lowercase), try await text(f, "SELECT name FROM crm.customer WHERE id = \(organisation)"))
    var people: [String] = []
    for name in ["Nurgül Çağlayan", "Hikmet Çağlar"] {
      let made = try await f.api.send(.post, "/v1/contacts", json: ["customer_id": customer, "name": .string(name)])
      people.append(try #require(try made.json()["id"]?.string, "\(made.text)"))
    }
    // Both are reached by the switchboard, one has a number of her own.
    for (person, value) in [(people[0], "+905327778899"), (people[0], "+902320000001"), (people[1], "+902320000001")] {
      let made = try await f.api.send(
        .post, "/v1/contact_points", json: ["customer_id": customer, "contact_id": .string(person), "kind": "phone", "value": .string(value)])
      #expect(made.status == 201, "\(made.text)")
    }
    let note = "Nurgül Çağlayan (0532 777 88 99) ya da Hikmet Çağlar, santral 0232 000 00 01"
    #expect(try await f.api.send(.patch, "/v1/customers/\(organisation.lowercase)", json: ["note": .string(note)]).status == 200)
    let interaction = UUID.v7()
    try await plant(
      f,
      [
        """
        INSERT INTO crm.interaction (customer_id, id, occurred_at, channel, direction, kind, recipients, subject, department_id)
        SELECT c.id, \(interaction), now(), 'phone', 'in', 'message', ARRAY['+905327778899', '+902320000001'], 'Ç. Nurgül', c.department_id FROM crm.customer c WHERE c.id = \(organisation)
        """
      ])
    try await f.erase(["customer_id": customer, "contact_id": .string(people[0])])

    #expect(try await text(f, "SELECT note FROM crm.customer WHERE id = \(organisation)") == "erased (0) ya da Hikmet Çağlar, santral 0232 000 00 01")
    #expect(try await text(f, "SELECT recipients::text FROM crm.interaction WHERE id = \(interaction)") == "{0,+902320000001}")
    #expect(try await text(f, "SELECT name FROM crm.customer WHERE id = \(organisation)") == name)
    #expect(try await text(f, "SELECT string_agg(value, ' ') FROM crm.contact_point WHERE contact_id = \(UUID(uuidString: people[1]))") == "+902320000001")
    let traces = try await f.dump().filter { Self.isTrace($0.line) }
    #expect(traces.isEmpty, "\(traces.prefix(5))")
  }

  @Test("a backup from before a merge brings back neither of the two, and who wrote anew is not taken for it", .timeLimit(.minutes(10)))
  func backups() async throws {
    let f = PrivacyFixture(api: try await TestAPI.start())
    let person = try await f.person("Nurgül Çağlayan", email: "nurgul@posta.example")
    let double = try await f.person("N. Çağlayan")
    let (id, gone) = (try #require(UUID(uuidString: person)), try #require(UUID(uuidString: double)))
    // The double as a backup holds it.
    try await f.sql("CREATE TABLE public.backup AS SELECT to_jsonb(c) - 'name_key' AS whole FROM crm.customer c WHERE c.id = \(gone)")
    let merged = try await f.api.send(.post, "/v1/customers/\(person)/merge", json: ["merged_id": .string(double), "reason": "Aynı kişi"], checked: false)
    try #require(merged.status < 300, "\(merged.text)")
    try await f.erase(["customer_id": .string(person)])
    // Nobody is back.
    #expect(try await system(f) { try await $0.value(Int.self, "SELECT crm.reapply_tombstones(now())") } == 0)
    try await plant(
      f,
      [
        """
        INSERT INTO crm.customer (id, kind, name, department_id, created_at)
        SELECT (b.whole ->> 'id')::uuid, b.whole ->> 'kind', b.whole ->> 'name', (b.whole ->> 'department_id')::uuid, (b.whole ->> 'created_at')::timestamptz FROM public.backup b
        """
      ])
    // She writes herself, and begins anew.
    let anew = try await system(f) { tx in
      try await tx.result(
        "SELECT i.customer_id FROM crm.identify('email', 'nurgul@posta.example', 'Nurgül Çağlayan', (SELECT c.department_id FROM crm.customer c WHERE c.id = \(id))) AS i"
      )[0]
      .decode(UUID.self, at: 0)
    }
    #expect(try await system(f) { try await $0.value(Int.self, "SELECT crm.reapply_tombstones(now())") } == 1)
    #expect(try await text(f, "SELECT name FROM crm.customer WHERE id = \(gone)")?.hasPrefix("erased ") == true)
    #expect(try await text(f, "SELECT name FROM crm.customer WHERE id = \(anew)") == "Nurgül Çağlayan")
  }

  @Test("an erased person's address does not come in under another kind of contact point")
  func kinds() async throws {
    let f = PrivacyFixture(api: try await TestAPI.start())
    let person = try await f.person("Türünü Değiştiren", email: "tur@posta.example")
    let friend = try await f.person("Başka Biri")
    try await f.erase(["customer_id": .string(person)])
    let made = try await f.api.send(.post, "/v1/contact_points", json: ["customer_id": .string(friend), "kind": "social", "value": "tur@posta.example"])
    try #require(made.status == 201, "\(made.text)")
    let changed = try await f.api.send(.patch, "/v1/contact_points/\(try made.json()["id"]?.string ?? "")", json: ["kind": "email"], checked: false)
    #expect(changed.status == 422, "\(changed.text)")
  }

  @Test("a refusal that the registry does not have yet keeps its address until it has")
  func refusals() async throws {
    let f = PrivacyFixture(api: try await TestAPI.start())
    let person = try await f.person("Reddeden Kişi", email: "red@posta.example")
    let id = try #require(UUID(uuidString: person))
    let (brand, consent, refusal) = (UUID.v7(), UUID.v7(), UUID.v7())
    try await plant(
      f,
      [
        "INSERT INTO crm.brand (id, code, name) VALUES (\(brand), 'iys', 'İYS')",
        """
        INSERT INTO crm.consent_event (id, customer_id, channel, address, address_token, status, source, note)
        SELECT x.id, \(id), 'email', 'red@posta.example', crm.address_token('email', 'red@posta.example'), x.status, 'HS_WEB', 'Reddeden Kişi'
        FROM (VALUES (\(consent)::uuid, 'ONAY'), (\(refusal)::uuid, 'RET')) AS x (id, status)
        """,
        "INSERT INTO crm.registry_transfer (event_id, brand_id, due_at) SELECT e, \(brand), now() FROM unnest(ARRAY[\(consent)::uuid, \(refusal)::uuid]) AS e",
      ])
    let request = try await f.granted("erase", of: ["customer_id": .string(person)])
    let plan = try await f.api.send(.get, "/v1/privacy_requests/\(request)/plan").rows()
    #expect(
      plan.contains { $0["table"]?.string == "crm.consent_event" && $0["action"] == "keep" && $0["rows"] == .number(1) && $0["keep_until"]?.string != nil },
      "\(plan)")
    #expect(try await f.api.send(.post, "/v1/privacy_requests/\(request)/execute", json: [:]).status == 200)
    try await f.work("privacy.execute")
    func addresses() async throws -> String? {
      try await text(
        f, "SELECT string_agg(e.status || ' ' || coalesce(e.address, '–'), ', ' ORDER BY e.status) FROM crm.consent_event e WHERE e.customer_id = \(id)")
    }
    #expect(try await addresses() == "ONAY –, RET red@posta.example")
    // The registry answers.
    try await f.sql("UPDATE crm.registry_transfer SET state = 'sending', passed_date = now() WHERE event_id = \(refusal)")
    #expect(try await addresses() == "ONAY –, RET red@posta.example")
    _ = try await system(f) {
      try await $0.value(Bool.self, "SELECT crm.settle_registry_item((SELECT t.id FROM crm.registry_transfer t WHERE t.event_id = \(refusal)), now(), 'T-1')")
    }
    #expect(try await addresses() == "ONAY –, RET –")
    #expect(try await f.dump().allSatisfy { !$0.line.contains("red@posta.example") && !$0.line.contains("Reddeden") })
  }

  @Test("the files of an erased person's correspondence leave the folder, and what others have, too, stays", .timeLimit(.minutes(10)))
  func files() async throws {
    let f = PrivacyFixture(api: try await TestAPI.start())
    let place = FileManager.default.temporaryDirectory.appending(path: "files-\(UUID())")
    defer { try? FileManager.default.removeItem(at: place) }
    let folder = FileFolder(place, sizeLimit: 1_000)
    let persons = [try await f.person("Dosyalı Kişi"), try await f.person("Başka Biri")]
    let stored = [
      try await folder.store(Array("yalnız onun".utf8)), try await folder.store(Array("ikisinin".utf8)), try await folder.store(Array("yeni gelen".utf8)),
    ]
    for (person, file) in [(0, 0), (0, 1), (1, 1), (0, 2)] {
      let conversation = UUID.v7()
      try await plant(
        f,
        [
          "INSERT INTO crm.conversation (customer_id, id, channel, department_id) SELECT c.id, \(conversation), 'chat', c.department_id FROM crm.customer c WHERE c.id = \(UUID(uuidString: persons[person]))",
          """
          INSERT INTO crm.attachment (customer_id, conversation_id, name, media_type, size, sha256, department_id)
          SELECT c.id, \(conversation), 'a.txt', 'text/plain', 1, \(stored[file].sha256), c.department_id FROM crm.customer c WHERE c.id = \(UUID(uuidString: persons[person]))
          """,
        ])
    }
    func age(_ file: Int) throws {
      let name = stored[file].sha256
      let path = place.appending(path: String(name.prefix(2))).appending(path: String(name.dropFirst(2).prefix(2))).appending(path: name).path
      try FileManager.default.setAttributes([.modificationDate: Date().addingTimeInterval(-3_600)], ofItemAtPath: path)
    }
    func here() async throws -> [Bool] {
      var here: [Bool] = []
      for file in stored { here.append(try await folder.bytes(file.sha256) != nil) }
      return here
    }
    try age(0)
    try age(1)
    let request = try await f.granted("erase", of: ["customer_id": .string(persons[0])])
    #expect(try await f.api.send(.post, "/v1/privacy_requests/\(request)/execute", json: [:]).status == 200)
    try await f.work("privacy.execute", files: folder)
    #expect(try await here() == [false, true, true])
    try age(2)
    try await f.sql("INSERT INTO crm.job (kind) VALUES ('privacy.files')")
    try await f.work("privacy.files", files: folder)
    #expect(try await here() == [false, true, false])
    #expect(try await text(f, "SELECT count(*)::text FROM crm.file_removal WHERE removed_at IS NULL") == "0")
  }

  @Test("a request to rectify is carried out only when something was corrected, and says what without showing it")
  func rectifying() async throws {
    let f = PrivacyFixture(api: try await TestAPI.suite())
    let person = try await f.person("Yanlış Yazılan", email: "yanlis@posta.example")
    let id = try await f.granted("rectify", of: ["customer_id": .string(person)])
    let path = "/v1/privacy_requests/\(id)"
    let early = try await f.api.send(.post, "\(path)/execute", json: [:])
    #expect(early.status == 409 && early.problem == "nothing-rectified", "\(early.text)")
    #expect(try await f.api.send(.patch, "/v1/customers/\(person)", json: ["name": "Doğru Yazılan"]).status == 200)
    let point = try await f.sql("SELECT id FROM crm.contact_point WHERE customer_id = \(UUID(uuidString: person))")[0].decode(UUID.self, at: 0)
    #expect(try await f.api.send(.patch, "/v1/contact_points/\(point.lowercase)", json: ["value": "dogru@posta.example"]).status == 200)
    let executed = try await f.api.send(.post, "\(path)/execute", json: [:])
    #expect(try executed.status == 200 && executed.json()["state"]?.string == "executed", "\(executed.text)")
    let steps = try await f.api.send(.get, "\(path)/steps").rows()
    let step = try #require(steps.first { $0["step"] == "rectified" }, "\(steps)")
    #expect(
      step["detail"]?["fields"]?["customers"]?.array?.contains("name") == true && step["detail"]?["fields"]?["contact_points"]?.array?.contains("value") == true
    )
    #expect(!"\(steps)".contains("Yazılan") && !"\(steps)".contains("posta.example"))
    // What was corrected is what an export shows, and what the person is found by.
    let found = try await f.api.send(.get, "/v1/privacy_requests/persons", ["email": "dogru@posta.example"]).rows()
    #expect(found.contains { $0["customer_id"]?.string == person })
  }
}
