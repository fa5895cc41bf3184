import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("Business time and promises, against counting minutes")
struct BusinessTimeTests {
  /// A zone and when its clocks change.
  private static let places: [(zone: String, from: String, holidays: Bool)] = [
    ("Europe/Istanbul", "2026-10-12", true), ("Europe/Istanbul", "2015-10-19", false), ("Europe/Berlin", "2026-03-09", false),
    ("America/New_York", "2026-10-12", false), ("Australia/Lord_Howe", "2026-03-16", false), ("America/Sao_Paulo", "2018-10-15", false),
    ("Asia/Kathmandu", "2026-05-04", false), ("America/New_York", "2026-02-16", false),
  ]
  private static let days = 70

  private struct Policy {
    let calendar: Int
    let goal: Int
    let pauses: [String]
  }

  private struct Case {
    let id = UUID.v7()
    let policy: Int
    let stays: [(from: Int, status: String)]
    var stop: Int? { stays.last.flatMap { $0.status == "resolved" ? $0.from : nil } }
  }

  private static func clock(_ minute: Int) -> String { String(format: "%02d:%02d", minute / 60, minute % 60) }
  private static func instant(_ minute: Int) -> Date { Date(timeIntervalSince1970: Double(minute) * 60) }

  /// Between one and four intervals, on any minute; some until midnight.
  private static func intervals(_ random: inout SplitMix) -> [(Int, Int)] {
    var edges: Set<Int> = []
    let wanted = 2 * Int.random(in: 1...3, using: &random)
    while edges.count < wanted { edges.insert(Int.random(in: 0...1_440, using: &random)) }
    let sorted = edges.sorted()
    return stride(from: 0, to: sorted.count, by: 2).map { (sorted[$0], sorted[$0 + 1]) }
  }

  private func day(_ text: String) throws -> Int { try #require(CalendarDate(text)).daysSince1970 }

  private func makeCalendars(_ tx: PostgresTransaction, _ random: inout SplitMix) async throws -> [(id: UUID, model: MinuteCalendar)] {
    var calendars: [(id: UUID, model: MinuteCalendar)] = []
    for (number, place) in Self.places.enumerated() {
      let first = try day(place.from)
      let id = UUID.v7()
      var hours: [MinuteCalendar.Hours] = []
      for weekday in 1...7 where weekday < 6 || Bool.random(using: &random) {
        hours += Self.intervals(&random).map { .init(weekday: weekday, day: nil, opens: $0.0, closes: $0.1) }
      }
      for _ in 0..<4 {
        let special = first + Int.random(in: 0..<Self.days, using: &random)
        guard !hours.contains(where: { $0.day == special }) else { continue }
        hours += Self.intervals(&random).map { .init(weekday: nil, day: special, opens: $0.0, closes: $0.1) }
      }
      var closed: [Int: Int] = [:]
      for _ in 0..<12 {
        closed[first + Int.random(in: 0..<Self.days, using: &random)] = Bool.random(using: &random) ? 0 : Int.random(in: 600...900, using: &random)
      }
      try await tx.run(
        """
        INSERT INTO crm.business_calendar (id, code, name, time_zone, covers_from, covers_until, holiday_scope)
        VALUES (\(id), \("c\(number)"), 'x', \(place.zone), \(CalendarDate(daysSince1970: first - 2)), \(CalendarDate(daysSince1970: first + Self.days + 60)),
          \(place.holidays ? "TR" : nil))
        """)
      try await tx.run(
        """
        INSERT INTO crm.calendar_exception (calendar_id, day, name, closes_at)
        SELECT \(id), date '1970-01-01' + d, 'x', nullif(c, '00:00')
        FROM unnest(\(closed.keys.sorted())::integer[], \(closed.keys.sorted().map { Self.clock(closed[$0] ?? 0) })::text[]) AS e (d, c)
        """)
      try await tx.run(
        """
        INSERT INTO crm.business_interval (calendar_id, weekday, day, opens, closes)
        SELECT \(id), nullif(w, 0), CASE WHEN w = 0 THEN date '1970-01-01' + d END, o, c
        FROM unnest(\(hours.map { $0.weekday ?? 0 })::smallint[], \(hours.map { $0.day ?? 0 })::integer[], \(hours.map { Self.clock($0.opens) })::text[],
          \(hours.map { Self.clock($0.closes) })::text[]) AS h (w, d, o, c)
        """)
      if place.holidays {
        // Cumhuriyet Bayramı: closed from 13:00 on the eve, and on the day.
        closed[try day("2026-10-28")] = closed[try day("2026-10-28")] ?? 13 * 60
        closed[try day("2026-10-29")] = closed[try day("2026-10-29")] ?? 0
      }
      calendars.append(
        (
          id,
          MinuteCalendar(
            zone: try #require(TimeZone(identifier: place.zone)), hours: hours, closedFrom: closed, start: first * 1_440, minutes: Self.days * 1_440)
        ))
    }
    return calendars
  }

  private func makePolicies(_ tx: PostgresTransaction, _ calendars: [UUID], _ random: inout SplitMix) async throws -> [(
    type: String, channel: String, policy: Policy
  )] {
    var policies: [(type: String, channel: String, policy: Policy)] = []
    for type in ["question", "problem", "incident", "request", "complaint", "return", "other"] {
      for channel in ["email", "phone", "chat", "sms", "social", "web", "form", "letter"] {
        let policy = Policy(
          calendar: Int.random(in: 0..<calendars.count, using: &random), goal: Int.random(in: 5...2_500, using: &random),
          pauses: [["pending_customer"], ["pending_customer", "on_hold"], [], ["new"]].randomElement(using: &random) ?? [])
        try await tx.run(
          """
          INSERT INTO crm.sla_policy (code, name, type, channel, calendar_id, resolution_minutes, pauses)
          VALUES (\("\(type)_\(channel)"), 'x', \(type), \(channel), \(calendars[policy.calendar]), \(policy.goal), \(policy.pauses))
          """)
        policies.append((type, channel, policy))
      }
    }
    return policies
  }

  private func makeCases(_ policies: [Policy], _ calendars: [MinuteCalendar], _ random: inout SplitMix) -> [Case] {
    (0..<1_000).map { _ in
      let policy = Int.random(in: 0..<policies.count, using: &random)
      var at = calendars[policies[policy].calendar].start + Int.random(in: 0..<30 * 1_440, using: &random)
      var stays = [(from: at, status: "new")]
      for _ in 0..<Int.random(in: 0...6, using: &random) {
        at += Int.random(in: 1...2_000, using: &random)
        let next = ["open", "pending_customer", "on_hold"].filter { $0 != stays.last?.status }.randomElement(using: &random) ?? "open"
        stays.append((at, next))
      }
      if Bool.random(using: &random) { stays.append((at + Int.random(in: 1...2_000, using: &random), "resolved")) }
      return Case(policy: policy, stays: stays)
    }
  }

  /// Compares every resolution clock with its count; `asOf` is when open ones are judged, in minutes since 1970, by case.
  private func compare(_ cases: [Case], _ policies: [Policy], _ calendars: [MinuteCalendar], _ tx: PostgresTransaction, asOf: (Case) -> Int) async throws -> Int
  {
    let rows = try await tx.result(
      """
      SELECT k.ticket_id, k.state, k.elapsed_seconds, extract(epoch FROM k.breaches_at)::bigint AS breaches, k.due_at <= k.breaches_at AS ordered
        FROM crm.ticket_clock k WHERE k.kind = 'resolution'
      """)
    var found: [UUID: (state: String, elapsed: Double, breaches: Int?, ordered: Bool?)] = [:]
    for row in rows.rows {
      found[try row.decode(UUID.self, "ticket_id")] = (
        try row.decode(String.self, "state"), try row.decode(Double.self, "elapsed_seconds"), try row.decode(Int?.self, "breaches"),
        try row.decode(Bool?.self, "ordered")
      )
    }
    let open = calendars.map { $0.openMinutes() }
    var breached = 0
    for trial in cases {
      let policy = policies[trial.policy]
      let calendar = calendars[policy.calendar]
      let stays = trial.stays.map { (from: $0.from, paused: policy.pauses.contains($0.status) || $0.status == "resolved") }
      let counted = MinuteClock(open: open[policy.calendar], start: calendar.start, stays: stays, stop: trial.stop, goal: policy.goal)
      let clock = try #require(found[trial.id])
      #expect(clock.elapsed == Double(counted.elapsed * 60), "\(trial.stays) \(policy)")
      #expect(clock.ordered != false)
      let isPaused = trial.stop == nil && stays.last?.paused == true
      let passed = counted.breachesAt.map { trial.stop != nil || $0 < asOf(trial) } ?? false
      if trial.stop == nil, !isPaused || passed, let expected = counted.breachesAt {
        #expect(clock.breaches == expected * 60, "\(trial.stays) \(policy)")
      }
      if passed { #expect(clock.breaches == counted.breachesAt.map { $0 * 60 }, "\(trial.stays) \(policy)") }
      let expected = passed ? "breached" : trial.stop != nil ? "met" : isPaused ? "paused" : "running"
      // What is counted ends with the last minute that is laid out here; the calendar goes on.
      if counted.breachesAt != nil || trial.stop != nil || isPaused || expected == "running" {
        #expect(clock.state == expected || counted.breachesAt == nil && trial.stop == nil && !isPaused, "\(clock) \(trial.stays) \(policy)")
      }
      breached += passed ? 1 : 0
    }
    return breached
  }

  @Test("a thousand random clocks are as counted minute by minute, over half days and changes of zones, also after policies and calendars changed")
  func thousandClocks() async throws {
    let database = try await TestDatabase.clone()
    try await Database(pool: database.worker).transaction(as: .system("test"), deadline: .after(.seconds(1_800))) { tx in
      var random = SplitMix(seed: 20_261_122)
      let department = UUID.v7()
      let customer = UUID.v7()
      try await tx.run("INSERT INTO crm.department (id, code, name) VALUES (\(department), 'x', 'x')")
      try await tx.run("INSERT INTO crm.customer (id, kind, name, department_id) VALUES (\(customer), 'person', 'x', \(department))")
      var calendars = try await makeCalendars(tx, &random)
      let kinds = try await makePolicies(tx, calendars.map(\.id), &random)
      var policies = kinds.map(\.policy)
      let cases = makeCases(policies, calendars.map(\.model), &random)

      try await tx.run(
        """
        INSERT INTO crm.ticket (customer_id, id, subject, type, channel, opened_at, department_id)
        SELECT \(customer), t.id, 'x', t.type, t.channel, t.opened_at, \(department)
        FROM unnest(\(cases.map(\.id))::uuid[], \(cases.map { kinds[$0.policy].type })::text[], \(cases.map { kinds[$0.policy].channel })::text[],
          \(cases.map { Self.instant($0.stays[0].from) })::timestamptz[]) AS t (id, type, channel, opened_at)
        """)
      for step in 1..<9 {
        let moving = cases.filter { $0.stays.count > step }
        try await tx.run(
          """
          UPDATE crm.ticket AS t SET status = m.status, status_since = m.at
          FROM unnest(\(moving.map(\.id))::uuid[], \(moving.map { $0.stays[step].status })::text[], \(moving.map { Self.instant($0.stays[step].from) })::timestamptz[])
            AS m (id, status, at)
          WHERE t.id = m.id
          """)
      }
      // A ticket that never moved was not judged yet; it is as it was opened.
      let breached = try await compare(cases, policies, calendars.map(\.model), tx) { $0.stays.last?.from ?? 0 }
      #expect((100...900).contains(breached), "the cases are of both kinds: \(breached)")

      // Another goal, other pauses, another week, and a holiday that nobody had thought of.
      policies = policies.map {
        Policy(calendar: $0.calendar, goal: $0.goal / 2 + 7, pauses: $0.pauses.contains("on_hold") ? ["pending_customer"] : ["on_hold"])
      }
      try await tx.run(
        """
        UPDATE crm.sla_policy AS p SET resolution_minutes = m.goal, pauses = m.pauses::text[]
        FROM unnest(\(kinds.map { "\($0.type)_\($0.channel)" })::text[], \(policies.map(\.goal))::integer[], \(policies.map { "{\($0.pauses.joined(separator: ","))}" })::text[])
          AS m (code, goal, pauses) WHERE p.code = m.code
        """)
      for number in calendars.indices {
        let gone = calendars[number].model.start / 1_440 + 20
        calendars[number].model.hours.removeAll { $0.weekday == 2 || $0.day == gone }
        calendars[number].model.closedFrom[gone] = 0
        let id = calendars[number].id
        try await tx.run("DELETE FROM crm.business_interval WHERE calendar_id = \(id) AND (weekday = 2 OR day = date '1970-01-01' + \(gone)::integer)")
        try await tx.run(
          """
          INSERT INTO crm.calendar_exception (calendar_id, day, name) VALUES (\(id), date '1970-01-01' + \(gone)::integer, 'x')
          ON CONFLICT ON CONSTRAINT calendar_exception_day_unique DO UPDATE SET closes_at = NULL
          """)
      }
      let later = Self.instant(try day("2030-01-01") * 1_440)
      try await tx.run("SELECT crm.recompute_sla(\(cases.map(\.id)), \(later))")
      let again = try await compare(cases, policies, calendars.map(\.model), tx) { _ in
        later.timeIntervalSince1970 > 0 ? Int(later.timeIntervalSince1970) / 60 : 0
      }
      #expect(again != breached)
      // Computing it once more changes nothing.
      #expect(try await tx.value(Int.self, "SELECT crm.recompute_sla(\(cases.map(\.id)), \(later)) AS n") == 0)
    }
  }

  @Test("hours that several people enter at once are all laid out")
  func enteredAtOnce() async throws {
    let server = try await TestServer.suite()
    let calendar = try await server.send(
      .post, "/v1/business_calendars", as: "deniz", json: ["code": "at_once", "name": "x", "covers_from": "2026-11-02", "covers_until": "2026-11-08"]
    ).json().id
    let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
      for weekday in 1...7 {
        group.addTask {
          try await server.send(
            .post, "/v1/business_intervals", as: "deniz",
            json: ["calendar_id": .string(calendar), "weekday": .number(Decimal(weekday)), "opens": "09:00", "closes": "18:00"]
          ).status
        }
      }
      return try await group.reduce(into: []) { $0.append($1) }
    }
    #expect(statuses == Array(repeating: 201, count: 7))
    let found = try await server.database.admin.execute(
      ["SELECT count(*), max(s.before) FROM crm.calendar_span AS s WHERE s.calendar_id = \(try #require(UUID(uuidString: calendar)))"],
      context: .init(readOnly: true), deadline: .after(.seconds(60)))[0]
    #expect(try found[0].decode(Int.self, at: 0) == 7 && found[0].decode(Int.self, at: 1) == 6 * 9 * 3_600_000_000)
  }

  @Test("an answer exactly at the limit meets it, and one a microsecond later does not")
  func exactLimit() async throws {
    let database = try await TestDatabase.clone()
    try await database.withRollback(as: .system("test")) { tx in
      try await tx.run("INSERT INTO crm.department (id, code, name) VALUES ('00000000-0000-0000-0000-00000000000d', 'x', 'x')")
      try await tx.run(
        "INSERT INTO crm.customer (id, kind, name, department_id) VALUES ('00000000-0000-0000-0000-00000000000c', 'person', 'x', '00000000-0000-0000-0000-00000000000d')"
      )
      try await tx.run("INSERT INTO crm.business_calendar (id, code, name) VALUES ('00000000-0000-0000-0000-0000000000ca', 'week', 'x')")
      try await tx.run(
        """
        INSERT INTO crm.business_interval (calendar_id, weekday, opens, closes)
        SELECT '00000000-0000-0000-0000-0000000000ca', w, '09:00', '18:00' FROM generate_series(1, 5) AS w
        """)
      try await tx.run(
        "INSERT INTO crm.sla_policy (code, name, calendar_id, first_response_minutes) VALUES ('p', 'x', '00000000-0000-0000-0000-0000000000ca', 60)")
      // Friday 17:00 in Türkiye: the hour is over at 18:00, and nothing counts until Monday 09:00.
      for (id, answer, state) in [
        ("00000000-0000-0000-0000-000000000001", "2026-11-20 15:00:00+00", "met"), ("00000000-0000-0000-0000-000000000002", "2026-11-23 06:00:00+00", "met"),
        ("00000000-0000-0000-0000-000000000003", "2026-11-23 06:00:00.000001+00", "breached"),
      ] {
        try await tx.run(
          """
          INSERT INTO crm.ticket (customer_id, id, subject, opened_at, department_id)
          VALUES ('00000000-0000-0000-0000-00000000000c', \(id)::uuid, 'x', '2026-11-20 14:00:00+00', '00000000-0000-0000-0000-00000000000d')
          """)
        try await tx.run("UPDATE crm.ticket SET status = 'resolved', status_since = \(answer)::timestamptz WHERE id = \(id)::uuid")
        let found = try await tx.value(
          String.self,
          """
          SELECT k.state || to_char(k.due_at AT TIME ZONE 'Europe/Istanbul', ' Dy HH24:MI') || to_char(k.breaches_at AT TIME ZONE 'Europe/Istanbul', ' Dy HH24:MI') AS found
          FROM crm.ticket_clock AS k WHERE k.ticket_id = \(id)::uuid AND k.kind = 'first_response'
          """)
        #expect(found == "\(state) Fri 18:00 Mon 09:00" || state == "breached" && found.hasPrefix("breached"), "\(answer): \(found)")
      }
    }
  }
}
