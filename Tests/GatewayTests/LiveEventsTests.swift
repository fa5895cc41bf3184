import CRMCore
import Crypto
import Foundation
import Gateway
import Logging
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("Changes as they happen")
struct LiveEventsTests {
  private static let people = ["deniz", "ayse", "mehmet", "gul", "elif", "zeynep", "fatma", "emre"]

  private static func server(_ configure: (inout GatewayConfiguration) -> Void = { _ in }) async throws -> TestServer {
    try await TestServer.start {
      $0.limits.live.interval = .milliseconds(20)
      configure(&$0)
    }
  }

  private static func system(_ server: TestServer, _ statement: SQL) async throws {
    try await Database(pool: server.database.worker).transaction(as: .system("test"), deadline: .after(.seconds(60))) { tx in _ = try await tx.run(statement) }
  }

  /// A customer of one of every kind of department, owner and visibility, by its number.
  private static func customer(_ number: Int, name: String) -> SQL {
    """
    INSERT INTO crm.customer (name, kind, department_id, owner_id, visibility)
    SELECT \(name), 'organisation', d.id, (SELECT u.id FROM crm.app_user u WHERE u.email = (ARRAY['ayse', 'mehmet', 'zeynep'])[\(number % 3) + 1] || '@carsi.example'),
      (ARRAY['company', 'department', 'private', 'department'])[\(number % 4) + 1]
    FROM crm.department d WHERE d.code = (ARRAY['sales', 'sales_corporate', 'service', 'marketing', 'company'])[\(number % 5) + 1]
    """
  }

  /// A record everybody sees, to know that all before it has come.
  private static func mark(_ server: TestServer) async throws -> String {
    let name = "mark-\(UUID().uuidString.prefix(8))"
    let answer = try await server.send(.post, "/v1/customers", json: ["name": .string(name), "kind": "organisation", "visibility": "company"])
    return try #require(try answer.json()["id"]?.string)
  }

  /// What `GET /v1/changes` shows a person behind a cursor, page after page.
  private static func feed(_ server: TestServer, as person: String, after cursor: String, upTo last: String) async throws -> [String] {
    var found: [String] = []
    var cursor = cursor
    for _ in 0..<6_000 {
      let page = try await server.send(.get, "/v1/changes?limit=200&after=\(cursor)", as: person, headers: ["accept-encoding": "identity"], checked: false)
        .json()
      for change in page["data"]?.array ?? [] {
        // Keys are shown to the administrator by the feed, and live to nobody but whose they are.
        if change["resource"]?.string == "api_keys" { continue }
        found.append("\(change["resource"]?.string ?? "") \(change["op"]?.string ?? "") \(change["id"]?.string ?? "")")
        if change["id"]?.string == last { return found }
      }
      cursor = page["next_cursor"]?.string ?? cursor
      if (page["data"]?.array ?? []).isEmpty { try await Task.sleep(for: .milliseconds(20)) }
    }
    throw RawConnection.Failure(description: "the feed never showed \(last)")
  }

  @Test("everybody sees each change that row-level security shows them once and in order, however often they reconnect", .timeLimit(.minutes(15)))
  func onceInOrder() async throws {
    let server = try await Self.server { $0.limits.live.memory = 20_000 }
    // Those who cannot read customers see no mark; they are held against the feed by themselves.
    let people = Self.people.filter { $0 != "emre" }
    var streams: [String: EventStream] = [:]
    var starts: [String: String] = [:]
    for person in people {
      let stream = try await EventStream(server, as: person)
      let first = try #require(try await stream.next())
      #expect(first.type == "heartbeat")
      starts[person] = first.id
      streams[person] = stream
    }
    let blind = try await EventStream(server, as: "emre")
    async let changes: Void = withThrowingTaskGroup(of: Void.self) { group in
      for writer in 0..<4 {
        group.addTask {
          for number in 0..<60 {
            // Several in one transaction, some long, so that transactions end in another order than they began.
            try await Database(pool: server.database.worker).transaction(as: .system("test"), deadline: .after(.seconds(60))) { tx in
              for part in 0...(number % 3) { _ = try await tx.run(Self.customer(number + part + writer, name: "c-\(writer)-\(number)-\(part)")) }
              if number % 7 == 0 { _ = try await tx.run("SELECT pg_sleep(0.03)") }
              if number % 5 == 0 { _ = try await tx.run("UPDATE crm.customer SET note = \("n\(number)") WHERE name = \("c-\(writer)-\(number - 5)-0")") }
            }
          }
        }
      }
      try await group.waitForAll()
    }
    var seen: [String: [EventStream.Event]] = [:]
    // Each reconnects while changes pour in, some of them late, when what they missed has left memory.
    for round in 0..<6 {
      for (number, person) in people.enumerated() {
        guard let stream = streams[person] else { continue }
        for _ in 0..<(number + round) % 9 {
          if let event = try? await stream.nextChange(within: .milliseconds(300)) { seen[person, default: []].append(event) }
        }
        if (number + round) % 2 == 0 {
          let id = stream.lastID
          stream.close()
          streams[person] = try await EventStream(server, as: person, after: id)
        }
      }
    }
    try await changes
    let last = try await Self.mark(server)
    for person in people {
      let stream = try #require(streams[person])
      seen[person, default: []] += try await stream.changes(upTo: last)
      let told = (seen[person] ?? []).filter { $0.resource != "api_keys" }.map { "\($0.resource ?? "") \($0.data["op"]?.string ?? "") \($0.recordID ?? "")" }
      let expected = try await Self.feed(server, as: person, after: try #require(starts[person]), upTo: last)
      #expect(told == expected, "\(person): \(told.count) told, \(expected.count) in the log")
    }
    #expect(Set(seen.values.map(\.count)).count > 2, "the people see different things, or this test proves nothing")
    blind.close()
    while let change = try await blind.nextChange(within: .seconds(60)) { #expect(change.resource != "customers") }
    try await server.application.stop()
  }

  @Test("what is decided in memory is what row-level security decides, for every kind of protection")
  func sameAsPolicies() async throws {
    let database = try await TestDatabase.clone()
    let server = try await TestServer.start(on: database)
    for number in 0..<60 { try await Self.system(server, Self.customer(number, name: "k-\(number)")) }
    for person in Self.people { _ = try await server.key(of: person) }
    for person in ["ayse", "elif"] {
      _ = try await server.send(.post, "/v1/calendar_feeds", as: person, json: ["name": "mine"], checked: false)
    }
    try await Self.system(server, "UPDATE crm.customer SET visibility = 'company' WHERE name = 'k-2'")
    try await Self.system(
      server,
      "INSERT INTO crm.sales_order (customer_id, ordered_at, department_id, visibility) SELECT c.id, now(), c.department_id, 'department' FROM crm.customer c")
    // Those who took part see what is private; the department's colleagues do not.
    try await Self.system(
      server,
      """
      INSERT INTO crm.conversation (customer_id, channel, department_id, owner_id, visibility, participants)
      SELECT c.id, 'email', c.department_id, u.id, 'private', ARRAY(SELECT p.id FROM crm.app_user p WHERE p.email = 'elif@carsi.example')
      FROM crm.customer c, crm.app_user u WHERE c.name IN ('k-3', 'k-4') AND u.email = 'mehmet@carsi.example'
      """)
    let app = Database(pool: database.app)
    let signer = CursorSigner(key: SymmetricKey(size: .bits256))
    // The log is read behind every running transaction of the cluster, those of other tests included.
    let now = try await app.read(as: .system("test"), "SELECT pg_snapshot_xmax(pg_current_snapshot())::text")
    for _ in 0..<4_000 {
      let open = try await app.read(
        as: .system("test"), "SELECT 1 WHERE pg_snapshot_xmin(pg_current_snapshot()) < \(try now[0].decode(String.self, at: 0))::xid8")
      if open.count == 0 { break }
      try await Task.sleep(for: .milliseconds(50))
    }
    let visibility = try await RowVisibility.read(from: app)
    #expect(visibility.asked.isSuperset(of: ["api_keys", "calendar_feeds"]))
    #expect(visibility.asked.union(visibility.widened).isDisjoint(with: ["customers", "orders", "products", "departments", "currencies"]))
    #expect(visibility.widened.isSuperset(of: ["conversations", "interactions"]))
    let all = try await app.read(as: .system("test"), "SELECT \(LiveChange.columns) FROM crm.changes_told_after('0'::xid8, 0, 100000) c")
    let changes = try (0..<all.count).map { try LiveChange(all, $0, signer: signer) }
    #expect(Set(changes.map(\.resource)).isSuperset(of: ["customers", "orders", "departments", "roles", "api_keys", "calendar_feeds"]))
    var kinds: Set<Bool> = []
    for person in Self.people {
      let found = try await app.read(as: .system("test"), "SELECT u.id FROM crm.app_user u WHERE u.email = \(person + "@carsi.example")")
      let caller = try #require(try await Caller.current(try found[0].decode(UUID.self, at: 0), via: "test", in: app))
      let shown = try await app.read(as: caller, deadline: .after(.seconds(60)), "SELECT c.xid::text, c.seq FROM crm.changes_after('0'::xid8, 0, 100000) c")
      let places = Set(try shown.rows.map { ChangePosition(xid: UInt64(try $0.decode(String.self, at: 0)) ?? 0, sequence: try $0.decode(Int64.self, at: 1)) })
      let decided = try await visibility.readable(changes, by: caller, in: app)
      for change in changes {
        #expect(change.isLogged(for: caller) == places.contains(change.position), "\(person) \(change.resource)")
        let isShown = visibility.shows(change, to: caller, decided: decided)
        kinds.insert(isShown)
        if visibility.asked.contains(change.resource) || visibility.widened.contains(change.resource) && !places.contains(change.position) {
          let row = try await app.read(
            as: caller, deadline: .after(.seconds(60)), "SELECT r.id FROM crm.readable_rows(\([change.resource])::text[], \([change.rowID])::uuid[]) r")
          #expect(isShown == (row.count == 1), "\(person) \(change.resource)")
        } else {
          #expect(isShown == places.contains(change.position))
        }
      }
    }
    #expect(kinds == [true, false])
    // A user's own calendar address is nobody else's, though the log would show it to every administrator.
    let calendars = changes.filter { $0.resource == "calendar_feeds" }
    #expect(calendars.count == 2)
    try await server.application.stop()
  }

  @Test("filters let through the resource and the record asked for, and unknown names are refused with the nearest")
  func filters() async throws {
    let server = try await Self.server()
    let id = try await Self.mark(server)
    let one = try await EventStream(server, "/v1/events?resource=customers,contacts&record=\(id)")
    _ = try await one.next()
    _ = try await Self.mark(server)
    _ = try await server.send(.post, "/v1/contacts", json: ["customer_id": .string(id), "name": "Ada"])
    _ = try await server.send(.patch, "/v1/customers/\(id)", json: ["note": "x"])
    var change = try #require(try await one.nextChange())
    // "Now" may have begun a little before the connection, where other databases of the server held the log back: how the record was made may be told too.
    if change.resource == "customers", change.data["op"] == "insert" { change = try #require(try await one.nextChange()) }
    #expect(change.resource == "contacts")
    change = try #require(try await one.nextChange())
    #expect(change.recordID == id && change.data["after"]?["note"]?.string == "x")
    #expect(change.data["before"]?["note"] == .null)
    let refused = try await server.send(.get, "/v1/events?resource=custommers", checked: false)
    #expect(refused.status == 400)
    #expect(refused.text.contains("customers"))
    #expect(try await server.send(.get, "/v1/events?after=xyz", checked: false).status == 400)
    #expect(try await server.send(.get, "/v1/events", as: nil, checked: false).status == 401)
    // Cursors are those of the feed.
    let page = try await server.send(.get, "/v1/changes?limit=1&after=\(try #require(one.lastID))").json()
    #expect(page["data"]?.array?.isEmpty == true)
    try await server.application.stop()
  }

  @Test("rights that change take effect while connected, and a credential taken back ends the stream")
  func rights() async throws {
    let server = try await Self.server()
    let stream = try await EventStream(server, as: "zeynep")
    _ = try await stream.next()
    let first = try await Self.mark(server)
    _ = try await stream.changes(upTo: first)
    try await Self.system(
      server, "DELETE FROM crm.user_role WHERE user_id = (SELECT id FROM crm.app_user WHERE email = 'zeynep@carsi.example')")
    let other = try await EventStream(server)
    _ = try await other.next()
    var hidden: [String] = []
    for _ in 0..<20 { hidden.append(try await Self.mark(server)) }
    _ = try await other.changes(upTo: try #require(hidden.last))
    await #expect(throws: Command.Failure.self) { _ = try await stream.nextChange(within: .milliseconds(700)) }
    try await Self.system(
      server,
      """
      INSERT INTO crm.user_role (user_id, role_id) SELECT u.id, r.id FROM crm.app_user u, crm.role r
      WHERE u.email = 'zeynep@carsi.example' AND r.code = 'service_agent'
      """)
    // What happened while it was hidden stays hidden: it was passed over.
    var shown: [String] = []
    var seen: String?
    for _ in 0..<120 where seen == nil {
      shown.append(try await Self.mark(server))
      while let change = try? await stream.nextChange(within: .milliseconds(500)) { if change.resource == "customers" { seen = seen ?? change.recordID } }
    }
    #expect(seen.map { shown.contains($0) && !hidden.contains($0) } == true, "the first that is told was made when it was shown again")
    try await Self.system(
      server, "UPDATE crm.api_key SET revoked_at = now() WHERE user_id = (SELECT id FROM crm.app_user WHERE email = 'zeynep@carsi.example')")
    while let event = try await stream.next() {
      if event.type == "end" { #expect(event.data["reason"]?.string == "unauthorized") }
    }
    try await server.application.stop()
  }

  @Test("a client that does not read is cut off, and misses nothing when it comes back", .timeLimit(.minutes(15)))
  func slowClient() async throws {
    let server = try await Self.server {
      $0.deadlines.stalledReader = .seconds(6)
      $0.limits.live.memory = 64 << 10
    }
    let probe = try await EventStream(server)
    let start = try #require(try await probe.next()?.id)
    let slow = try RawConnection(port: try #require(server.application.server.port), receiveBuffer: 4096)
    try await slow.send("GET /v1/events HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer \(try await server.key(of: "deniz"))\r\n\r\n")
    // Once it is listened to; from there on it does not read.
    _ = try await slow.take { bytes in
      guard let head = bytes.firstRange(of: Array("\r\n\r\n".utf8)) else { return nil }
      return bytes[head.upperBound...].firstRange(of: Array("\n\n".utf8))?.upperBound
    }
    let text = String(repeating: "çok uzun bir not ", count: 1_600)
    for _ in 0..<12 {
      try await Self.system(
        server,
        """
        INSERT INTO crm.customer (name, kind, department_id, note) SELECT 's-' || i, 'organisation', d.id, \(text)
        FROM crm.department d, generate_series(1, 40) i WHERE d.code = 'sales'
        """)
    }
    let last = try await Self.mark(server)
    try await Task.sleep(for: .seconds(14))
    let held = try await slow.readToEnd(within: 30)
    #expect(held.count < 6 << 20, "\(held.count) bytes had been kept for it")
    #expect(!String(decoding: held, as: UTF8.self).contains(last))
    // Whole events only; the last of them says where to go on.
    let text2 = String(decoding: held, as: UTF8.self)
    let blocks = text2.components(separatedBy: "\n\n").dropLast()
    let whole = blocks.compactMap { block in block.components(separatedBy: "id: ").last?.prefix { $0 != "\n" } }
    let cursor = whole.last.map(String.init) ?? start
    let back = try await EventStream(server, after: cursor)
    var rest: [EventStream.Event] = []
    var stream = back
    // On a busy machine this client may be too slow as well: it comes back as long as it has to.
    for _ in 0..<100 where rest.last?.recordID != last {
      while let change = try await stream.nextChange() {
        rest.append(change)
        if change.recordID == last { break }
      }
      if rest.last?.recordID != last { stream = try await EventStream(server, after: stream.lastID ?? cursor) }
    }
    // "Now" may have begun a little before the connection, where other databases of the server held the log back: what was made here is counted.
    let all = try await Self.feed(server, as: "deniz", after: start, upTo: last).filter { $0.hasPrefix("customers ") }
    rest.removeAll { $0.resource != "customers" }
    let before = blocks.count(where: { $0.contains("\"resource\":\"customers\"") })
    #expect(before + rest.count >= all.count, "\(before) + \(rest.count) of \(all.count)")
    #expect(rest.count <= all.count)
    try await server.application.stop()
  }

  @Test("a client that is told nothing hears that the connection lives, and where to go on", .timeLimit(.minutes(15)))
  func heartbeats() async throws {
    let server = try await Self.server { $0.deadlines.heartbeat = .seconds(1) }
    let stream = try await EventStream(server, "/v1/events?record=\(UUID().uuidString.lowercased())")
    let first = try #require(try await stream.next()?.id)
    let id = try await Self.mark(server)
    var beat = try #require(try await stream.next(within: .seconds(60)))
    #expect(beat.type == "heartbeat")
    // The cursor moves on over what the client is not told.
    for _ in 0..<60 {
      let page = try await server.send(.get, "/v1/changes?limit=1000&after=\(try #require(beat.id))", checked: false).json()
      if page["data"]?.array?.contains(where: { $0["id"]?.string == id }) == false { break }
      beat = try #require(try await stream.next(within: .seconds(60)))
    }
    #expect(beat.id != first)
    try await server.application.stop()
  }

  @Test("a server that goes down says so and lets clients go at once")
  func draining() async throws {
    let server = try await Self.server()
    let stream = try await EventStream(server)
    _ = try await stream.next()
    let socket = try await LiveSocket(server, as: "deniz")
    _ = try await socket.message()
    let start = ContinuousClock.now
    try await server.application.stop()
    #expect(ContinuousClock.now - start < .seconds(15), "the limit is twenty")
    // What was told late, such as the keys that were made before, comes first.
    var end = try #require(try await stream.next())
    while end.type != "end" { end = try #require(try await stream.next()) }
    #expect(end.data["reason"]?.string == "shutdown")
    #expect(end.id != nil)
    #expect(try await stream.next() == nil)
    var farewell = try await socket.message()
    while farewell["reason"] == nil { farewell = try await socket.message() }
    #expect(farewell["reason"]?.string == "shutdown")
    #expect(try await socket.frame().opcode == 8)
  }

  @Test("one user has so many connections and no more")
  func connectionLimit() async throws {
    let server = try await Self.server {
      $0.limits.live.clientsPerCaller = 2
      $0.limits.inFlight = 3
    }
    var streams: [EventStream] = []
    for person in ["ayse", "ayse", "elif", "elif", "gul"] { streams.append(try await EventStream(server, as: person)) }
    let refused = try await server.send(.get, "/v1/events", as: "ayse", checked: false)
    #expect(refused.status == 429)
    #expect(refused.problem == "too-many-connections")
    #expect(refused.headers["retry-after"] != nil)
    // They do not count as requests under way, of which this server allows three.
    #expect(try await server.send(.get, "/v1/customers?limit=1").status == 200)
    streams[0].close()
    for _ in 0..<600 {
      if let stream = try? await EventStream(server, as: "ayse") {
        streams.append(stream)
        break
      }
      try await Task.sleep(for: .milliseconds(50))
    }
    #expect(streams.count == 6)
    try await server.application.stop()
  }

  @Test("a WebSocket is told the same, answers pings, and refuses data")
  func webSocket() async throws {
    let server = try await Self.server { $0.deadlines.heartbeat = .seconds(30) }
    let socket = try await LiveSocket(server, as: "ayse")
    let first = try await socket.message()
    #expect(first["type"]?.string == "heartbeat")
    let stream = try await EventStream(server, as: "ayse", after: first["cursor"]?.string)
    let id = try await Self.mark(server)
    var change = try await socket.message()
    while change["change"]?["id"]?.string != id { change = try await socket.message() }
    #expect(change["type"]?.string == "change")
    let same = try #require(try await stream.changes(upTo: id).last)
    #expect(same.data == change["change"])
    try await socket.send(opcode: 9, "are you there")
    var frame = try await socket.frame()
    while frame.opcode != 10 { frame = try await socket.frame() }
    #expect(String(decoding: frame.data, as: UTF8.self) == "are you there")
    try await socket.send(opcode: 1, "hello")
    while frame.opcode != 8 { frame = try await socket.frame() }
    #expect(frame.data.prefix(2) == [0x03, 0xEB])
    let wrong = try RawConnection(port: try #require(server.application.server.port))
    try await wrong.send(
      "GET /v1/events HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer \(try await server.key(of: "ayse"))\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 8\r\n\r\n"
    )
    #expect(try await wrong.answer().status == 426)
    try await server.application.stop()
  }
}
