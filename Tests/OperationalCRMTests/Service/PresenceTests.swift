import CRMCore
import Foundation
import Gateway
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("Presence")
struct PresenceTests {
  private struct Seen: RowDecodable {
    let state: String
    let why: String?
    init(row: PostgresRow) throws {
      state = try row.decode(String.self, "state")
      why = try row.decode(String?.self, "lapsed_why")
    }
  }

  /// What stands there after all that lapsed was written down some minutes from now, before anybody is heard of again.
  private func later(_ minutes: Int, _ user: String, in desk: ServiceDesk) async throws -> Seen {
    try await Database(pool: desk.server.database.worker).transaction(as: .system("test")) { tx in
      try await tx.run("SELECT crm.lapse_presences(now() + make_interval(mins => \(minutes)))")
      return try await tx.one(Seen.self, "SELECT p.state, p.lapsed_why FROM crm.presence AS p WHERE p.user_id = \(user)::uuid")
    }
  }

  private func presence(_ desk: ServiceDesk, _ user: String, as person: String = "deniz") async throws -> JSON {
    try #require(try await desk.rows("/v1/presences?user_id=eq.\(user)", as: person).first)
  }

  private func inHours(_ hours: Double) -> JSON { .string(Date().addingTimeInterval(hours * 3_600).formatted(.iso8601)) }

  @Test("who said until when they are there is away from then on: they get nothing, and the decision says why", .timeLimit(.minutes(3)))
  func ending() async throws {
    let desk = try await ServiceDesk(server: TestServer.start())
    for person in ["zeynep", "burak"] { _ = try await desk.done(.put, "/v1/me/presence", as: person, json: ["state": "busy"]) }
    let waiting = try await desk.ticket()
    #expect(waiting["assignee_id"] == .null)
    _ = try await desk.done(.put, "/v1/me/presence", as: "burak", json: ["state": "offline"])
    _ = try await desk.done(.put, "/v1/me/presence", json: ["state": "available", "until": inHours(2)])
    try await desk.server.database.work("SELECT crm.route_waiting(now() + interval '3 hours', 100)")
    #expect(try await desk.done(.get, "/v1/tickets/\(waiting.id)")["assignee_id"] == .null)
    try await desk.server.database.work("SELECT crm.route_waiting(now() + interval '1 hour', 100)")
    #expect(try await desk.done(.get, "/v1/tickets/\(waiting.id)")["assignee_id"] == .string(desk.zeynep))

    #expect(try await later(60, desk.zeynep, in: desk).state == "available")
    let after = try await later(180, desk.zeynep, in: desk)
    #expect(after.state == "away" && after.why == "ended")
    #expect(try await presence(desk, desk.zeynep)["lapsed_from"] == "available")
    let missed = try await desk.ticket()
    let why = try #require(try await desk.rows("/v1/routing_decisions?ticket_id=eq.\(missed.id)&order=-decided_at").first)
    #expect(missed["assignee_id"] == .null)
    #expect(why["candidates"]?.array?.compactMap { $0["obstacle"]?.string }.sorted() == ["lapsed", "offline"], "\(why)")

    let again = try await desk.done(.put, "/v1/me/presence", json: ["state": "available"])
    #expect(again["state"] == "available" && again["lapsed_why"] == .null && again["until"]?.string != nil, "\(again)")
    let past = try await desk.send(.put, "/v1/me/presence", json: ["state": "busy", "until": "2001-01-01T00:00:00Z"])
    #expect(past.status == 422 && past.text.contains("/until"), "\(past.text)")
    #expect(try await desk.send(.put, "/v1/me/presence", json: ["state": "away", "until": inHours(1)]).status == 422)
    #expect(try await desk.done(.put, "/v1/me/presence", json: ["state": "away"])["until"] == .null)
  }

  @Test("whose connection is lost is missed after a while and comes back when heard of; who never had one is not missed", .timeLimit(.minutes(3)))
  func silence() async throws {
    let server = try await TestServer.start {
      $0.limits.live.review = .milliseconds(50)
      $0.authentication.signsEvery = .milliseconds(50)
    }
    let desk = try await ServiceDesk(server: server)
    for person in ["zeynep", "burak"] { _ = try await desk.done(.put, "/v1/me/presence", as: person, json: ["state": "available"]) }
    let stream = try await EventStream(server, "/v1/events?resource=tickets", as: "zeynep")
    _ = try await stream.next()
    func connected() async throws -> Bool {
      try await Database(pool: server.database.worker).transaction(as: .system("test")) { tx in
        try await tx.value(
          Bool.self, "SELECT EXISTS (SELECT FROM crm.sign_of_life AS s WHERE s.user_id = \(desk.zeynep)::uuid AND s.connected_at IS NOT NULL) AS connected")
      }
    }
    var isConnected = try await connected()
    for _ in 0..<600 where !isConnected {
      try await Task.sleep(for: .milliseconds(50))
      isConnected = try await connected()
    }
    #expect(isConnected)
    stream.close()
    #expect(try await later(10, desk.zeynep, in: desk).state == "available")
    let missed = try await later(45, desk.zeynep, in: desk)
    #expect(missed.state == "away" && missed.why == "unheard")
    #expect(try await later(45, desk.burak, in: desk).state == "available")
    // Her next request is the sign of life.
    var back = try await presence(desk, desk.zeynep, as: "zeynep")
    for _ in 0..<600 where back["state"] != "available" {
      try await Task.sleep(for: .milliseconds(50))
      back = try await presence(desk, desk.zeynep, as: "zeynep")
    }
    #expect(back["state"] == "available" && back["lapsed_why"] == .null, "\(back)")
    // Nobody is there for ever.
    for user in [desk.zeynep, desk.burak] { #expect(try await later(24 * 60, user, in: desk).state == "away") }
    // A team that lets its members be silent for longer.
    _ = try await desk.done(.put, "/v1/me/presence", json: ["state": "available", "until": inHours(30)])
    _ = try await desk.done(.patch, "/v1/teams/\(desk.team)", as: "deniz", json: ["silence_minutes": 600])
    #expect(try await later(500, desk.zeynep, in: desk).state == "available")
    try await server.application.stop()
  }

  @Test("without an end a presence holds until the end of the working day, outside of it for eight hours, and at least for one")
  func workingDay() async throws {
    let desk = try await ServiceDesk(server: TestServer.start())
    let calendar = try await desk.done(
      .post, "/v1/business_calendars", as: "deniz", json: ["code": .string("c_\(desk.code)"), "name": "Mesai", "time_zone": "Europe/Istanbul"])
    for (opens, closes) in [("09:00", "12:00"), ("13:00", "18:00")] {
      _ = try await desk.done(
        .post, "/v1/business_intervals", as: "deniz",
        json: ["calendar_id": .string(calendar.id), "weekday": 1, "opens": .string(opens), "closes": .string(closes)])
    }
    _ = try await desk.done(.patch, "/v1/teams/\(desk.team)", as: "deniz", json: ["calendar_id": .string(calendar.id)])
    // A Monday; clocks in Istanbul are three hours ahead.
    let ends = try await Database(pool: desk.server.database.worker).transaction(as: .system("test")) { tx in
      try await tx.result(
        """
        SELECT to_char(crm.presence_end(\(desk.zeynep)::uuid, a.at) AT TIME ZONE 'UTC', 'DD HH24:MI') AS ends
          FROM unnest(ARRAY['2026-11-23T07:00Z', '2026-11-23T09:30Z', '2026-11-23T14:45Z', '2026-11-23T20:00Z', '2026-11-24T07:00Z']::timestamptz[]) WITH ORDINALITY
            AS a (at, place) ORDER BY a.place
        """
      ).rows.map { try $0.decode(String.self, at: 0) }
    }
    #expect(ends == ["23 15:00", "23 15:00", "23 15:45", "24 04:00", "24 15:00"])
  }
}
