import CRMCore
import Foundation
import Logging
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("Routing")
struct RoutingTests {
  private func rule(_ desk: ServiceDesk, _ fields: [String: JSON]) async throws {
    _ = try await desk.done(
      .post, "/v1/routing_rules", as: "deniz", json: .object(["name": "Kural", "team_id": .string(desk.team), "place": 1].merging(fields) { $1 }))
  }

  private func reason(_ desk: ServiceDesk, _ ticket: JSON) async throws -> JSON {
    try #require(try await desk.rows("/v1/routing_decisions?ticket_id=eq.\(ticket.id)&order=-decided_at").first)
  }

  @Test("words choose the rule, the rule asks for a skill, and whoever has it gets the ticket")
  func skill() async throws {
    let desk = try await ServiceDesk.suite()
    let word = "iade\(desk.code.prefix(6))"
    try await rule(desk, ["words": [.string(word)], "skills": [.string("s_\(desk.code)")], "raise_to": "high", "name": "İadeler"])
    let unskilled = try await desk.ticket(["subject": .string("Ürün \(word.uppercased()) istiyorum")])
    #expect(unskilled["assignee_id"] == .null && unskilled["team_id"] == .string(desk.team), "\(unskilled)")
    let why = try await reason(desk, unskilled)
    #expect(why["candidates"]?.array?.allSatisfy { $0["obstacle"] == "skill" } == true && why["reason_en"]?.string?.contains("waits") == true, "\(why)")
    _ = try await desk.done(.post, "/v1/agent_skills", as: "deniz", json: ["user_id": .string(desk.burak), "skill": .string("s_\(desk.code)")])
    let skilled = try await desk.ticket(["subject": .string("\(word)!")])
    #expect(skilled["assignee_id"] == .string(desk.burak) && skilled["priority"] == "high", "\(skilled)")
    #expect(try await desk.done(.post, "/v1/tickets/\(unskilled.id)/route")["assignee_id"] == .string(desk.burak))
  }

  @Test("a rule goes by how the customer prefers to be reached")
  func preference() async throws {
    let desk = try await ServiceDesk.suite()
    try await rule(desk, ["prefers": "phone", "raise_to": "urgent", "name": "Geri arama"])
    #expect(try await desk.ticket()["priority"] == "normal")
    _ = try await desk.done(
      .post, "/v1/channel_preferences", as: "deniz", json: ["customer_id": .string(desk.customer), "preferred_channel": "phone"])
    let ticket = try await desk.ticket()
    #expect(ticket["priority"] == "urgent", "\(ticket)")
    #expect(try await reason(desk, ticket)["reason_tr"]?.string?.contains("Geri arama") == true)
    let wrong = try await desk.send(.post, "/v1/routing_rules", as: "deniz", json: ["name": "x", "team_id": .string(desk.team), "prefers": "pigeon"])
    #expect(wrong.status == 422 && wrong.text.contains("\"/prefers\""), "\(wrong.text)")
  }

  @Test("the least loaded who is there and not full gets the next one; a decision by hand is recorded as such")
  func load() async throws {
    let desk = try await ServiceDesk(server: TestServer.start())
    let first = try await desk.ticket()
    let second = try await desk.ticket()
    #expect(first["assignee_id"] != second["assignee_id"])
    _ = try await desk.done(.put, "/v1/me/presence", json: ["state": "away", "note": "Öğle arası"])
    for _ in 0..<2 { #expect(try await desk.ticket()["assignee_id"] == .string(desk.burak)) }
    _ = try await desk.done(.put, "/v1/me/presence", as: "burak", json: ["state": "busy"])
    let waiting = try await desk.ticket()
    #expect(waiting["assignee_id"] == .null)
    let obstacles = try await reason(desk, waiting)["candidates"]?.array?.compactMap { $0["obstacle"]?.string }
    #expect(obstacles?.sorted() == ["away", "busy"])
    _ = try await desk.done(.put, "/v1/me/presence", json: ["state": "available"])
    try await desk.server.database.work("SELECT crm.route_waiting(now(), 100)")
    #expect(try await desk.done(.get, "/v1/tickets/\(waiting.id)")["assignee_id"] == .string(desk.zeynep))
    let given = try await desk.done(.post, "/v1/tickets/\(waiting.id)/assign", json: ["assignee_id": .string(desk.burak), "reason": "Müşterisi"])
    #expect(given["assignee_id"] == .string(desk.burak) && given["owner_id"] == .string(desk.burak))
    #expect(try await reason(desk, given)["reason_tr"] == "Elle: Müşterisi")
    #expect(try await desk.send(.post, "/v1/tickets/\(waiting.id)/assign", json: ["assignee_id": .string(UUID.v7().lowercase)]).status == 422)
    #expect(try await desk.send(.post, "/v1/tickets/\(waiting.id)/assign", as: "ayse", json: [:]).status == 403)
  }

  @Test("what comes at once does not go to somebody beyond the capacity; what had to wait is given out when there is room")
  func atOnce() async throws {
    let desk = try await ServiceDesk(server: TestServer.start())
    for member in try await desk.rows("/v1/team_members?team_id=eq.\(desk.team)") {
      _ = try await desk.done(.patch, "/v1/team_members/\(member.id)", as: "deniz", json: ["capacity": 2])
    }
    func given() async throws -> [Int] {
      var counts: [Int] = []
      for person in [desk.zeynep, desk.burak] { counts.append(try await desk.rows("/v1/tickets?assignee_id=eq.\(person)").count) }
      return counts
    }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<12 { group.addTask { _ = try await desk.ticket() } }
      try await group.waitForAll()
    }
    #expect(try await given().allSatisfy { $0 <= 2 })
    try await desk.server.database.work("SELECT crm.route_waiting(now(), 100)")
    #expect(try await given() == [2, 2])
  }

  @Test(
    "of 64 tickets that 32 at once open, nobody is given more than the capacity, near it or far from it; the others wait, say why, and fill what is free",
    arguments: [12, 20])
  func manyAtOnce(_ capacity: Int) async throws {
    let desk = try await ServiceDesk(server: TestServer.start())
    let deniz = try #require(try await desk.rows("/v1/users?email=eq.deniz@carsi.example", as: "deniz").first?.id)
    _ = try await desk.done(.post, "/v1/team_members", as: "deniz", json: ["team_id": .string(desk.team), "user_id": .string(deniz)])
    for member in try await desk.rows("/v1/team_members?team_id=eq.\(desk.team)") {
      _ = try await desk.done(.patch, "/v1/team_members/\(member.id)", as: "deniz", json: ["capacity": .number(Decimal(capacity))])
    }
    // Connections of their own, so that 32 are under way in the database at the same time; they wait for each other as long as it takes.
    let pool = PostgresPool(
      .init(connection: desk.server.database.url(as: "crm_worker"), connections: [.interactive: 32], lockTimeout: .seconds(300), applicationName: "test"),
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    let (customer, team) = (try #require(UUID(uuidString: desk.customer)), try #require(UUID(uuidString: desk.team)))
    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<32 {
        group.addTask {
          for number in 0..<2 {
            try await Database(pool: pool).transaction(as: .system("test"), deadline: .after(.seconds(300))) { tx in
              try await tx.run(
                """
                INSERT INTO crm.ticket (customer_id, subject, team_id, department_id)
                SELECT c.id, \("Soru \(number)"), \(team), c.department_id FROM crm.customer AS c WHERE c.id = \(customer)
                """)
            }
          }
        }
      }
      try await group.waitForAll()
    }
    await pool.shutdown()
    func given() async throws -> [Int] {
      var counts: [Int] = []
      for person in [desk.zeynep, desk.burak, deniz] { counts.append(try await desk.rows("/v1/tickets?assignee_id=eq.\(person)&limit=100").count) }
      return counts
    }
    let atOnce = try await given()
    #expect(atOnce.allSatisfy { $0 <= capacity }, "\(atOnce)")
    let waiting = try await desk.rows("/v1/tickets?assignee_id=is.null&limit=100")
    #expect(atOnce.reduce(0, +) + waiting.count == 64)
    for ticket in waiting {
      let why = try await reason(desk, ticket)
      #expect(why["reason_en"]?.string?.hasSuffix("none of its 3 members can take it now; it waits.") == true, "\(why)")
    }
    try await desk.server.database.work("SELECT crm.route_waiting(now(), 100)")
    #expect(try await given() == [capacity, capacity, capacity])
  }

  @Test("the work of whoever is absent goes to the others, once the absence begins")
  func absence() async throws {
    let desk = try await ServiceDesk(server: TestServer.start())
    var tickets: [JSON] = []
    for _ in 0..<4 { tickets.append(try await desk.ticket()) }
    let owned = tickets.filter { $0["assignee_id"] == .string(desk.zeynep) }
    #expect(owned.count == 2)
    let starts = Date.now.addingTimeInterval(3_600)
    _ = try await desk.done(
      .post, "/v1/absences",
      json: [
        "user_id": .string(desk.zeynep), "starts_at": .string(starts.formatted(.iso8601)),
        "ends_at": .string(starts.addingTimeInterval(86_400).formatted(.iso8601)),
      ])
    try await desk.server.database.work("SELECT crm.route_waiting(now(), 100)")
    #expect(try await desk.done(.get, "/v1/tickets/\(owned[0].id)")["assignee_id"] == .string(desk.zeynep))
    try await desk.server.database.work("SELECT crm.route_waiting(now() + interval '2 hours', 100)")
    for ticket in owned {
      let now = try await desk.done(.get, "/v1/tickets/\(ticket.id)")
      #expect(now["assignee_id"] == .string(desk.burak))
      #expect(try await desk.rows("/v1/routing_decisions?ticket_id=eq.\(ticket.id)&cause=eq.absence").count == 1)
    }
  }

  @Test("what comes back to somebody in an absence goes to the others too, and so does a conversation")
  func backInAbsence() async throws {
    let desk = try await ServiceDesk(server: TestServer.start())
    let made = try await desk.ticket()
    let waiting = try await desk.done(.post, "/v1/tickets/\(made.id)/assign", json: ["assignee_id": .string(desk.zeynep)])
    _ = try await desk.done(.post, "/v1/tickets/\(waiting.id)/status", json: ["status": "pending_customer"])
    let talk = try await desk.done(
      .post, "/v1/conversations", as: "deniz", json: ["customer_id": .string(desk.customer), "channel": "email", "subject": "Soru"])
    _ = try await desk.done(.patch, "/v1/conversations/\(talk.id)", as: "deniz", json: ["team_id": .string(desk.team)])
    _ = try await desk.done(.post, "/v1/conversations/\(talk.id)/assign", as: "deniz", json: ["user_id": .string(desk.zeynep)])
    let starts = Date.now.addingTimeInterval(3_600)
    _ = try await desk.done(
      .post, "/v1/absences",
      json: [
        "user_id": .string(desk.zeynep), "starts_at": .string(starts.formatted(.iso8601)),
        "ends_at": .string(starts.addingTimeInterval(86_400).formatted(.iso8601)),
      ])
    try await desk.server.database.work("SELECT crm.route_waiting(now() + interval '2 hours', 100)")
    #expect(try await desk.done(.get, "/v1/tickets/\(made.id)")["assignee_id"] == .string(desk.zeynep), "it waits for the customer")
    #expect(try await desk.done(.get, "/v1/conversations/\(talk.id)", as: "deniz")["assignee_id"] == .string(desk.burak))
    #expect(try await desk.rows("/v1/routing_decisions?conversation_id=eq.\(talk.id)&cause=eq.absence").count == 1)

    let id = try #require(UUID(uuidString: made.id))
    try await desk.server.database.work("UPDATE crm.ticket SET status = 'open', status_since = now() + interval '3 hours' WHERE id = \(id)")
    try await desk.server.database.work("SELECT crm.route_waiting(now() + interval '4 hours', 100)")
    #expect(try await desk.done(.get, "/v1/tickets/\(made.id)")["assignee_id"] == .string(desk.burak))
    try await desk.server.database.work("SELECT crm.route_waiting(now() + interval '5 hours', 100)")
    #expect(try await desk.rows("/v1/routing_decisions?ticket_id=eq.\(made.id)&cause=eq.absence").count == 1)
  }

  @Test("tickets that members take themselves keep nobody else's waiting")
  func takenThemselves() async throws {
    let desk = try await ServiceDesk(server: TestServer.start())
    try await rule(desk, ["words": ["kuyruk"], "strategy": "none"])
    let own = try await desk.ticket(["subject": "Kuyruk: ilk gelen"])
    for person in ["zeynep", "burak"] { _ = try await desk.done(.put, "/v1/me/presence", as: person, json: ["state": "busy"]) }
    let waiting = try await desk.ticket()
    #expect(own["assignee_id"] == .null && waiting["assignee_id"] == .null)
    _ = try await desk.done(.put, "/v1/me/presence", as: "burak", json: ["state": "available"])
    try await desk.server.database.work("SELECT crm.route_waiting(now(), 1)")
    #expect(try await desk.done(.get, "/v1/tickets/\(waiting.id)")["assignee_id"] == .string(desk.burak))
    #expect(try await desk.done(.get, "/v1/tickets/\(own.id)")["assignee_id"] == .null)
  }
}

extension TestDatabase {
  /// Runs a statement as the worker does, for the system.
  func work(_ statement: SQL) async throws {
    try await Database(pool: worker).transaction(as: .system("test")) { tx in _ = try await tx.run(statement) }
  }
}
