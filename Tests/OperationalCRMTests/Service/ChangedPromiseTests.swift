import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("Promises that change")
struct ChangedPromiseTests {
  private func policy(_ desk: ServiceDesk, _ fields: [String: JSON]) async throws -> JSON {
    try await desk.done(
      .post, "/v1/sla_policies", as: "deniz",
      json: .object(["code": .string("p_\(UUID().uuidString.lowercased().prefix(8))"), "name": "Söz"].merging(fields) { $1 }))
  }

  @Test("what was said of a promise that then changed is withdrawn, and said again when the new limit comes")
  func changedPromise() async throws {
    let desk = try await ServiceDesk(server: TestServer.start())
    let promise = try await policy(desk, ["first_response_minutes": 10])
    _ = try await desk.done(
      .post, "/v1/escalation_steps", as: "deniz",
      json: ["policy_id": promise["id"] ?? .null, "clock": "first_response", "at_percent": 100, "action": "notify", "notify": "assignee"])
    let opened = Date.now.addingTimeInterval(-3_600)
    let late = try await desk.ticket(["opened_at": .string(opened.formatted(.iso8601))])
    func events(_ filter: String) async throws -> [String] {
      try await desk.rows("/v1/sla_events?ticket_id=eq.\(late.id)&\(filter)").compactMap { $0["kind"]?.string }.sorted()
    }
    try await desk.finish("service.watch", queued: true)
    #expect(try await events("withdrawn_at=is.null") == ["breach", "escalation", "warning"])

    // Still broken, at another instant.
    _ = try await desk.done(.patch, "/v1/sla_policies/\(promise.id)", as: "deniz", json: ["first_response_minutes": 20])
    try await desk.finish("service.sla_recompute")
    #expect(try await events("withdrawn_at=is.null") == ["breach", "escalation", "warning"])
    let broken = try await desk.rows("/v1/tickets/\(late.id)/clocks").first { $0["kind"] == "first_response" }?["breached_at"]
    #expect(try await desk.rows("/v1/sla_events?ticket_id=eq.\(late.id)&kind=eq.breach").map { $0["at"] } == [broken])

    _ = try await desk.done(.patch, "/v1/sla_policies/\(promise.id)", as: "deniz", json: ["first_response_minutes": 600])
    try await desk.finish("service.sla_recompute")
    #expect(try await desk.done(.get, "/v1/tickets/\(late.id)")["sla_state"] == "running")
    #expect(try await events("withdrawn_at=is.null") == [])
    #expect(try await events("withdrawn_at=not.is.null") == ["breach", "escalation", "warning"])
    try await desk.server.database.work("SELECT crm.watch_sla(now() + interval '8 hours', 100)")
    #expect(try await events("withdrawn_at=is.null") == ["warning"])
    try await desk.server.database.work("SELECT crm.watch_sla(now() + interval '10 hours', 100)")
    #expect(try await events("withdrawn_at=is.null") == ["breach", "escalation", "warning"])
    try await desk.server.database.work("SELECT crm.watch_sla(now() + interval '20 hours', 100)")
    #expect(try await events("kind=eq.breach").count == 2, "nothing is said twice")
  }

  /// A conversation of a desk's customer with a ticket, and a way to have something said in it at an instant.
  private func talk(_ desk: ServiceDesk, _ opening: String) async throws -> (ticket: String, say: (String, String) async throws -> Void) {
    let customer = try #require(UUID(uuidString: desk.customer))
    let conversation = UUID.v7()
    func say(_ direction: String, _ at: String) async throws {
      try await desk.server.database.work(
        """
        INSERT INTO crm.interaction (customer_id, conversation_id, channel, direction, kind, occurred_at, sender, body_text, department_id)
        SELECT c.customer_id, c.id, 'email', \(direction), 'message', \(at)::timestamptz, 'm@x.example', 'Makine bozuk', c.department_id
        FROM crm.conversation AS c WHERE c.customer_id = \(customer) AND c.id = \(conversation)
        """)
    }
    try await desk.server.database.work(
      """
      INSERT INTO crm.conversation (customer_id, id, channel, subject, team_id, department_id)
      SELECT c.id, \(conversation), 'email', 'Makine', \(try #require(UUID(uuidString: desk.team))), c.department_id FROM crm.customer AS c WHERE c.id = \(customer)
      """)
    try await say("in", opening)
    try await desk.server.database.work("SELECT crm.open_ticket(\(customer), \(conversation))")
    let row = try #require(try await desk.rows("/v1/tickets?conversation_id=eq.\(conversation.lowercase)").first)
    return (row.id, say)
  }

  @Test("a message that comes late, or from a clock that runs ahead, takes back no breach and breaks no promise")
  func wrongClocks() async throws {
    let desk = try await ServiceDesk(server: TestServer.start())
    _ = try await policy(desk, ["first_response_minutes": 600, "next_response_minutes": 600, "resolution_minutes": 60])
    let (id, say) = try await talk(desk, "2026-11-02T08:00:00Z")
    func resolution(_ id: String) async throws -> JSON {
      try #require(try await desk.rows("/v1/tickets/\(id)/clocks").first { $0["kind"] == "resolution" })
    }
    let watch: SQL = "SELECT crm.watch_sla('2026-11-02T09:30:00Z'::timestamptz, 100)"
    try await say("out", "2026-11-02T08:10:00Z")
    try await say("in", "2026-11-02T08:20:00Z")
    try await desk.server.database.work(
      "UPDATE crm.ticket SET status = 'on_hold', status_since = '2026-11-02T08:25:00Z' WHERE id = \(try #require(UUID(uuidString: id)))")
    try await desk.server.database.work(watch)
    #expect(try await resolution(id)["breached_at"] == "2026-11-02T09:10:00Z")
    try await say("out", "2026-11-02T08:30:00Z")
    #expect(try await resolution(id)["breached_at"] == "2026-11-02T09:10:00Z")

    // Where the limit itself moves, because it waited for the customer after all, it breaks at the new one.
    let (other, tell) = try await talk(desk, "2026-11-02T08:00:00Z")
    try await tell("out", "2026-11-02T08:10:00Z")
    try await tell("in", "2026-11-02T08:20:00Z")
    try await desk.server.database.work(watch)
    try await tell("out", "2026-11-02T08:30:00Z")
    try await tell("in", "2026-11-02T08:40:00Z")
    try await desk.server.database.work(watch)
    #expect(try await resolution(other)["breached_at"] == "2026-11-02T09:20:00Z")
    let breaches = try await desk.rows("/v1/sla_events?ticket_id=eq.\(other)&kind=eq.breach&clock=eq.resolution&order=at")
    #expect(breaches.map { $0["withdrawn_at"] == .null } == [false, true], "\(breaches)")

    let fresh = try await talk(desk, Date.now.addingTimeInterval(-60).formatted(.iso8601))
    try await fresh.say("out", Date.now.addingTimeInterval(-30).formatted(.iso8601))
    try await fresh.say("in", "2031-01-01T00:00:00Z")
    let ahead = try await desk.done(.get, "/v1/tickets/\(fresh.ticket)")
    #expect(ahead["status"] == "open" && ahead["sla_state"] == "running", "\(ahead)")
    let started = try await desk.rows("/v1/tickets/\(fresh.ticket)/clocks").first { $0["kind"] == "next_response" }?["started_at"]?.string
    #expect(try #require(started) < "2031")
  }

  @Test("who writes again after a ticket was resolved without an answer is promised one")
  func resolvedUnanswered() async throws {
    let desk = try await ServiceDesk(server: TestServer.start())
    _ = try await policy(desk, ["first_response_minutes": 600, "next_response_minutes": 30])
    let (id, say) = try await talk(desk, Date.now.addingTimeInterval(-120).formatted(.iso8601))
    _ = try await desk.done(.post, "/v1/tickets/\(id)/status", json: ["status": "resolved"])
    try await say("in", Date.now.addingTimeInterval(1).formatted(.iso8601))
    let back = try await desk.done(.get, "/v1/tickets/\(id)")
    #expect(back["status"] == "open" && back["next_due_at"] != .null, "\(back)")
    let clocks = try await desk.rows("/v1/tickets/\(id)/clocks")
    #expect(clocks.first { $0["kind"] == "next_response" }?["state"] == "running", "\(clocks)")
  }

  @Test("a promise of ten years with a step at ten times of it is counted like any other")
  func longPromise() async throws {
    let desk = try await ServiceDesk(server: TestServer.start())
    let promise = try await policy(desk, ["resolution_minutes": 5_256_000, "first_response_minutes": 525_600])
    for (clock, percent) in [("resolution", 1_000), ("first_response", 1), ("first_response", 1_000)] {
      _ = try await desk.done(
        .post, "/v1/escalation_steps", as: "deniz",
        json: ["policy_id": promise["id"] ?? .null, "clock": .string(clock), "at_percent": .number(Decimal(percent)), "action": "raise_priority"])
    }
    let made = try await desk.ticket(["opened_at": "2026-11-02T08:00:00Z"])
    #expect(made["next_due_at"] == "2027-11-02T08:00:00Z", "\(made)")
    try await desk.server.database.work("SELECT crm.watch_sla('2027-11-03T00:00:00Z'::timestamptz, 100)")
    let events = try await desk.rows("/v1/sla_events?ticket_id=eq.\(made.id)&order=at,id").compactMap { $0["kind"]?.string }
    #expect(events == ["escalation", "warning", "breach"])
  }

  @Test("open tickets are aged by policy, too")
  func ageingByPolicy() async throws {
    let desk = try await ServiceDesk(server: TestServer.start())
    _ = try await policy(desk, ["name": "Acil söz", "priority": "urgent", "resolution_minutes": 60])
    _ = try await desk.ticket(["priority": "urgent"])
    _ = try await desk.ticket()
    #expect(try await desk.rows("/v1/service/ageing?group_by=policy").map { $0["label"] } == ["Acil söz", .null])
  }

  @Test("hundreds of promises are as counted minute by minute in Python, before and after policies, hours, holidays and a zone changed")
  func countedInPython() async throws {
    let desk = try await ServiceDesk(server: TestServer.start())
    let state = FileManager.default.temporaryDirectory.appending(path: "muhatap-sla-\(UUID()).json")
    defer { try? FileManager.default.removeItem(at: state) }
    func check(_ step: String, _ more: [String] = []) async throws {
      let ran = try await Command(
        "python3", ["Tests/clients/sla_check.py", step, desk.server.address, try await desk.server.key(of: "deniz"), desk.customer, state.path] + more
      ).output()
      #expect(ran.exitCode == 0, "\(step): \(ran.standardOutput)\(ran.standardError)")
    }
    try await check("make", ["300"])
    try await desk.finish("service.watch", queued: true)
    try await check("compare")
    try await check("change")
    try await desk.finish("service.sla_recompute")
    try await check("compare")
  }
}
