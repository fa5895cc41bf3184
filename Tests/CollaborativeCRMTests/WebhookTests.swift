import CRMCore
import CollaborativeCRM
import Foundation
import Gateway
import Logging
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("Webhooks")
struct WebhookTests {
  private struct Unsettled: Error {}

  private static func sender(_ server: TestServer, allowsLoopback: Bool = true) -> WebhookSender {
    WebhookSender(
      database: Database(pool: server.database.worker), configuration: .init(allowsLoopback: allowsLoopback, patience: .seconds(60)),
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
  }

  private static func system(_ server: TestServer, _ statement: SQL) async throws {
    try await Database(pool: server.database.worker).transaction(as: .system("test"), deadline: .after(.seconds(60))) { tx in _ = try await tx.run(statement) }
  }

  private static func webhook(_ server: TestServer, _ receiver: WebhookReceiver, resources: [String] = ["customers"], as person: String = "deniz")
    async throws -> (id: String, secret: String)
  {
    let answer = try await server.send(
      .post, "/v1/webhooks", as: person,
      json: ["name": "test", "url": .string("http://127.0.0.1:\(receiver.port)/hook?a=1"), "resources": .array(resources.map(JSON.string))])
    #expect(answer.status == 201, "\(answer.text)")
    let json = try answer.json()
    return (try #require(json["id"]?.string), try #require(json["secret"]?.string))
  }

  private static func customer(_ server: TestServer, _ name: String, visibility: String = "company", as person: String = "deniz") async throws -> String {
    let answer = try await server.send(
      .post, "/v1/customers", as: person, json: ["name": .string(name), "kind": "organisation", "visibility": .string(visibility)])
    return try #require(try answer.json()["id"]?.string, "\(answer.text)")
  }

  private static func deliveries(_ server: TestServer, _ id: String, as person: String = "deniz") async throws -> [JSON] {
    try await server.send(.get, "/v1/webhooks/\(id)/deliveries", as: person).json()["data"]?.array ?? []
  }

  /// Rounds until everything that has happened was made into messages, and every message that is due was tried.
  private static func settle(_ sender: WebhookSender, _ server: TestServer) async throws {
    let deadline = ContinuousClock.now + .seconds(240)
    while ContinuousClock.now < deadline {
      let served = try await sender.round()
      // The log is read behind every running transaction of the cluster, those of other tests included.
      let behind = try await Database(pool: server.database.worker).read(
        as: .system("test"), deadline: .after(.seconds(60)),
        """
        SELECT 1 FROM crm.webhook_state AS s JOIN crm.webhook AS w ON w.id = s.webhook_id
        WHERE w.is_active AND coalesce(s.closed_until < now(), true) AND EXISTS (SELECT FROM crm.change AS c WHERE (c.xid, c.seq) > (s.xid, s.seq))
        """)
      if served == 0, behind.count == 0 { return }
      try await Task.sleep(for: .milliseconds(20))
    }
    throw Unsettled()
  }

  private static func verify(_ messages: [(secret: String, message: WebhookReceiver.Message)]) async throws -> [String] {
    let lines = try messages.map { secret, message in
      String(
        decoding: try JSON.object([
          "secret": .string(secret), "body": .string(String(decoding: message.body, as: UTF8.self)), "headers": .object(message.headers.mapValues(JSON.string)),
        ]).encoded(), as: UTF8.self)
    }
    let file = FileManager.default.temporaryDirectory.appending(path: "webhooks-\(UUID().uuidString)")
    try Data(lines.joined(separator: "\n").utf8).write(to: file)
    defer { try? FileManager.default.removeItem(at: file) }
    let python = try await Command("scripts/python", []).run().trimmingCharacters(in: .whitespacesAndNewlines)
    let output = try await Command("/bin/sh", ["-c", "\(python) Tests/clients/webhook_check.py < \(file.path)"]).run()
    return output.split(separator: "\n").map(String.init)
  }

  @Test("messages are signed as Standard Webhooks, with both secrets while they change over", .timeLimit(.minutes(15)))
  func signatures() async throws {
    let server = try await TestServer.start()
    let receiver = try await WebhookReceiver()
    let sender = Self.sender(server)
    let (id, first) = try await Self.webhook(server, receiver)
    let ada = try await Self.customer(server, "Ada Çelik")
    try await Self.settle(sender, server)
    let rotated = try await server.send(.post, "/v1/webhooks/\(id)/rotate_secret", json: ["hours": 1]).json()
    let second = try #require(rotated["secret"]?.string)
    #expect(second != first)
    let grace = try await Self.customer(server, "Grace")
    try await Self.settle(sender, server)
    try await Self.system(server, "UPDATE crm.webhook_state SET previous_until = now() - interval '1 second'")
    _ = try await Self.customer(server, "Edsger")
    try await Self.settle(sender, server)
    let messages = receiver.messages
    #expect(messages.count == 3)
    #expect(messages.map(\.record).prefix(2) == [ada, grace])
    let message = try #require(messages.first)
    #expect(message.json["type"]?.string == "customers.insert")
    #expect(message.json["timestamp"]?.string != nil)
    #expect(message.json["data"]?["after"]?["name"]?.string == "Ada Çelik")
    #expect(message.headers["content-type"] == "application/json")
    guard messages.count == 3 else { return }
    let verdicts = try await Self.verify([
      (first, messages[0]), (second, messages[0]), (first, messages[1]), (second, messages[1]), (first, messages[2]), (second, messages[2]),
    ])
    #expect(verdicts.map { $0 == "ok" } == [true, false, true, true, false, true], "\(verdicts)")
    // The secret is not shown again.
    let shown = try await server.send(.get, "/v1/webhooks/\(id)")
    #expect(!shown.text.contains("whsec"))
    #expect(!shown.text.contains("secret"))
    #expect(try await server.send(.post, "/v1/webhooks/\(id)/rotate_secret", as: "ayse", json: [:]).status == 403)
    try await server.application.stop()
  }

  @Test("a message says that a sensitive field had a value, and not which")
  func withheld() async throws {
    let server = try await TestServer.start()
    let receiver = try await WebhookReceiver()
    let sender = Self.sender(server)
    _ = try await Self.webhook(server, receiver)
    let plain = try await Self.customer(server, "plain")
    let numbered = try await server.send(.post, "/v1/customers", json: ["name": "numbered", "kind": "person", "tax_number": "10000000146"]).json().id
    let change = try await server.send(.patch, "/v1/customers/\(numbered)", json: ["tax_number": .null, "note": "gone"])
    #expect(change.status == 200, "\(change.text)")
    try await Self.settle(sender, server)
    let messages = receiver.messages
    #expect(messages.count == 3 && messages.allSatisfy { !String(decoding: $0.body, as: UTF8.self).contains("10000000146") })
    #expect(messages.filter { $0.record == plain }.map { $0.json["data"]?["withheld"] } == [nil])
    let told = messages.filter { $0.record == numbered }.compactMap { $0.json["data"] }
    #expect(told.count == 2 && told.allSatisfy { $0["withheld"] == ["tax_number"] && $0["after"]?["tax_number"] == nil && $0["before"]?["tax_number"] == nil })
    #expect(told.last?["after"]?["note"] == "gone", "\(told)")
  }

  @Test("a webhook sees what its owner may see, at the time")
  func rights() async throws {
    let server = try await TestServer.start()
    let receiver = try await WebhookReceiver()
    let sender = Self.sender(server)
    // Ayşe may administer her department's webhooks here, and sees no other department's customers.
    try await Self.system(
      server,
      """
      INSERT INTO crm.role_permission (role_id, area, read_scope, write_scope)
      SELECT r.id, 'admin', 'department', 'department' FROM crm.role r WHERE r.code = 'sales_manager'
      """)
    for _ in 0..<600 where try await server.send(.get, "/v1/webhooks", as: "ayse").status != 200 { try await Task.sleep(for: .milliseconds(100)) }
    let (id, _) = try await Self.webhook(server, receiver, as: "ayse")
    let hidden = try await Self.customer(server, "hidden", visibility: "department")
    let open = try await Self.customer(server, "open")
    try await Self.settle(sender, server)
    #expect(receiver.messages.map(\.record) == [open])
    #expect(try await Self.deliveries(server, id, as: "ayse").count == 1)
    // What was waiting when rights went is withheld.
    receiver.behave { _ in (500, nil) }
    _ = try await Self.customer(server, "later")
    try await Self.settle(sender, server)
    let tried = receiver.messages.count
    try await Self.system(
      server, "DELETE FROM crm.role_permission WHERE area = 'customers' AND role_id = (SELECT id FROM crm.role WHERE code = 'sales_manager')")
    try await Self.system(server, "UPDATE crm.webhook_delivery SET next_attempt_at = now()")
    try await Self.settle(sender, server)
    #expect(receiver.messages.count == tried)
    #expect(try await Self.deliveries(server, id).first?["state"]?.string == "withheld")
    #expect(!receiver.messages.contains { $0.record == hidden })
    try await Self.system(server, "UPDATE crm.app_user SET active = false WHERE email = 'ayse@carsi.example'")
    _ = try await Self.customer(server, "after")
    try await Self.settle(sender, server)
    #expect(try await server.send(.get, "/v1/webhooks/\(id)").json()["disabled_why"]?.string == "owner_left")
    // Whoever may not administer makes none.
    let refused = try await server.send(.post, "/v1/webhooks", as: "mehmet", json: ["name": "x", "url": "https://example.com/"])
    #expect(refused.status == 403)
    try await server.application.stop()
  }

  @Test("what is not taken is tried again in order for each record, and a receiver that fails is given rest")
  func retries() async throws {
    let server = try await TestServer.start()
    let receiver = try await WebhookReceiver { _ in (503, nil) }
    let sender = Self.sender(server)
    let (id, _) = try await Self.webhook(server, receiver)
    let one = try await Self.customer(server, "one")
    for number in 1...3 { _ = try await server.send(.patch, "/v1/customers/\(one)", json: ["note": .string("\(number)")]) }
    try await Self.settle(sender, server)
    // Only the first about the record was tried, and waits now.
    #expect(receiver.messages.count == 1)
    let waiting = try await Self.deliveries(server, id)
    #expect(waiting.count == 4)
    #expect(waiting.allSatisfy { $0["state"]?.string == "pending" })
    #expect(waiting.last?["last_status"] == .number(503))
    for _ in 0..<4 {
      try await Self.system(server, "UPDATE crm.webhook_delivery SET next_attempt_at = now() WHERE attempts > 0")
      try await Self.settle(sender, server)
    }
    #expect(receiver.messages.count == 5)
    // Five failures in a row: rest.
    try await Self.system(server, "UPDATE crm.webhook_delivery SET next_attempt_at = now() WHERE attempts > 0")
    try await Self.settle(sender, server)
    #expect(receiver.messages.count == 5)
    receiver.behave { _ in (200, nil) }
    try await Self.system(server, "UPDATE crm.webhook_state SET closed_until = now() - interval '1 second'")
    try await Self.settle(sender, server)
    #expect(try await Self.deliveries(server, id).allSatisfy { $0["state"]?.string == "delivered" })
    let taken = receiver.messages.suffix(4)
    #expect(taken.map { $0.json["data"]?["after"]?["note"]?.string } == [nil, "1", "2", "3"])
    let log = try await Self.deliveries(server, id)
    let older = try await server.send(.get, "/v1/webhooks/\(id)/deliveries?before=\(log[1]["message_id"]?.string ?? "")").json()
    #expect(older["data"]?.array == Array(log.dropFirst(2)))
    #expect(try await server.send(.get, "/v1/webhooks/\(id)/deliveries?before=msg_x").status == 400)
    #expect(Set(receiver.messages.map(\.id)).count == 4, "a message keeps its id")
    // After the tenth attempt it is given up, and the next about the record has its turn.
    receiver.behave { _ in (500, nil) }
    _ = try await server.send(.patch, "/v1/customers/\(one)", json: ["note": "4"])
    try await Self.settle(sender, server)
    try await Self.system(server, "UPDATE crm.webhook_delivery SET attempts = 9, next_attempt_at = now() WHERE state = 'pending'")
    try await Self.system(server, "UPDATE crm.webhook_state SET closed_until = NULL")
    try await Self.settle(sender, server)
    #expect(try await Self.deliveries(server, id).first?["state"]?.string == "failed")
    try await server.application.stop()
  }

  @Test("410 turns a webhook off; redirects lead nowhere; replay sends again with the same ids")
  func goneAndReplay() async throws {
    let server = try await TestServer.start()
    let receiver = try await WebhookReceiver()
    let other = try await WebhookReceiver()
    let sender = Self.sender(server)
    let (id, _) = try await Self.webhook(server, receiver)
    let cursor = try #require(try await server.send(.get, "/v1/changes?limit=1000").json()["next_cursor"]?.string)
    let one = try await Self.customer(server, "one")
    let two = try await Self.customer(server, "two")
    try await Self.settle(sender, server)
    let before = receiver.messages
    #expect(Set(before.map(\.record)) == [one, two])
    receiver.forget()
    #expect(try await server.send(.post, "/v1/webhooks/\(id)/replay", json: ["after": .string(cursor)]).status == 204)
    try await Self.settle(sender, server)
    #expect(receiver.messages.map(\.id).sorted() == before.map(\.id).sorted())
    #expect(try await server.send(.post, "/v1/webhooks/\(id)/replay", json: ["after": "nonsense"]).status == 400)
    #expect(try await server.send(.post, "/v1/webhooks/\(id)/replay", json: [:]).status == 422)
    receiver.forget()
    let target = "http://127.0.0.1:\(other.port)/"
    receiver.behave { _ in (307, target) }
    _ = try await Self.customer(server, "three")
    try await Self.settle(sender, server)
    #expect(receiver.messages.count == 1)
    #expect(other.messages.isEmpty)
    receiver.behave { _ in (410, nil) }
    try await Self.system(server, "UPDATE crm.webhook_delivery SET next_attempt_at = now()")
    try await Self.settle(sender, server)
    let off = try await server.send(.get, "/v1/webhooks/\(id)").json()
    #expect(off["is_active"] == .bool(false))
    #expect(off["disabled_why"]?.string == "gone")
    receiver.forget()
    _ = try await Self.customer(server, "four")
    try await Self.settle(sender, server)
    #expect(receiver.messages.isEmpty)
    // Turned on again it goes on where it was.
    receiver.behave { _ in (204, nil) }
    #expect(try await server.send(.patch, "/v1/webhooks/\(id)", json: ["is_active": true]).json()["disabled_why"] == .null)
    try await Self.settle(sender, server)
    #expect(receiver.messages.count == 1)
    try await server.application.stop()
  }

  @Test("only its owner says where a webhook's messages go; it is told of resources that there are", .timeLimit(.minutes(10)))
  func address() async throws {
    let server = try await TestServer.start()
    let receiver = try await WebhookReceiver()
    let (id, _) = try await Self.webhook(server, receiver)
    try await Self.system(
      server,
      """
      INSERT INTO crm.user_role (user_id, role_id) SELECT u.id, r.id FROM crm.app_user u, crm.role r
      WHERE u.email = 'ayse@carsi.example' AND r.code = 'administrator'
      """)
    var renamed = 0
    for _ in 0..<1_200 where renamed != 200 {
      renamed = try await server.send(.patch, "/v1/webhooks/\(id)", as: "ayse", json: ["name": "Depo"]).status
      if renamed != 200 { try await Task.sleep(for: .milliseconds(50)) }
    }
    #expect(renamed == 200)
    #expect(try await server.send(.patch, "/v1/webhooks/\(id)", as: "ayse", json: ["url": "https://elsewhere.example/"]).status == 403)
    #expect(try await server.send(.patch, "/v1/webhooks/\(id)", as: "ayse", json: ["is_active": false]).status == 200)
    #expect(try await server.send(.patch, "/v1/webhooks/\(id)", json: ["url": "https://elsewhere.example/"]).status == 200)
    #expect(try await server.send(.patch, "/v1/webhooks/\(id)", json: ["resources": ["custommers"]]).status == 422)
    #expect(try await server.send(.patch, "/v1/webhooks/\(id)", json: ["resources": ["customers", "contacts"]]).status == 200)
    try await server.application.stop()
  }

  @Test("a key that was narrowed changes neither a webhook's address nor its secret, also its owner's", .timeLimit(.minutes(10)))
  func narrowedKey() async throws {
    let server = try await TestServer.start()
    let receiver = try await WebhookReceiver()
    let (id, _) = try await Self.webhook(server, receiver)
    let made = try await server.send(.post, "/v1/api_keys", json: ["name": "dar", "scopes": ["admin:write"]])
    #expect(made.status == 201, "\(made.text)")
    let key = try #require(try made.json()["key"]?.string)
    let narrow = ["authorization": "Bearer \(key)", "accept-language": "en"]
    let moved = try await server.send(.patch, "/v1/webhooks/\(id)", json: ["url": "https://elsewhere.example/"], headers: narrow)
    #expect(moved.status == 403 && moved.text.contains("not narrowed"), "\(moved.text)")
    let rotated = try await server.send(.post, "/v1/webhooks/\(id)/rotate_secret", json: [:], headers: narrow)
    #expect(rotated.status == 403 && !rotated.text.contains("whsec"), "\(rotated.text)")
    #expect(try await server.send(.patch, "/v1/webhooks/\(id)", json: ["name": "Depo"], headers: narrow).status == 200)
    #expect(try await server.send(.get, "/v1/webhooks/\(id)").json()["url"]?.string?.contains("127.0.0.1") == true)
    #expect(try await server.send(.patch, "/v1/webhooks/\(id)", json: ["url": "https://elsewhere.example/"]).status == 200)
    try await server.application.stop()
  }

  @Test("a replay leaves nothing out, wherever it is told to begin", .timeLimit(.minutes(10)))
  func replayForward() async throws {
    let server = try await TestServer.start()
    let receiver = try await WebhookReceiver()
    let (id, _) = try await Self.webhook(server, receiver)
    let one = try await Self.customer(server, "one")
    // The feed's own cursor behind it, while nothing was sent yet.
    var cursor: String?
    for _ in 0..<3_600 where cursor == nil {
      let page = try await server.send(.get, "/v1/changes?resource=customers&limit=1000").json()
      if page["data"]?.array?.contains(where: { $0["id"]?.string == one }) == true { cursor = page["next_cursor"]?.string }
      if cursor == nil { try await Task.sleep(for: .milliseconds(50)) }
    }
    #expect(try await server.send(.post, "/v1/webhooks/\(id)/replay", json: ["after": .string(try #require(cursor))]).status == 204)
    #expect(try await server.send(.post, "/v1/webhooks/\(id)/replay", json: ["since": "2099-01-01T00:00:00Z"]).status == 204)
    try await Self.settle(Self.sender(server), server)
    #expect(receiver.messages.map(\.record) == [one])
    try await server.application.stop()
  }

  @Test("a receiver for which enough is waiting costs nothing until something is due", .timeLimit(.minutes(10)))
  func waiting() async throws {
    let server = try await TestServer.start()
    let receiver = try await WebhookReceiver()
    let sender = Self.sender(server)
    let (id, _) = try await Self.webhook(server, receiver)
    try await Self.system(
      server,
      """
      INSERT INTO crm.webhook_delivery (webhook_id, xid, seq, resource, record_id, op, next_attempt_at, department_id, owner_id, audience)
      SELECT w.id, '1'::xid8, n, 'customers', w.id, 'update', now() + interval '1 hour', w.department_id, w.owner_id, w.audience
        FROM crm.webhook AS w, generate_series(1, 1000) AS n WHERE w.id = \(UUID(uuidString: id))
      """)
    let one = try await Self.customer(server, "one")
    let record = UUID(uuidString: one)
    func isOver() async throws -> Bool {
      try await Database(pool: server.database.worker).read(
        as: .system("test"), deadline: .after(.seconds(60)),
        "SELECT 1 FROM crm.change AS c WHERE c.row_id = \(record) AND c.xid < pg_snapshot_xmin(pg_current_snapshot())"
      ).count > 0
    }
    for _ in 0..<3_600 where try await !isOver() { try await Task.sleep(for: .milliseconds(50)) }
    #expect(try await sender.round() == 0)
    try await Self.system(server, "DELETE FROM crm.webhook_delivery WHERE seq > 500")
    try await Self.settle(sender, server)
    #expect(receiver.messages.map(\.record) == [one])
    try await server.application.stop()
  }

  @Test("addresses of networks that are not public are refused, whatever they are called")
  func closedNetworks() async throws {
    let server = try await TestServer.start()
    let receiver = try await WebhookReceiver()
    let sender = Self.sender(server, allowsLoopback: false)
    let (id, _) = try await Self.webhook(server, receiver)
    _ = try await Self.customer(server, "one")
    try await Self.settle(sender, server)
    #expect(receiver.messages.isEmpty)
    #expect(try await Self.deliveries(server, id).first?["last_problem"]?.string?.contains("not public") == true)
    for host in [
      "localhost", "127.1", "2130706433", "0x7f000001", "0.0.0.0", "[::]", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:a9fe:a9fe]", "169.254.169.254", "10.1.2.3",
      "172.31.0.1", "192.168.1.1", "100.64.0.1", "[fe80::1]", "[fd00::1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "224.0.0.1", "255.255.255.255",
      "bücher.example", "ⓛocalhost", "%6cocalhost",
    ] {
      await #expect(throws: OutgoingTarget.Refusal.self, "\(host)") {
        _ = try await OutgoingTarget.resolve("https://\(host)/", allowsLoopback: false)
      }
    }
    #expect(try await OutgoingTarget.resolve("https://93.184.216.34/x", allowsLoopback: false).address == "93.184.216.34")
    #expect(try await OutgoingTarget.resolve("https://[2606:4700::1111]/", allowsLoopback: false).host == "2606:4700::1111")
    await #expect(throws: OutgoingTarget.Refusal.self) { _ = try await OutgoingTarget.resolve("http://93.184.216.34/", allowsLoopback: true) }
    for url in ["ftp://example.com", "https://user@example.com/", "https:///x", "nonsense"] {
      let refused = try await server.send(.post, "/v1/webhooks", json: ["name": "x", "url": .string(url)])
      #expect(refused.status == 422, "\(url)")
    }
    #expect(try await server.send(.post, "/v1/webhooks", json: ["name": "x", "url": "https://example.com", "resources": ["custommers"]]).status == 422)
    try await server.application.stop()
  }
}
