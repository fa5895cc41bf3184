import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("Promises")
struct SLATests {
  private func policy(_ desk: ServiceDesk, _ fields: [String: JSON]) async throws -> JSON {
    try await desk.done(
      .post, "/v1/sla_policies", as: "deniz",
      json: .object(["code": .string("p_\(UUID().uuidString.lowercased().prefix(8))"), "name": "Söz"].merging(fields) { $1 }))
  }

  @Test("the most specific policy holds, and the ticket says why")
  func specificity() async throws {
    let desk = try await ServiceDesk(server: TestServer.start())
    let general = try await policy(desk, ["first_response_minutes": 480])
    let byPriority = try await policy(desk, ["priority": "urgent", "first_response_minutes": 60])
    let byBoth = try await policy(desk, ["priority": "urgent", "channel": "phone", "first_response_minutes": 15])
    let plain = try await desk.ticket()
    #expect(plain["sla_policy_id"] == general["id"] && plain["sla_state"] == "running")
    let urgent = try await desk.ticket(["priority": "urgent", "channel": "phone"])
    #expect(urgent["sla_policy_id"] == byBoth["id"])
    let fitting = try await desk.rows("/v1/tickets/\(urgent.id)/policies")
    #expect(fitting.map { $0["policy_id"] } == [byBoth["id"], byPriority["id"], general["id"]] && fitting[0]["holds"] == true)
    #expect(fitting[0]["matched"] == ["priority urgent", "channel phone"], "\(fitting)")
    let raised = try await desk.done(.patch, "/v1/tickets/\(plain.id)", json: ["priority": "urgent"])
    #expect(raised["sla_policy_id"] == byPriority["id"])
    #expect(try await desk.send(.post, "/v1/sla_policies", as: "ayse", json: ["code": "x", "name": "x"]).status == 403)
    #expect(try await desk.send(.get, "/v1/tickets/\(UUID.v7().lowercase)/policies").status == 404)
  }

  @Test("a warning comes before the limit, a breach after it, and the chain of escalation runs its course")
  func escalation() async throws {
    let desk = try await ServiceDesk(server: TestServer.start())
    let promise = try await policy(desk, ["first_response_minutes": 100, "warn_percent": 80])
    for (percent, fields) in [
      (90, ["action": "notify", "notify": "user", "user_id": .string(desk.burak)]), (100, ["action": "raise_priority"]), (150, ["action": "reassign"]),
    ] as [(Int, [String: JSON])] {
      _ = try await desk.done(
        .post, "/v1/escalation_steps", as: "deniz",
        json: .object(["policy_id": promise["id"] ?? .null, "clock": "first_response", "at_percent": .number(Decimal(percent))].merging(fields) { $1 }))
    }
    let made = try await desk.ticket(["opened_at": "2026-11-02T08:00:00Z"])
    func watch(_ at: String) async throws -> [String] {
      try await desk.server.database.work("SELECT crm.watch_sla(\(at)::timestamptz, 100)")
      return try await desk.rows("/v1/sla_events?ticket_id=eq.\(made.id)&order=at,id").compactMap {
        "\($0["kind"]?.string ?? "") \($0["action"]?.string ?? "") \(($0["at"]?.string ?? "").dropFirst(11).prefix(5))"
      }
    }
    #expect(try await watch("2026-11-02T09:19:59Z") == [])
    #expect(try await watch("2026-11-02T09:20:00Z") == ["warning  09:20"])
    #expect(try await watch("2026-11-02T09:30:00Z") == ["warning  09:20", "escalation notify 09:30"])
    // At the limit itself the promise is kept, and the step of 100 percent is taken.
    #expect(try await watch("2026-11-02T09:40:00Z") == ["warning  09:20", "escalation notify 09:30", "escalation raise_priority 09:40"])
    #expect(try await watch("2026-11-02T09:40:01Z").contains("breach  09:40"))
    #expect(try await watch("2026-11-02T10:30:00Z").last == "escalation reassign 10:30")
    #expect(try await watch("2026-11-02T12:00:00Z").count == 5, "nothing is said twice")
    let now = try await desk.done(.get, "/v1/tickets/\(made.id)")
    #expect(now["sla_state"] == "breached" && now["priority"] == "high" && now["assignee_id"] != made["assignee_id"], "\(now)")
    let told = try await desk.server.database.admin.execute(
      ["SELECT n.kind, n.text_tr FROM crm.notice n WHERE n.user_id = \(try #require(UUID(uuidString: desk.burak))) AND n.kind = 'sla_escalation'"],
      context: .init(readOnly: true), deadline: .after(.seconds(60)))[0]
    #expect(try told.count == 1 && told[0].decode(String.self, "text_tr").contains("%90"))
  }

  @Test("what is said in the conversation stops and begins the clocks, and waiting for the customer does not count")
  func conversation() async throws {
    let desk = try await ServiceDesk(server: TestServer.start())
    _ = try await policy(desk, ["first_response_minutes": 60, "next_response_minutes": 30, "resolution_minutes": 600])
    let customer = try #require(UUID(uuidString: desk.customer))
    let conversation = UUID.v7()
    func say(_ direction: String, _ at: String, kind: String = "message") async throws {
      try await desk.server.database.work(
        """
        INSERT INTO crm.interaction (customer_id, conversation_id, channel, direction, kind, occurred_at, sender, body_text, department_id)
        SELECT c.customer_id, c.id, 'email', \(direction), \(kind), \(at)::timestamptz, 'm@x.example', 'Makine bozuk', c.department_id
        FROM crm.conversation AS c WHERE c.customer_id = \(customer) AND c.id = \(conversation)
        """)
    }
    try await desk.server.database.work(
      """
      INSERT INTO crm.conversation (customer_id, id, channel, subject, team_id, department_id)
      SELECT c.id, \(conversation), 'email', 'Makine', \(try #require(UUID(uuidString: desk.team))), c.department_id FROM crm.customer AS c WHERE c.id = \(customer)
      """)
    try await say("in", "2026-11-02T08:00:00Z")
    try await desk.server.database.work("SELECT crm.open_ticket(\(customer), \(conversation))")
    try await desk.server.database.work("SELECT crm.open_ticket(\(customer), \(conversation))")
    let tickets = try await desk.rows("/v1/tickets?conversation_id=eq.\(conversation.lowercase)")
    #expect(tickets.count == 1 && tickets[0]["opened_at"] == "2026-11-02T08:00:00Z" && tickets[0]["channel"] == "email", "\(tickets)")
    let id = tickets[0].id
    try await say("out", "2026-11-02T08:10:00Z", kind: "auto_reply")
    #expect(try await desk.done(.get, "/v1/tickets/\(id)")["first_response_at"] == .null)
    try await say("out", "2026-11-02T09:00:00Z")
    let waiting = try await desk.done(.get, "/v1/tickets/\(id)")
    #expect(waiting["status"] == "pending_customer" && waiting["sla_state"] == "paused" && waiting["first_response_at"] == "2026-11-02T09:00:00Z", "\(waiting)")
    try await say("in", "2026-11-02T20:00:00Z")
    let back = try await desk.done(.get, "/v1/tickets/\(id)")
    #expect(back["status"] == "open" && back["next_due_at"] == "2026-11-02T20:30:00Z", "\(back)")
    try await say("out", "2026-11-02T20:40:00Z")
    let clocks = try await desk.rows("/v1/tickets/\(id)/clocks")
    let states = clocks.map { "\($0["kind"]?.string ?? "") \($0["state"]?.string ?? "") \($0["elapsed_seconds"]?.amount ?? 0)" }
    #expect(states.sorted() == ["first_response met 3600.0", "next_response breached 2400.0", "resolution paused 6000.0"], "\(states)")
    let intervals = clocks.first { $0["kind"] == "resolution" }?["intervals"]?.array
    #expect(intervals?.map { $0["state"]?.string } == ["running", "paused", "running", "paused"], "\(clocks)")
  }

  @Test("attainment is kept ÷ kept or broken, the same in REST, SQL and the metric; open ones are aged, not averaged")
  func reports() async throws {
    let desk = try await ServiceDesk(server: TestServer.start())
    _ = try await policy(desk, ["first_response_minutes": 60, "resolution_minutes": 600])
    func ticket(_ resolvedAfter: Int?) async throws {
      let made = try await desk.ticket(["opened_at": "2026-11-02T08:00:00Z"])
      guard let minutes = resolvedAfter else { return }
      try await desk.server.database.work(
        """
        UPDATE crm.ticket SET status = 'resolved', status_since = '2026-11-02T08:00:00Z'::timestamptz + make_interval(mins => \(minutes))
         WHERE id = \(try #require(UUID(uuidString: made.id)))
        """)
    }
    for minutes in [10, 20, 30, 60, 90] { try await ticket(minutes) }
    try await ticket(nil)
    try await desk.server.database.work("SELECT crm.watch_sla('2026-11-02T09:00:00.001Z'::timestamptz, 100)")
    let report = try await desk.rows("/v1/service/sla?from=2026-11-01&to=2026-11-30&group_by=team")
    #expect(report.count == 1 && report[0]["met"] == 4 && report[0]["breached"] == 2 && report[0]["still_open"] == 1, "\(report)")
    let attainment = try #require(report[0]["attainment"]?.amount)
    #expect(abs(attainment - 4.0 / 6.0) < 0.000001)
    // Of what is done: 10, 20, 30, 60 and 90 minutes.
    #expect(report[0]["median_seconds"] == 1_800 && report[0]["p90_seconds"] == 4_680 && report[0]["p90_ticket_seconds"] == 5_400, "\(report)")
    let metric = try await desk.rows("/v1/metrics/sla_attainment?from=2026-11-01&to=2026-11-30")
    #expect(metric.first?["numerator"] == "9" && metric.first?["denominator"] == "11", "with the five resolutions: \(metric)")
    let ageing = try await desk.rows("/v1/service/ageing?group_by=agent")
    #expect(ageing.reduce(0) { $0 + ($1["tickets"]?.amount ?? 0) } == 1)
    let curve = try await desk.rows("/v1/service/resolution_curve")
    #expect(
      curve.count == 6 && curve[0]["at_risk"] == 6 && curve[4]["unresolved_share"]?.amount.map { abs($0 - 1.0 / 6.0) < 0.000001 } == true
        && curve[5]["censored"] == 1, "\(curve)")
    let open = try #require(try await desk.rows("/v1/tickets?status=eq.new").first)
    let prediction = try await desk.rows("/v1/tickets/\(open.id)/prediction")
    #expect(prediction.first?["compared_with"] == "nothing" && prediction.first?["probability_of_breach"] == .null, "\(prediction)")
    #expect(try await desk.send(.get, "/v1/service/sla", as: "ayse").status == 403)
  }

  @Test("the jobs give warnings, note breaches, ask for the next instant, and compute anew after a policy changed")
  func jobs() async throws {
    let desk = try await ServiceDesk(server: TestServer.start())
    let promise = try await policy(desk, ["first_response_minutes": 1])
    let late = try await desk.ticket(["opened_at": .string(Date.now.addingTimeInterval(-120).formatted(.iso8601))])
    try await desk.finish("service.watch", queued: true)
    let events = try await desk.rows("/v1/sla_events?ticket_id=eq.\(late.id)&order=at")
    #expect(events.map { $0["kind"] } == ["breach"] || events.map { $0["kind"] } == ["warning", "breach"], "\(events)")
    // Its warning comes after 48 seconds: a machine that needs as long to look begins with another ticket.
    var asked = 0
    for _ in 0..<20 where asked == 0 {
      _ = try await desk.ticket()
      try await desk.finish("service.watch", queued: true)
      asked = try await desk.server.database.admin.execute(
        [
          "SELECT count(*) FROM crm.job AS j WHERE j.kind = 'service.watch' AND j.key IS NOT NULL AND j.run_at > now() AND j.run_at < now() + interval '61 seconds'"
        ],
        context: .init(readOnly: true), deadline: .after(.seconds(60)))[0][0].decode(Int.self, at: 0)
    }
    #expect(asked >= 1, "the ticket's warning is asked for")

    _ = try await desk.done(.patch, "/v1/sla_policies/\(promise.id)", as: "deniz", json: ["first_response_minutes": 600])
    try await desk.finish("service.sla_recompute")
    let now = try await desk.done(.get, "/v1/tickets/\(late.id)")
    #expect(now["sla_state"] == "running", "\(now)")
  }
}
