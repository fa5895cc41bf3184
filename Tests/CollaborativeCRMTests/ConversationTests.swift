import CRMCore
import Foundation
import Gateway
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("Conversations and notices")
struct ConversationTests {
  private func conversation(_ api: TestAPI, from sender: String? = nil) async throws -> (path: String, id: String, box: Mailroom) {
    let box = try await Mailroom.open(api)
    let mail = try await box.receive(
      from: sender ?? "soran-\(UUID().uuidString.prefix(8))@uzak.example", subject: "Kargom nerede", id: "<\(UUID().uuidString)@x>")
    return ("/v1/conversations/\(mail.conversation.lowercase)", mail.conversation.lowercase, box)
  }

  private func user(_ api: TestAPI, _ person: String) async throws -> JSON { .string(try #require(try await api.caller(person).userID).lowercase) }

  @Test("whoever is given a conversation is told; others may not give it away")
  func assigning() async throws {
    let api = try await TestAPI.suite()
    let thread = try await conversation(api)
    let burak = try await user(api, "burak")
    let answer = try await api.send(.post, thread.path + "/assign", as: "zeynep", json: ["user_id": burak])
    #expect(answer.status == 200, "\(answer.text)")
    #expect(try answer.json()["assignee_id"] == burak)
    let told = try await api.send(.get, "/v1/notices", ["unread": "true"], as: "burak", headers: ["accept-language": "tr"]).rows()
    #expect(told.contains { $0["record_id"]?.string == thread.id && $0["text"]?.string == "Yanıtlamanız bekleniyor: Kargom nerede" })
    #expect(try await api.send(.get, "/v1/notices", as: "ayse").rows().allSatisfy { $0["record_id"]?.string != thread.id })
    #expect(try await api.send(.post, thread.path + "/assign", as: "elif", json: [:]).status == 403)
    #expect(try await api.send(.post, thread.path + "/assign", as: "ayse", json: [:]).status == 403)
    #expect(try await api.send(.post, thread.path + "/assign", as: "zeynep", json: ["user_id": .string(UUID().uuidString.lowercased())]).status == 422)
  }

  @Test("what is put away comes back by itself, and at once when the customer writes")
  func snoozing() async throws {
    let api = try await TestAPI.suite()
    let sender = "uyuyan@uzak.example"
    let thread = try await conversation(api, from: sender)
    #expect(try await api.send(.post, thread.path + "/snooze", as: "zeynep", json: ["until": "2001-01-01T00:00:00Z"], checked: false).status == 422)
    let until = Date().addingTimeInterval(3600)
    let away = try await api.send(.post, thread.path + "/snooze", as: "zeynep", json: ["until": .string(until.formatted(.iso8601))])
    #expect(try away.json()["state"] == .string("snoozed"))
    func wake(at instant: Date) async throws {
      try await Database(pool: api.database.worker).transaction(as: .system("test")) { try await $0.run("SELECT crm.wake_conversations(\(instant))") }
    }
    try await wake(at: until.addingTimeInterval(-60))
    #expect(try await api.send(.get, thread.path, as: "zeynep").json()["state"] == .string("snoozed"))
    try await wake(at: until.addingTimeInterval(60))
    #expect(try await api.send(.get, thread.path, as: "zeynep").json()["state"] == .string("open"))
    let again = try await api.send(.post, thread.path + "/snooze", as: "zeynep", json: ["until": .string(until.formatted(.iso8601))])
    #expect(again.status == 200)
    let first = try await api.behind("SELECT external_id FROM crm.interaction WHERE conversation_id = \(thread.id)::uuid")[0].decode(String.self, "external_id")
    try await thread.box.receive(from: sender, answering: [first])
    let back = try await api.send(.get, thread.path, as: "zeynep").json()
    #expect(back["state"] == .string("open") && back["snoozed_until"] == .null)
  }

  @Test("an answer is stored and queued in the thread, and the draft goes")
  func replying() async throws {
    let api = try await TestAPI.suite()
    let thread = try await conversation(api, from: "yanit@uzak.example")
    #expect(try await api.send(.put, thread.path + "/draft", as: "zeynep", json: ["text": "Hemen bak"]).status == 204)
    #expect(try await api.send(.get, "/v1/drafts", as: "zeynep").rows().contains { $0["conversation_id"]?.string == thread.id })
    #expect(try await api.send(.get, "/v1/drafts", as: "burak").rows().allSatisfy { $0["conversation_id"]?.string != thread.id })
    let answer = try await api.send(.post, thread.path + "/reply", as: "zeynep", json: ["text": "Hemen bakıyorum."])
    #expect(answer.status == 200, "\(answer.text)")
    #expect(try answer.json()["state"] == .string("queued"))
    let message = try #require(try answer.json()["message_id"]?.string)
    let queued = try await api.behind(
      "SELECT m.address, m.subject, m.legal_class, m.in_reply_to IS NOT NULL AS threaded, m.headers ->> 'References' AS references, m.interaction_id FROM crm.outbound_message AS m WHERE m.id = \(message)::uuid"
    )[0]
    #expect(try queued.decode(String.self, "address") == "yanit@uzak.example")
    #expect(try queued.decode(String.self, "subject") == "Re: Kargom nerede")
    #expect(try queued.decode(String.self, "legal_class") == "transactional")
    #expect(try queued.decode(Bool.self, "threaded"))
    #expect(try queued.decode(UUID.self, "interaction_id").lowercase == answer.json()["interaction_id"]?.string)
    let shown = try await api.send(.get, thread.path, ["expand": "interactions"], as: "zeynep").json()
    let zeynep = try await user(api, "zeynep")
    #expect(shown["state"] == .string("waiting") && shown["assignee_id"] == zeynep)
    #expect(try await api.send(.get, "/v1/drafts", as: "zeynep").rows().allSatisfy { $0["conversation_id"]?.string != thread.id })
    // Sales may see it, not answer it.
    #expect(try await api.send(.post, thread.path + "/reply", as: "mehmet", json: ["text": "x"]).status == 403)
  }

  @Test("a suppressed address is not answered: nothing is stored but the refusal")
  func refusedReply() async throws {
    let api = try await TestAPI.suite()
    let thread = try await conversation(api, from: "engelli@uzak.example")
    try await api.behind(
      "INSERT INTO crm.suppression (address_token, channel, reason, scope) SELECT crm.address_token('email', 'engelli@uzak.example'), 'email', 'hard_bounce', 'all'"
    )
    let answer = try await api.send(.post, thread.path + "/reply", as: "zeynep", json: ["text": "x"])
    #expect(try answer.json()["state"] == .string("refused"), "\(answer.text)")
    #expect(try answer.json()["reason"] == .string("suppressed"))
    #expect(try await api.send(.get, thread.path, as: "zeynep").json()["interaction_count"] == .number(1))
    let message = try answer.json()["message_id"]?.string
    #expect(try await api.behind("SELECT 1 FROM crm.message_refusal WHERE message_id = \(message)::uuid").count == 1)
  }

  @Test("a call is not answered in writing")
  func unanswerable() async throws {
    let api = try await TestAPI.suite()
    let customer = try await Mailroom.customer(api, "Arayan", email: "arayan@bilinen.example", department: "service")
    let call = try await api.send(.post, "/v1/conversations", as: "zeynep", json: ["customer_id": .string(customer.lowercase), "channel": "phone"])
    #expect(call.status == 201, "\(call.text)")
    let answer = try await api.send(.post, "/v1/conversations/\(try call.json()["id"]?.string ?? "")/reply", as: "zeynep", json: ["text": "x"])
    #expect(answer.problem == "cannot-answer")
  }

  @Test("a note is the service's alone, and names only who may read it")
  func notes() async throws {
    let api = try await TestAPI.suite()
    let thread = try await conversation(api)
    let note = try await api.send(
      .post, thread.path + "/notes", as: "zeynep", json: ["text": "Dikkat", "mentions": [try await user(api, "burak")]])
    #expect(note.status == 201, "\(note.text)")
    let id = try #require(try note.json()["id"]?.string)
    #expect(try await api.send(.get, "/v1/notices", as: "burak").rows().contains { $0["record_id"]?.string == id && $0["kind"] == .string("mention") })
    #expect(try await api.send(.get, "/v1/internal_notes/\(id)", as: "ayse").status == 403)
    let leak = try await api.send(
      .post, thread.path + "/notes", as: "zeynep", json: ["text": "Dikkat", "mentions": [try await user(api, "ayse")]])
    #expect(leak.status == 422 && leak.fieldErrors == ["/mentions reference"])
    #expect(try await api.send(.get, "/v1/notices", as: "ayse").rows().allSatisfy { $0["kind"] != .string("mention") })
    #expect(try await api.send(.post, thread.path + "/notes", as: "ayse", json: ["text": "x"]).status == 403)
  }

  @Test("who else is there shows until their heartbeat ends or they leave")
  func presence() async throws {
    let api = try await TestAPI.suite()
    let thread = try await conversation(api)
    func others(_ person: String, _ activity: String) async throws -> [String] {
      let answer = try await api.send(.post, thread.path + "/attend", as: person, json: ["activity": .string(activity)])
      return try answer.json()["others"]?.array?.map { "\($0["name"]?.string ?? "?") \($0["activity"]?.string ?? "?")" } ?? []
    }
    #expect(try await others("zeynep", "answering") == [])
    #expect(try await others("burak", "reading") == ["Zeynep Çelik answering"])
    try await api.behind("UPDATE crm.conversation_presence SET until = now() - interval '1 second' WHERE activity = 'answering'")
    #expect(try await others("burak", "reading") == [])
    #expect(try await others("zeynep", "left") == ["Burak Öztürk reading"])
    #expect(try await others("burak", "left") == [])
    #expect(try await api.send(.post, thread.path + "/attend", as: "emre", json: ["activity": "reading"]).status == 403)
  }

  @Test("unread counts are each person's own")
  func unread() async throws {
    let api = try await TestAPI.start()
    let thread = try await conversation(api)
    func counts(_ person: String) async throws -> JSON { try #require(try await api.send(.get, "/v1/inbox/counts", as: person).rows().first) }
    #expect(try await counts("zeynep")["unassigned_unread"] == .number(1))
    #expect(try await api.send(.post, thread.path + "/read", as: "zeynep", json: [:]).status == 204)
    #expect(try await counts("zeynep")["unassigned_unread"] == .number(0))
    #expect(try await counts("burak")["unassigned_unread"] == .number(1))
    #expect(try await api.send(.get, "/v1/inbox/unread", as: "burak").rows().map { $0["id"]?.string } == [thread.id])
    #expect(try await api.send(.post, thread.path + "/read", as: "zeynep", json: ["unread": true]).status == 204)
    #expect(try await counts("zeynep")["unassigned_unread"] == .number(1))
    #expect(try await api.send(.post, thread.path + "/assign", as: "zeynep", json: ["user_id": try await user(api, "zeynep")]).status == 200)
    #expect(try await counts("zeynep")["mine_unread"] == .number(1))
    #expect(try await counts("burak")["unassigned"] == .number(0))
  }

  @Test("what waits is counted as far as each sees it, however it is seen")
  func countingByReach() async throws {
    let api = try await TestAPI.start()
    try await api.behind(
      """
      INSERT INTO crm.customer (id, kind, name, department_id) SELECT md5('c' || n)::uuid, 'person', 'x', d.id
        FROM generate_series(1, 20) AS n JOIN crm.department AS d ON d.code = 'service'
      """)
    try await api.behind(
      """
      INSERT INTO crm.conversation (customer_id, id, channel, state, assignee_id, last_interaction_at, last_direction, department_id, owner_id, participants, visibility)
      SELECT md5('c' || 1 + n % 20)::uuid, md5('k' || n)::uuid, 'email', CASE WHEN n % 11 = 0 THEN 'done' ELSE 'open' END, CASE WHEN n % 5 = 0 THEN u.id END,
             now() - n * interval '1 minute', CASE WHEN n % 3 = 0 THEN 'out' ELSE 'in' END, d.id, CASE WHEN n % 4 = 0 OR v.name = 'private' THEN u.id END,
             CASE WHEN n % 7 = 0 THEN ARRAY[p.id] ELSE '{}' END, v.name
        FROM generate_series(1, 600) AS n
        JOIN LATERAL (SELECT x.id FROM crm.department AS x WHERE x.code IN ('sales', 'service', 'marketing') ORDER BY x.code OFFSET n % 3 LIMIT 1) AS d ON true
        JOIN LATERAL (SELECT x.id FROM crm.app_user AS x WHERE x.kind = 'person' ORDER BY x.email OFFSET n % 8 LIMIT 1) AS u ON true
        JOIN LATERAL (SELECT x.id FROM crm.app_user AS x WHERE x.kind = 'person' ORDER BY x.email OFFSET n % 9 LIMIT 1) AS p ON true
        JOIN LATERAL (SELECT (ARRAY['company', 'department', 'private'])[1 + n / 3 % 3] AS name) AS v ON true
      """)
    try await api.behind(
      """
      INSERT INTO crm.conversation_reader (customer_id, conversation_id, user_id, read_at)
      SELECT c.customer_id, c.id, u.id, now() FROM crm.conversation AS c JOIN crm.app_user AS u ON true
       WHERE hashtext(c.id::text || u.id::text) % 4 = 0
      """)
    for person in ["deniz", "ayse", "mehmet", "elif", "zeynep", "fatma"] {
      let user = try #require(try await api.caller(person).userID)
      let counts = try #require(try await api.send(.get, "/v1/inbox/counts", as: person).rows().first)
      let seen = try await Database(pool: api.database.app).read(
        as: try await api.caller(person),
        """
        SELECT count(*) AS all, count(*) FILTER (WHERE c.last_direction = 'in' AND r.read_at IS NULL) AS unread FROM crm.conversation AS c
          LEFT JOIN crm.conversation_reader AS r ON r.customer_id = c.customer_id AND r.conversation_id = c.id AND r.user_id = \(user)
         WHERE c.assignee_id IS NULL AND c.state = 'open'
        """)[0]
      #expect(try counts["unassigned"] == .number(Decimal(seen.decode(Int.self, "all"))), "\(person)")
      #expect(try counts["unassigned_unread"] == .number(Decimal(seen.decode(Int.self, "unread"))), "\(person)")
      #expect(try seen.decode(Int.self, "all") > 50)
    }
  }

  @Test("what arrives behind a later answer or reading is unread, and opens its conversation again")
  func lateArrival() async throws {
    let api = try await TestAPI.start()
    let sender = "gecikmis@uzak.example"
    let thread = try await conversation(api, from: sender)
    func unread(_ person: String) async throws -> JSON? { try await api.send(.get, "/v1/inbox/counts", as: person).rows().first?["mine_unread"] }
    let first = try await api.behind("SELECT external_id FROM crm.interaction WHERE conversation_id = \(thread.id)::uuid")[0].decode(String.self, "external_id")
    #expect(try await api.send(.post, thread.path + "/assign", as: "zeynep", json: ["user_id": try await user(api, "zeynep")]).status == 200)
    #expect(try await api.send(.post, thread.path + "/read", as: "zeynep", json: [:]).status == 204)
    #expect(try await unread("zeynep") == .number(0))
    // It lay in the mailbox for a while before anybody looked there.
    try await thread.box.receive(from: sender, answering: [first], at: Date().addingTimeInterval(-120))
    #expect(try await unread("zeynep") == .number(1))
    #expect(try await api.send(.post, thread.path + "/reply", as: "zeynep", json: ["text": "Hallettik.", "close": true]).status == 200)
    #expect(try await api.send(.post, thread.path + "/read", as: "zeynep", json: [:]).status == 204)
    try await thread.box.receive(from: sender, answering: [first], at: Date().addingTimeInterval(-60))
    #expect(try await api.send(.get, thread.path, as: "zeynep").json()["state"] == .string("open"))
    #expect(try await unread("zeynep") == .number(1))
    #expect(try await api.send(.get, "/v1/inbox/unread", as: "zeynep").rows().map { $0["id"]?.string } == [thread.id])
    // What a colleague writes down of last week is no news.
    #expect(try await api.send(.post, thread.path + "/close", as: "zeynep", json: [:]).status == 200)
    #expect(try await api.send(.post, thread.path + "/read", as: "zeynep", json: [:]).status == 204)
    let customer = try #require(try await api.send(.get, thread.path, as: "zeynep").json()["customer_id"])
    let noted = try await api.send(
      .post, "/v1/interactions", as: "zeynep",
      json: [
        "customer_id": customer, "conversation_id": .string(thread.id), "channel": "phone", "direction": "in", "kind": "call",
        "occurred_at": .string(Date().addingTimeInterval(-7 * 86_400).formatted(.iso8601)),
      ])
    #expect(noted.status == 201, "\(noted.text)")
    #expect(try await api.send(.get, thread.path, as: "zeynep").json()["state"] == .string("done"))
    #expect(try await api.send(.get, "/v1/inbox/unread", as: "zeynep").rows().isEmpty)
  }

  @Test("whoever may not read a conversation any more is not told of it, and is not given it")
  func outOfSight() async throws {
    let api = try await TestAPI.start()
    let sender = "kapanan@uzak.example"
    let thread = try await conversation(api, from: sender)
    for person in ["ayse", "burak"] { #expect(try await api.send(.post, thread.path + "/follow", as: person, json: [:]).status == 204) }
    #expect(try await api.send(.patch, thread.path, as: "zeynep", json: ["visibility": "department"]).status == 200)
    let first = try await api.behind("SELECT external_id FROM crm.interaction WHERE conversation_id = \(thread.id)::uuid")[0].decode(String.self, "external_id")
    try await thread.box.receive(from: sender, answering: [first])
    #expect(try await api.send(.get, "/v1/notices/count", as: "burak").rows().first?["unread"] == .number(1))
    #expect(try await api.send(.get, "/v1/notices/count", as: "ayse").rows().first?["unread"] == .number(0))
    let given = try await api.send(.post, thread.path + "/assign", as: "zeynep", json: ["user_id": try await user(api, "ayse")])
    #expect(given.status == 422 && given.fieldErrors == ["/user_id reference"], "\(given.text)")
    #expect(try await api.send(.get, thread.path, as: "zeynep").json()["assignee_id"] == .null)
    #expect(try await api.send(.get, "/v1/inbox/counts", as: "ayse").rows().first?["following_unread"] == .number(0))
  }

  @Test("followers are told of what comes in, in the list and, unread, in one mail")
  func following() async throws {
    let api = try await TestAPI.start()
    let thread = try await conversation(api, from: "izlenen@uzak.example")
    #expect(try await api.send(.post, thread.path + "/follow", as: "ayse", json: [:]).status == 204)
    let first = try await api.behind("SELECT external_id FROM crm.interaction WHERE conversation_id = \(thread.id)::uuid")[0].decode(String.self, "external_id")
    try await thread.box.receive(from: "izlenen@uzak.example", answering: [first])
    #expect(try await api.send(.get, "/v1/notices/count", as: "ayse").rows().first?["unread"] == .number(1))
    #expect(try await api.send(.get, "/v1/notices", as: "ayse").rows().first?["kind"] == .string("message"))
    let worker = Database(pool: api.database.worker)
    let digests = try await worker.transaction(as: .system("test")) { try await $0.value(Int.self, "SELECT crm.digest_notices(now() + interval '2 hours')") }
    #expect(digests == 1)
    #expect(try await worker.transaction(as: .system("test")) { try await $0.value(Int.self, "SELECT crm.digest_notices(now() + interval '2 hours')") } == 0)
    let mail = try await api.behind("SELECT d.address, d.subject, d.body_text FROM crm.notice_digest AS d")[0]
    #expect(try mail.decode(String.self, "address") == "ayse@carsi.example")
    #expect(try mail.decode(String.self, "subject") == "Okunmamış 1 bildirim")
    #expect(try mail.decode(String.self, "body_text").contains("Yeni mesaj: Kargom nerede"))
    #expect(try await api.send(.post, "/v1/notices/read", as: "ayse", json: [:]).json()["read"] == .number(1))
    #expect(try await api.send(.post, "/v1/notices/read", as: "ayse", json: [:]).json()["read"] == .number(0))
  }
}
