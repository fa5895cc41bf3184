import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("Tickets")
struct TicketTests {
  @Test("a ticket gets a number, an assignee with a reason, and moves through its statuses with reasons")
  func life() async throws {
    let desk = try await ServiceDesk.suite()
    let made = try await desk.ticket(["priority": "high", "type": "problem", "tags": ["makine"]])
    #expect(made["number"]?.string?.hasPrefix("T-") == true && made["status"] == "new" && made["assignee_id"] != .null, "\(made)")
    #expect(made["owner_id"] == made["assignee_id"] && made["language"] == "tr")
    let decisions = try await desk.rows("/v1/routing_decisions?ticket_id=eq.\(made.id)")
    #expect(decisions.count == 1 && decisions[0]["cause"] == "opened" && decisions[0]["reason_tr"]?.string?.contains("Destek") == true, "\(decisions)")

    let path = "/v1/tickets/\(made.id)/status"
    #expect(try await desk.send(.post, path, json: ["status": "new"]).problem == "ticket-cannot-move")
    let unsaid = try await desk.send(.post, path, json: ["status": "on_hold"])
    #expect(unsaid.status == 422 && unsaid.text.contains("/reason"))
    let held = try await desk.done(.post, path, json: ["status": "on_hold", "reason": "Parça bekleniyor"])
    #expect(held["status"] == "on_hold" && held["status_reason"] == "Parça bekleniyor")
    let resolved = try await desk.done(.post, path, json: ["status": "resolved"])
    #expect(resolved["resolved_at"] != .null)
    #expect(try await desk.send(.post, path, json: ["status": "on_hold", "reason": "x"]).problem == "ticket-cannot-move")
    for reason in [.null, "", " \n"] as [JSON] { #expect(try await desk.send(.post, path, json: ["status": "open", "reason": reason]).status == 422) }
    let reopened = try await desk.done(.post, path, json: ["status": "open", "reason": "Yine bozuldu"])
    #expect(reopened["reopened_count"] == 1 && reopened["resolved_at"] == .null)
    let closed = try await desk.done(.post, path, json: ["status": "closed"])
    #expect(closed["closed_at"] != .null && closed["resolved_at"] != .null)

    #expect(try await desk.send(.post, path, as: "ayse", json: ["status": "open", "reason": "x"]).status == 403)
    #expect(try await desk.send(.post, "/v1/tickets/\(UUID.v7().lowercase)/status", json: ["status": "open"]).status == 404)
    #expect(try await desk.send(.post, "/v1/tickets", as: "elif", json: ["customer_id": .string(desk.customer), "subject": "x"]).status == 403)
    let mistaken = try await desk.send(.post, "/v1/tickets", json: ["customer_id": .string(desk.customer), "subject": " ", "priority": "soon"])
    #expect(mistaken.status == 422 && mistaken.text.contains("/priority"), "\(mistaken.text)")
    let early = try await desk.send(.post, "/v1/tickets", json: ["customer_id": .string(desk.customer), "subject": "x", "opened_at": "2099-01-01T00:00:00Z"])
    #expect(early.status == 422 && early.text.contains("/opened_at"), "\(early.text)")

    let given = try await desk.ticket(["assignee_id": .string(desk.burak)])
    #expect(try await desk.rows("/v1/routing_decisions?ticket_id=eq.\(given.id)").map { $0["cause"] } == ["assigned"])
  }

  /// As if a ticket had been in its status for so many hours more.
  private func pass(hours: Int, _ desk: ServiceDesk, _ id: String) async throws {
    _ = try await desk.server.database.admin.execute(
      [
        "SET LOCAL session_replication_role = replica",
        "UPDATE crm.ticket SET status_since = status_since - make_interval(hours => \(hours)) WHERE id = \(UUID(uuidString: id))",
      ], context: .init(readOnly: false), deadline: .after(.seconds(60)))
  }

  @Test("a resolved ticket closes by itself after its policy's time, not before, and not when it was taken up again")
  func closing() async throws {
    let desk = try await ServiceDesk(server: TestServer.start())
    let survey = try await SurveyDesk(server: desk.server).survey("csat", ["event": "ticket_closed"])
    _ = try await desk.done(
      .post, "/v1/sla_policies", as: "deniz",
      json: ["code": "hizli", "name": "Hızlı", "priority": "urgent", "resolution_minutes": 60, "closes_after_hours": 24])
    _ = try await desk.done(
      .post, "/v1/sla_policies", as: "deniz",
      json: ["code": "asla", "name": "Kapanmaz", "priority": "low", "resolution_minutes": 60, "closes_after_hours": .null])
    let refused = try await desk.send(.post, "/v1/sla_policies", as: "deniz", json: ["code": "x", "name": "x", "closes_after_hours": 0])
    #expect(refused.status == 422 && refused.text.contains("/closes_after_hours"), "\(refused.text)")
    let (due, early, reopened, never, without) = (
      try await desk.ticket(["priority": "urgent"]).id, try await desk.ticket(["priority": "urgent"]).id, try await desk.ticket(["priority": "urgent"]).id,
      try await desk.ticket(["priority": "low"]).id, try await desk.ticket(["priority": "normal"]).id
    )
    for id in [due, early, reopened, never, without] {
      _ = try await desk.done(.post, "/v1/tickets/\(id)/status", json: ["status": "resolved"])
      try await pass(hours: id == early ? 23 : 25, desk, id)
    }
    _ = try await desk.done(.post, "/v1/tickets/\(reopened)/status", json: ["status": "open", "reason": "Yine bozuldu"])
    try await desk.finish("service.watch", queued: true)
    func status(_ id: String) async throws -> JSON? { try await desk.done(.get, "/v1/tickets/\(id)")["status"] }
    let closed = try await desk.done(.get, "/v1/tickets/\(due)")
    #expect(closed["status"] == "closed" && closed["status_reason"] == "not_reopened" && closed["closed_at"] != .null, "\(closed)")
    for id in [early, never, without] { #expect(try await status(id) == "resolved") }
    #expect(try await status(reopened) == "open")
    try await pass(hours: 2, desk, early)
    try await desk.finish("service.watch", queued: true)
    #expect(try await status(early) == "closed")
    // Without a policy it is a week.
    try await pass(hours: 142, desk, without)
    try await desk.finish("service.watch", queued: true)
    #expect(try await status(without) == "resolved")
    try await pass(hours: 2, desk, without)
    try await desk.finish("service.watch", queued: true)
    #expect(try await status(without) == "closed")
    #expect(try await status(never) == "resolved")

    // Whoever asks how it was asks once a ticket, however often it is closed.
    #expect(try await desk.rows("/v1/survey_invitations?survey_id=eq.\(survey)&ticket_id=eq.\(due)").count == 1)
    _ = try await desk.done(.post, "/v1/tickets/\(due)/status", json: ["status": "open", "reason": "Yine bozuldu"])
    _ = try await desk.done(.post, "/v1/tickets/\(due)/status", json: ["status": "resolved"])
    try await pass(hours: 25, desk, due)
    try await desk.finish("service.watch", queued: true)
    #expect(try await status(due) == "closed")
    #expect(try await desk.rows("/v1/survey_invitations?survey_id=eq.\(survey)&ticket_id=eq.\(due)").count == 1)
  }

  @Test("a change answers with the version it leads to, so that the next one with If-Match is accepted")
  func versions() async throws {
    let desk = try await ServiceDesk.suite()
    let made = try await desk.ticket()
    let answer = try await desk.server.send(.patch, "/v1/tickets/\(made.id)", as: "zeynep", json: ["priority": "urgent"])
    let shown = try await desk.done(.get, "/v1/tickets/\(made.id)")
    #expect(try answer.status == 200 && answer.json()["version"] == shown["version"], "\(answer.text)")
  }

  @Test("a ticket merged into another one is closed, its promises wait, and parting them brings back what was")
  func merging() async throws {
    let desk = try await ServiceDesk.suite()
    let first = try await desk.ticket()
    let second = try await desk.ticket(["subject": "Aynı makine"])
    #expect(try await desk.send(.post, "/v1/tickets/\(second.id)/merge", json: ["into_id": .string(second.id)]).status == 422)
    let standing = try await desk.done(.post, "/v1/tickets/\(second.id)/merge", json: ["into_id": .string(first.id)])
    #expect(standing["id"] == .string(first.id))
    let merged = try await desk.done(.get, "/v1/tickets/\(second.id)")
    #expect(merged["status"] == "closed" && merged["merged_into_id"] == .string(first.id) && merged["status_reason"] == "merged")
    #expect(try await desk.send(.post, "/v1/tickets/\(second.id)/status", json: ["status": "open", "reason": "x"]).problem == "ticket-merged")
    #expect(try await desk.send(.post, "/v1/tickets/\(first.id)/merge", json: ["into_id": .string(second.id)]).problem == "ticket-merged")
    let parted = try await desk.done(.post, "/v1/tickets/\(second.id)/unmerge")
    #expect(parted["status"] == "new" && parted["merged_into_id"] == .null && parted["closed_at"] == .null && parted["reopened_count"] == 0, "\(parted)")
    let clocks = try await desk.rows("/v1/tickets/\(second.id)/clocks")
    #expect(clocks.count == 2 && clocks.allSatisfy { $0["stopped_at"] == .null }, "\(clocks)")
    #expect(try await desk.send(.post, "/v1/tickets/\(second.id)/unmerge").problem == "ticket-not-merged")

    let other = try await ServiceDesk(server: desk.server).ticket()
    #expect(try await desk.send(.post, "/v1/tickets/\(first.id)/merge", json: ["into_id": .string(other.id)]).status == 422)
  }

  @Test("a closed ticket that was merged is closed when parted, as it was, and nothing open is merged into what is over")
  func mergingWhatIsOver() async throws {
    let desk = try await ServiceDesk.suite()
    let standing = try await desk.ticket()
    let twin = try await desk.ticket(["subject": "Aynı konu"])
    let closed = try await desk.done(.post, "/v1/tickets/\(twin.id)/status", json: ["status": "closed", "reason": "Telefonda çözüldü"])
    _ = try await desk.done(.post, "/v1/tickets/\(twin.id)/merge", json: ["into_id": .string(standing.id)])
    let parted = try await desk.done(.post, "/v1/tickets/\(twin.id)/unmerge")
    for field in ["status", "status_reason", "status_since", "closed_at", "resolved_at"] { #expect(parted[field] == closed[field], "\(field): \(parted)") }
    #expect(parted["merged_into_id"] == .null && parted["reopened_count"] == 0)

    let refused = try await desk.send(.post, "/v1/tickets/\(standing.id)/merge", json: ["into_id": .string(twin.id)])
    #expect(refused.status == 409 && refused.problem == "ticket-over", "\(refused.text)")
    #expect(try await desk.done(.get, "/v1/tickets/\(standing.id)")["status"] == "new")
  }

  @Test("no ticket is a part of its own parts, at whatever remove, also when two are changed at once")
  func circles() async throws {
    let desk = try await ServiceDesk.suite()
    let (first, second) = (try await desk.ticket().id, try await desk.ticket().id)
    let third = try await desk.ticket(["parent_id": .string(second)]).id
    _ = try await desk.done(.patch, "/v1/tickets/\(second)", json: ["parent_id": .string(first)])
    let refused = try await desk.send(.patch, "/v1/tickets/\(first)", json: ["parent_id": .string(third)])
    #expect(refused.status == 422 && refused.text.contains("parent_id"), "\(refused.text)")
    #expect(try await desk.rows("/v1/tickets?parent_id=eq.\(first)").map(\.id) == [second])

    let (left, right) = (try await desk.ticket().id, try await desk.ticket().id)
    async let one = desk.send(.patch, "/v1/tickets/\(left)", json: ["parent_id": .string(right)])
    async let other = desk.send(.patch, "/v1/tickets/\(right)", json: ["parent_id": .string(left)])
    let statuses = try await [one.status, other.status]
    #expect(statuses.sorted() == [200, 422])
  }

  @Test("time spent and notes are read by whom the ticket is read by, also after it becomes the department's alone")
  func partsFollow() async throws {
    let desk = try await ServiceDesk.suite()
    let made = try await desk.ticket()
    _ = try await desk.done(
      .post, "/v1/ticket_times",
      json: ["customer_id": .string(desk.customer), "ticket_id": .string(made.id), "seconds": 60, "note": "Şikâyetin ayrıntısı"])
    let noting = try await desk.done(
      .post, "/v1/macros", as: "deniz", json: ["code": .string("n_\(desk.code)"), "name": "Not", "note": "Gizli bilgi"])
    _ = try await desk.done(.post, "/v1/tickets/\(made.id)/apply_macro", json: ["macro_id": .string(noting.id)])
    _ = try await desk.done(.patch, "/v1/tickets/\(made.id)", json: ["visibility": "department"])
    let found = try await desk.server.database.admin.execute(
      [
        """
        SELECT p.kind, p.audience = t.audience AS follows FROM crm.ticket AS t CROSS JOIN LATERAL (
          SELECT 'time' AS kind, x.audience FROM crm.ticket_time AS x WHERE x.ticket_id = t.id
          UNION ALL SELECT 'note', n.audience FROM crm.internal_note AS n WHERE n.ticket_id = t.id) AS p
         WHERE t.id = \(try #require(UUID(uuidString: made.id))) ORDER BY p.kind
        """
      ], context: .init(readOnly: true), deadline: .after(.seconds(60)))[0]
    let follows = try found.rows.map { "\(try $0.decode(String.self, "kind")) \(try $0.decode(Bool.self, "follows"))" }
    #expect(follows == ["note true", "time true"])
  }

  @Test("a part of a ticket becomes one of its own, promised by itself")
  func splitting() async throws {
    let desk = try await ServiceDesk.suite()
    let made = try await desk.ticket(["type": "problem"])
    let part = try await desk.done(.post, "/v1/tickets/\(made.id)/split", json: ["subject": "Fatura da yanlış", "type": "complaint"])
    #expect(part["split_from_id"] == .string(made.id) && part["type"] == "complaint" && part["status"] == "new" && part["number"] != made["number"])
    #expect(try await desk.rows("/v1/tickets/\(part.id)/clocks").count == 2)
  }

  @Test("a macro changes, notes and counts time at once; one that answers needs a conversation")
  func macros() async throws {
    let desk = try await ServiceDesk.suite()
    let made = try await desk.ticket(["tags": ["eski", "makine"]])
    let macro = try await desk.done(
      .post, "/v1/macros", as: "deniz",
      json: [
        "code": .string("m_\(desk.code)"), "name": "Servise al", "status": "on_hold", "status_reason": "Serviste", "priority": "high", "add_tags": ["servis"],
        "remove_tags": ["eski"], "assign": "me", "note": "{{number}}: {{agent}} servise aldı.", "seconds_spent": 600,
      ])
    let done = try await desk.done(.post, "/v1/tickets/\(made.id)/apply_macro", as: "burak", json: ["macro_id": .string(macro.id)])
    #expect(done["status"] == "on_hold" && done["priority"] == "high" && done["tags"] == ["makine", "servis"] && done["seconds_spent"] == 600, "\(done)")
    #expect(done["assignee_id"] == .string(desk.burak))
    let number = try #require(made["number"]?.string)
    let notes = try await desk.server.database.admin.execute(
      ["SELECT n.text FROM crm.internal_note n WHERE n.ticket_id = \(try #require(UUID(uuidString: made.id)))"], context: .init(readOnly: true),
      deadline: .after(.seconds(60)))[0]
    #expect(try notes[0].decode(String.self, "text") == "\(number): Burak Öztürk servise aldı.")

    let answering = try await desk.done(
      .post, "/v1/macros", as: "deniz", json: ["code": .string("a_\(desk.code)"), "name": "Yanıtla", "reply": "Merhaba {{customer}}", "priority": "low"])
    let refused = try await desk.send(.post, "/v1/tickets/\(made.id)/apply_macro", json: ["macro_id": .string(answering.id)])
    #expect(refused.status == 409 && refused.problem == "no-way-to-answer", "\(refused.text)")
    #expect(try await desk.done(.get, "/v1/tickets/\(made.id)")["priority"] == "high", "nothing of a refused macro stays")
  }

  @Test("time spent is added up on the ticket and is a cost to serve")
  func timeSpent() async throws {
    let desk = try await ServiceDesk.suite()
    let made = try await desk.ticket()
    for seconds in [900, 1_800] {
      _ = try await desk.done(
        .post, "/v1/ticket_times",
        json: ["customer_id": .string(desk.customer), "ticket_id": .string(made.id), "seconds": .number(Decimal(seconds)), "kind": "call"])
    }
    #expect(try await desk.done(.get, "/v1/tickets/\(made.id)")["seconds_spent"] == 2_700)
    let cost = try await desk.server.database.admin.execute(
      [
        "SELECT m.contacts, m.cost::text AS cost FROM analytics.service_measures(now() + interval '1 minute', NULL, 'TRY', NULL, ARRAY[\(try #require(UUID(uuidString: desk.customer)))::uuid]) AS m"
      ], context: .init(readOnly: true), deadline: .after(.seconds(60)))[0]
    // 45 minutes of calls at 900 TRY an hour.
    #expect(try cost[0].decode(Int.self, "contacts") == 2 && cost[0].decode(String.self, "cost").hasPrefix("675"))
    let refused = try await desk.send(.post, "/v1/ticket_times", json: ["customer_id": .string(desk.customer), "ticket_id": .string(made.id), "seconds": 0])
    #expect(refused.status == 422)
  }

  @Test("time that several people enter at once is all added up")
  func timeAtOnce() async throws {
    let desk = try await ServiceDesk.suite()
    let made = try await desk.ticket()
    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<12 {
        group.addTask {
          _ = try await desk.done(
            .post, "/v1/ticket_times", json: ["customer_id": .string(desk.customer), "ticket_id": .string(made.id), "seconds": 60])
        }
      }
      try await group.waitForAll()
    }
    #expect(try await desk.done(.get, "/v1/tickets/\(made.id)")["seconds_spent"] == 720)
  }
}
