import CRMCore
import Foundation
import Gateway
import MuhatapTestKit
import PostgresClient
import Testing

/// Everything that asks who sees a record knows of shares: events, the change feed, the explanation, and what is added afterwards.
@Suite("What a share reaches")
struct SharedReachTests {
  private func user(_ server: TestServer, _ person: String) async throws -> JSON {
    let found = try await server.send(.get, "/v1/users?email=eq.\(person)@carsi.example", as: "deniz", checked: false).json()
    return try #require(found["data"]?.array?.first?["id"])
  }

  private func made(_ server: TestServer, _ path: String, as person: String = "gul", _ json: JSON) async throws -> String {
    let answer = try await server.send(.post, path, as: person, json: json)
    try #require((200...201).contains(answer.status), "\(path): \(answer.text)")
    return try answer.json().id
  }

  private func hidden(_ server: TestServer) async throws -> String {
    try await made(
      server, "/v1/customers", ["kind": "organisation", "name": .string("Kapalı Holding \(UUID().uuidString.prefix(6))"), "visibility": "department"])
  }

  private func share(_ server: TestServer, _ resource: String, _ id: String, with person: String, access: String = "read", as owner: String = "gul")
    async throws
    -> String
  {
    try await made(
      server, "/v1/shares", as: owner,
      [
        "resource": .string(resource), "record_id": .string(id), "user_id": try await user(server, person), "access": .string(access),
        "reason": "Birlikte bakıyoruz",
      ])
  }

  /// What a caller may do is kept for a while and dropped when it changes.
  private func eventually(_ wanted: Int, _ ask: () async throws -> TestServer.Answer) async throws -> TestServer.Answer {
    var answer = try await ask()
    for _ in 0..<2_400 where answer.status != wanted {
      try await Task.sleep(for: .milliseconds(50))
      answer = try await ask()
    }
    return answer
  }

  private func feed(_ server: TestServer, as person: String) async throws -> [String] {
    var ids: [String] = []
    var cursor: String?
    repeat {
      let page = try await server.send(
        .get, "/v1/changes?resource=customers&limit=200" + (cursor.map { "&after=\($0)" } ?? ""), as: person, checked: false
      ).json()
      let rows = page["data"]?.array ?? []
      ids += rows.compactMap { $0["id"]?.string }
      cursor = rows.isEmpty ? nil : page["next_cursor"]?.string
    } while cursor != nil
    return ids
  }

  @Test("the feed of changes and the history show a shared record to whom it is shared, and to nobody when the share has ended")
  func changes() async throws {
    let server = try await TestServer.suite()
    let id = try await hidden(server)
    // The feed tells what is behind the horizon, which other databases of the server may hold back.
    for _ in 0..<3_000 where try await !feed(server, as: "gul").contains(id) { try await Task.sleep(for: .milliseconds(100)) }
    #expect(try await !feed(server, as: "burak").contains(id))
    let share = try await share(server, "customers", id, with: "burak")
    #expect(try await eventually(200) { try await server.send(.get, "/v1/customers/\(id)", as: "burak") }.status == 200)
    #expect(try await feed(server, as: "burak").contains(id))
    #expect(try await !feed(server, as: "zeynep").contains(id))
    let history = try await server.send(.get, "/v1/customers/\(id)/history", as: "burak").json()
    #expect(history["data"]?.array?.count == 1, "\(history)")
    #expect(try await server.send(.delete, "/v1/shares/\(share)", as: "gul").status == 204)
    #expect(try await eventually(404) { try await server.send(.get, "/v1/customers/\(id)", as: "burak") }.status == 404)
    #expect(try await !feed(server, as: "burak").contains(id))
    #expect(try await server.send(.get, "/v1/customers/\(id)/history", as: "burak").status == 404)
  }

  @Test("events tell of a shared record from when it is shared until the share ends", .timeLimit(.minutes(10)))
  func events() async throws {
    let server = try await TestServer.start { $0.limits.live.interval = .milliseconds(20) }
    let id = try await hidden(server)
    let share = try await share(server, "customers", id, with: "zeynep")
    #expect(try await eventually(200) { try await server.send(.get, "/v1/customers/\(id)", as: "zeynep") }.status == 200)
    let stream = try await EventStream(server, "/v1/events?resource=customers", as: "zeynep")
    let other = try await EventStream(server, "/v1/events?resource=customers", as: "burak")
    // The first thing a stream says is from where it tells.
    _ = try await (stream.next(), other.next())
    #expect(try await server.send(.patch, "/v1/customers/\(id)", as: "gul", json: ["note": "bir"]).status == 200)
    let open = try await made(server, "/v1/customers", as: "deniz", ["kind": "organisation", "name": "Herkese Açık", "visibility": "company"])
    let seen = try await stream.changes(upTo: open)
    #expect(seen.contains { $0.recordID == id && $0.data["after"]?["note"] == "bir" }, "\(seen)")
    #expect(try await !other.changes(upTo: open).contains { $0.recordID == id })

    #expect(try await server.send(.delete, "/v1/shares/\(share)", as: "gul").status == 204)
    #expect(try await eventually(404) { try await server.send(.get, "/v1/customers/\(id)", as: "zeynep") }.status == 404)
    #expect(try await server.send(.patch, "/v1/customers/\(id)", as: "gul", json: ["note": "iki"]).status == 200)
    let last = try await made(server, "/v1/customers", as: "deniz", ["kind": "organisation", "name": "Yine Açık", "visibility": "company"])
    let after = try await stream.changes(upTo: last)
    #expect(!after.contains { $0.recordID == id && $0.data["after"]?["note"] == "iki" }, "\(after)")
  }

  @Test("what ends when its time has come ends for who is connected, too", .timeLimit(.minutes(10)))
  func ending() async throws {
    let server = try await TestServer.start {
      $0.limits.live.interval = .milliseconds(20)
      $0.limits.live.review = .milliseconds(100)
    }
    let id = try await hidden(server)
    let share = try await share(server, "customers", id, with: "zeynep")
    #expect(try await eventually(200) { try await server.send(.get, "/v1/customers/\(id)", as: "zeynep") }.status == 200)
    let stream = try await EventStream(server, "/v1/events?resource=customers", as: "zeynep")
    _ = try await stream.next()
    #expect(try await server.send(.patch, "/v1/customers/\(id)", as: "gul", json: ["note": "bir"]).status == 200)
    let first = try await made(server, "/v1/customers", as: "deniz", ["kind": "organisation", "name": "Önce Açık", "visibility": "company"])
    let before = try await stream.changes(upTo: first)
    #expect(before.contains { $0.recordID == id && $0.data["after"]?["note"] == "bir" }, "\(before)")

    // Its time comes while nobody touches it, however slow the machine was until here.
    try await behind(server, "UPDATE crm.record_share SET ends_at = now() + interval '2 seconds' WHERE id = \(UUID(uuidString: share))")
    #expect(try await eventually(404) { try await server.send(.get, "/v1/customers/\(id)", as: "zeynep") }.status == 404)
    // The stream's own review comes every tenth of a second, and later on a busy machine: what it told before is read and left.
    var after: [EventStream.Event] = []
    for round in 0..<60 {
      try await Task.sleep(for: .seconds(1))
      #expect(try await server.send(.patch, "/v1/customers/\(id)", as: "gul", json: ["note": .string("iki \(round)")]).status == 200)
      let open = try await made(server, "/v1/customers", as: "deniz", ["kind": "organisation", "name": "Sonra Açık", "visibility": "company"])
      after = try await stream.changes(upTo: open)
      if !after.contains(where: { $0.recordID == id }) { break }
    }
    #expect(!after.contains { $0.recordID == id }, "\(after)")

    // A key that runs out.
    try await behind(
      server,
      """
      UPDATE crm.api_key SET expires_at = now() + interval '3 seconds' WHERE user_id = (SELECT id FROM crm.app_user WHERE email = 'zeynep@carsi.example')
      """)
    var last: EventStream.Event?
    while let event = try await stream.next() { last = event }
    #expect(last?.type == "end" && last?.data["reason"] == "unauthorized", "\(String(describing: last))")
  }

  @Test("the explanation names the share with its reason, for reading and for writing")
  func explanation() async throws {
    let server = try await TestServer.suite()
    let id = try await hidden(server)
    let path = "/v1/access/explain?resource=customers&id=\(id)"
    #expect(try await server.send(.get, path, as: "zeynep").status == 404)
    _ = try await share(server, "customers", id, with: "zeynep", access: "write")
    let told = try await eventually(200) { try await server.send(.get, path, as: "zeynep", headers: ["accept-language": "tr"]) }.json()
    let read = told["read"]?.array ?? []
    #expect(
      read.contains { $0["rule"] == "share" && $0["reason"] == "Birlikte bakıyoruz" && $0["explanation"] == "Yalnızca bu kayıt paylaşıldı." }, "\(told)")
    #expect(told["may_write"] == true && told["write"]?.array?.map { $0["rule"] } == ["share"], "\(told)")
    #expect(try await server.send(.get, path, as: "burak").status == 404)
  }

  @Test("what is added to a shared record is opened with it, and closed with it")
  func addedLater() async throws {
    let server = try await TestServer.suite()
    let id = try await hidden(server)
    let share = try await share(server, "customers", id, with: "elif")
    let contact = try await made(server, "/v1/contacts", ["customer_id": .string(id), "name": "Sonradan Gelen"])
    #expect(try await eventually(200) { try await server.send(.get, "/v1/contacts/\(contact)", as: "elif") }.status == 200)
    // A part of the part.
    let point = try await made(
      server, "/v1/contact_points", ["customer_id": .string(id), "contact_id": .string(contact), "kind": "email", "value": "s@x.example"])
    #expect(try await eventually(200) { try await server.send(.get, "/v1/contact_points/\(point)", as: "elif") }.status == 200)
    #expect(try await server.send(.patch, "/v1/contacts/\(contact)", as: "elif", json: ["name": "x"]).status == 403)
    #expect(try await server.send(.get, "/v1/contacts/\(contact)", as: "can").status == 404)
    // Comments ask the record each time.
    _ = try await made(server, "/v1/comments", ["resource": "customers", "record_id": .string(id), "text": "Not düştüm"])
    let comments = try await server.send(.get, "/v1/comments?resource=customers&record_id=\(id)", as: "elif", checked: false).json()
    #expect(comments["data"]?.array?.count == 1)
    #expect(try await server.send(.delete, "/v1/shares/\(share)", as: "gul").status == 204)
    #expect(try await eventually(404) { try await server.send(.get, "/v1/contacts/\(contact)", as: "elif") }.status == 404)
    #expect(try await server.send(.get, "/v1/contact_points/\(point)", as: "elif").status == 404)
  }

  @Test("what is said later in a shared conversation is read with its files; other conversations of the customer stay closed")
  func conversation() async throws {
    let server = try await TestServer.suite()
    let id = try await hidden(server)
    let customer = try #require(UUID(uuidString: id))
    func conversation() async throws -> String {
      let conversation = UUID.v7()
      try await behind(
        server,
        """
        INSERT INTO crm.conversation (customer_id, id, channel, subject, department_id, visibility)
        SELECT c.id, \(conversation), 'email', 'Gizli', c.department_id, 'department' FROM crm.customer AS c WHERE c.id = \(customer)
        """)
      return conversation.lowercase
    }
    func interaction(_ conversation: String) async throws -> String {
      let interaction = UUID.v7()
      try await behind(
        server,
        """
        INSERT INTO crm.interaction (customer_id, id, conversation_id, channel, direction, kind, body_text, department_id, visibility)
        SELECT c.customer_id, \(interaction), c.id, 'email', 'in', 'message', 'Merhaba', c.department_id, 'department' FROM crm.conversation AS c
         WHERE c.id = \(UUID(uuidString: conversation))
        """)
      return interaction.lowercase
    }
    let (shared, closed) = (try await conversation(), try await conversation())
    let before = try await interaction(shared)
    _ = try await share(server, "conversations", shared, with: "can")
    let after = try await interaction(shared)
    let elsewhere = try await interaction(closed)
    let file = try await server.send(
      .post, "/v1/interactions/\(after)/attachments?name=plan.txt", as: "gul", body: Array("plan".utf8), headers: ["content-type": "application/octet-stream"])
    #expect(file.status == 201, "\(file.text)")
    for path in ["/v1/interactions/\(before)", "/v1/interactions/\(after)", "/v1/attachments/\(try file.json().id)"] {
      #expect(try await eventually(200) { try await server.send(.get, path, as: "can") }.status == 200, "\(path)")
    }
    #expect(try await server.send(.get, "/v1/interactions/\(elsewhere)", as: "can").status == 404)
    // Whom it is shared with is seen to be there.
    let there = try await server.send(.post, "/v1/conversations/\(shared)/attend", as: "can", json: ["activity": "reading"])
    #expect(there.status == 200, "\(there.text)")
    let seen = try await server.send(.post, "/v1/conversations/\(shared)/attend", as: "gul", json: ["activity": "answering"]).json()
    #expect(seen["others"]?.array?.map { $0["name"] } == ["Can Şahin"], "\(seen)")
    #expect(try await server.send(.post, "/v1/conversations/\(closed)/attend", as: "can", json: ["activity": "reading"]).status == 404)
  }

  private func behind(_ server: TestServer, _ statement: SQL) async throws {
    try await Database(pool: server.database.worker).transaction(as: .system("test")) { tx in _ = try await tx.run(statement) }
  }

  @Test("every table whose rows follow a shared record has the trigger that opens what is added")
  func triggers() async throws {
    let server = try await TestServer.suite()
    let missing = try await server.database.admin.execute(
      [
        """
        SELECT p.part::text || '.' || p."column" AS name FROM crm.shared_parts() AS p
         WHERE NOT EXISTS (SELECT FROM pg_trigger AS t WHERE t.tgrelid = p.part AND t.tgfoid = 'crm.share_parts'::regproc
           AND position('\\000' || p."column" || '\\000' IN encode(t.tgargs, 'escape')) > 0)
        """
      ], context: .init(readOnly: true), deadline: .after(.seconds(60)))[0]
    #expect(try missing.rows.map { try $0.decode(String.self, "name") } == [])
  }
}
