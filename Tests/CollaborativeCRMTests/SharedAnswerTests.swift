import CRMCore
import Foundation
import Gateway
import MuhatapTestKit
import PostgresClient
import Testing

/// Whoever is shared a conversation for writing answers the customer in it, for as long as the share lasts; and who notes what where.
@Suite("Answers in shared conversations")
struct SharedAnswerTests {
  private struct Thread {
    let customer: UUID
    let id: UUID
    var path: String { "/v1/conversations/\(id.lowercase)" }
  }

  private func behind(_ server: TestServer, _ statement: SQL) async throws {
    _ = try await server.database.admin.execute([statement], context: .init(readOnly: false), deadline: .after(.seconds(60)))
  }

  private func user(_ server: TestServer, _ person: String) async throws -> UUID {
    try await server.database.admin.execute(
      ["SELECT u.id FROM crm.app_user AS u WHERE u.email = \(person + "@carsi.example")"], context: .init(readOnly: true), deadline: .after(.seconds(60)))[0][0]
      .decode(at: 0)
  }

  /// A conversation by mail that a department sees and nobody else, with one message of the customer's.
  private func thread(
    _ server: TestServer, department: String = "sales", customer visibility: String = "department", isPrivateTo participants: [UUID] = []
  ) async throws -> Thread {
    let (customer, id, account) = (UUID.v7(), UUID.v7(), UUID.v7())
    try await behind(
      server,
      """
      INSERT INTO crm.customer (id, kind, name, department_id, visibility)
      SELECT \(customer), 'person', 'Soran Müşteri', d.id, \(visibility) FROM crm.department AS d WHERE d.code = \(department)
      """)
    try await behind(
      server,
      """
      INSERT INTO crm.channel_account (id, code, name, channel, provider, address, department_id)
      SELECT \(account), \("box_" + account.lowercase.replacing("-", with: "")), 'Posta', 'email', 'smtp_imap', \("box-\(account.lowercase)@carsi.example"), d.id
        FROM crm.department AS d WHERE d.code = \(department)
      """)
    try await behind(
      server,
      """
      INSERT INTO crm.conversation (customer_id, id, channel, channel_account_id, subject, department_id, owner_id, participants, visibility)
      SELECT \(customer), \(id), 'email', \(account), 'Teklif', d.id, \(participants.first)::uuid, \(participants)::uuid[],
             CASE WHEN \(participants)::uuid[] = '{}' THEN 'department' ELSE 'private' END
        FROM crm.department AS d WHERE d.code = \(department)
      """)
    try await behind(
      server,
      """
      WITH seen AS (SELECT set_config('muhatap.read_customers', '*', true))
      INSERT INTO crm.interaction (customer_id, conversation_id, channel, direction, channel_account_id, external_id, sender, body_text, department_id)
      SELECT c.customer_id, c.id, 'email', 'in', c.channel_account_id, \("<\(id.lowercase)@uzak.example>"), \("soran-\(id.lowercase)@uzak.example"), 'Ne zaman?',
             c.department_id
        FROM crm.conversation AS c, seen WHERE c.customer_id = \(customer) AND c.id = \(id)
      """)
    return Thread(customer: customer, id: id)
  }

  private func share(_ server: TestServer, _ thread: Thread, with person: String, access: String, as owner: String = "ayse") async throws -> String {
    let answer = try await server.send(
      .post, "/v1/shares", as: owner,
      json: [
        "resource": "conversations", "record_id": .string(thread.id.lowercase), "user_id": .string(try await user(server, person).lowercase),
        "access": .string(access), "reason": "Birlikte yanıtlıyoruz",
      ])
    try #require(answer.status == 201, "\(answer.text)")
    // What a caller may do is kept for a while and dropped when it changes.
    #expect(try await eventually(200) { try await server.send(.get, thread.path, as: person) }.status == 200)
    return try answer.json().id
  }

  private func eventually(_ wanted: Int, _ ask: () async throws -> TestServer.Answer) async throws -> TestServer.Answer {
    var answer = try await ask()
    for _ in 0..<400 where answer.status != wanted {
      try await Task.sleep(for: .milliseconds(50))
      answer = try await ask()
    }
    return answer
  }

  @Test("whom a conversation is shared with for writing answers in it with a file, and sees nothing of it when the share has ended", .timeLimit(.minutes(3)))
  func answering() async throws {
    let server = try await TestServer.suite()
    let thread = try await thread(server)
    #expect(try await server.send(.post, thread.path + "/reply", as: "zeynep", json: ["text": "x"]).status == 404)
    let share = try await share(server, thread, with: "zeynep", access: "write")
    #expect(try await server.send(.put, thread.path + "/draft", as: "zeynep", json: ["text": "Yarın"]).status == 204)
    let file = try await server.send(
      .post, thread.path + "/attachments?name=plan.txt", as: "zeynep", body: Array("plan".utf8), headers: ["content-type": "application/octet-stream"])
    try #require(file.status == 201, "\(file.text)")
    let answer = try await server.send(
      .post, thread.path + "/reply", as: "zeynep", json: ["text": "Yarın geliyor.", "attachment_ids": [.string(try file.json().id)]])
    try #require(answer.status == 200, "\(answer.text)")
    #expect(try answer.json()["state"] == "queued")
    let said = try #require(try answer.json()["interaction_id"]?.string)
    // At once, before anybody's rights were looked up anew.
    let shown = try await server.send(.get, "/v1/interactions/\(said)", as: "zeynep")
    #expect(shown.status == 200)
    #expect(try shown.json()["body_text"] == "Yarın geliyor.")
    #expect(try shown.json()["attachment_count"] == 1)
    #expect(try await server.send(.get, "/v1/interactions/\(said)", as: "ayse").status == 200)
    let after = try await server.send(.get, thread.path, as: "zeynep").json()
    // Whose it is stays as it was: who answers by a share neither takes it over nor takes part for ever.
    #expect(after["state"] == "waiting" && after["assignee_id"] == .null && after["participants"] == [])
    #expect(
      try await server.send(.get, "/v1/drafts", as: "zeynep", checked: false).json()["data"]?.array?
        .contains { $0["conversation_id"]?.string == thread.id.lowercase } == false)
    let queued = try await server.database.admin.execute(
      ["SELECT m.address, m.created_by FROM crm.outbound_message AS m WHERE m.customer_id = \(thread.customer)"], context: .init(readOnly: true),
      deadline: .after(.seconds(60)))[0]
    #expect(queued.count == 1)
    #expect(try queued[0].decode(String.self, at: 0) == "soran-\(thread.id.lowercase)@uzak.example")
    #expect(try await queued[0].decode(UUID.self, at: 1) == user(server, "zeynep"))

    #expect(try await server.send(.delete, "/v1/shares/\(share)", as: "ayse").status == 204)
    #expect(try await eventually(404) { try await server.send(.get, thread.path, as: "zeynep") }.status == 404)
    #expect(try await server.send(.post, thread.path + "/reply", as: "zeynep", json: ["text": "x"]).status == 404)
    #expect(try await server.send(.get, "/v1/interactions/\(said)", as: "zeynep").status == 404)
    #expect(try await server.send(.get, "/v1/attachments/\(try file.json().id)", as: "zeynep").status == 404)
  }

  @Test("a share for reading shows a conversation and refuses answers and notes, saying what would help", .timeLimit(.minutes(3)))
  func readingOnly() async throws {
    let server = try await TestServer.suite()
    let thread = try await thread(server)
    _ = try await share(server, thread, with: "burak", access: "read")
    for (path, body) in [("/reply", ["text": "x"]), ("/notes", ["text": "x"]), ("/close", [:])] as [(String, JSON)] {
      let refused = try await server.send(.post, thread.path + path, as: "burak", json: body, headers: ["accept-language": "en"])
      #expect(refused.status == 403 && refused.text.contains("share it with you for writing"), "\(path): \(refused.text)")
    }
    let file = try await server.send(
      .post, thread.path + "/attachments?name=plan.txt", as: "burak", body: Array("plan".utf8), headers: ["content-type": "application/octet-stream"])
    #expect(file.status == 403, "\(file.text)")
    #expect(try await server.send(.get, thread.path, as: "burak").json()["state"] == "open")
  }

  @Test("the answer stands in the timeline and is told live to everybody who sees the conversation", .timeLimit(.minutes(3)))
  func shown() async throws {
    let server = try await TestServer.start { $0.limits.live.interval = .milliseconds(20) }
    let thread = try await thread(server, customer: "company")
    _ = try await share(server, thread, with: "zeynep", access: "write")
    let streams = [
      try await EventStream(server, "/v1/events?resource=interactions", as: "zeynep"),
      try await EventStream(server, "/v1/events?resource=interactions", as: "ayse"),
    ]
    // The first thing a stream says is from where it tells.
    for stream in streams { _ = try await stream.next() }
    let answer = try await server.send(.post, thread.path + "/reply", as: "zeynep", json: ["text": "Bakıyorum."])
    try #require(answer.status == 200, "\(answer.text)")
    let said = try #require(try answer.json()["interaction_id"]?.string)
    for stream in streams { #expect(try await stream.changes(upTo: said).last?.recordID == said) }
    for (person, sees) in [("zeynep", true), ("ayse", true), ("burak", false)] {
      let timeline = try await server.send(.get, "/v1/customers/\(thread.customer.lowercase)/timeline", as: person)
      try #require(timeline.status == 200, "\(timeline.text)")
      #expect(timeline.text.contains(said) == sees, "\(person): \(timeline.text)")
    }
    try await server.application.stop()
  }

  @Test("whom a conversation is shared with for writing notes things and reads the notes there, as far as they read the service's", .timeLimit(.minutes(3)))
  func noting() async throws {
    let server = try await TestServer.suite()
    let thread = try await thread(server)
    let share = try await share(server, thread, with: "zeynep", access: "write")
    let note = try await server.send(
      .post, thread.path + "/notes", as: "zeynep",
      json: ["text": "İskonto sözü verildi", "mentions": [.string(try await user(server, "deniz").lowercase)]])
    try #require(note.status == 201, "\(note.text)")
    let path = "/v1/internal_notes/\(try note.json().id)"
    #expect(try await server.send(.get, path, as: "zeynep").status == 200)
    // Who may not read it is not named in it, and does not.
    let burak = try await user(server, "burak").lowercase
    #expect(try await server.send(.post, thread.path + "/notes", as: "zeynep", json: ["text": "x", "mentions": [.string(burak)]]).status == 422)
    #expect(try await server.send(.get, path, as: "burak").status == 404)
    #expect(try await server.send(.get, path, as: "ayse").status == 403)
    #expect(try await server.send(.delete, "/v1/shares/\(share)", as: "ayse").status == 204)
    #expect(try await eventually(404) { try await server.send(.get, path, as: "zeynep") }.status == 404)
    #expect(try await server.send(.post, thread.path + "/notes", as: "zeynep", json: ["text": "x"]).status == 404)
  }

  @Test("who takes part in a private conversation notes things there, and nobody else reads them", .timeLimit(.minutes(3)))
  func privateNotes() async throws {
    let server = try await TestServer.suite()
    let (zeynep, burak) = (try await user(server, "zeynep"), try await user(server, "burak"))
    let both = try await thread(server, department: "service", isPrivateTo: [zeynep, burak])
    let note = try await server.send(
      .post, both.path + "/notes", as: "burak", json: ["text": "Aramızda", "mentions": [.string(zeynep.lowercase)]])
    try #require(note.status == 201, "\(note.text)")
    for person in ["burak", "zeynep"] {
      #expect(try await server.send(.get, "/v1/internal_notes/\(try note.json().id)", as: person).status == 200, "\(person)")
    }
    let alone = try await thread(server, department: "service", isPrivateTo: [zeynep])
    let own = try await server.send(.post, alone.path + "/notes", as: "zeynep", json: ["text": "Yalnız"])
    try #require(own.status == 201, "\(own.text)")
    let path = "/v1/internal_notes/\(try own.json().id)"
    #expect(try await server.send(.post, alone.path + "/notes", as: "burak", json: ["text": "x"]).status == 404)
    #expect(try await server.send(.get, path, as: "burak").status == 404)
    // Whoever is written to later takes part from then on.
    try await behind(server, "UPDATE crm.conversation SET participants = \([zeynep, burak])::uuid[] WHERE customer_id = \(alone.customer) AND id = \(alone.id)")
    #expect(try await server.send(.get, path, as: "burak").status == 200)
    #expect(try await server.send(.post, alone.path + "/notes", as: "burak", json: ["text": "Ben de"]).status == 201)
  }
}
