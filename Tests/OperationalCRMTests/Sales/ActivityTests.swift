import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("Activities")
struct ActivityTests {
  private static let nextWeek = (Date().timeIntervalSince1970 / 86_400).rounded(.down) * 86_400 + 7 * 86_400

  /// A time next week, so many minutes after nine; each test has a day of its own.
  private func time(_ day: Int, _ minutes: Int) -> JSON {
    .string(Date(timeIntervalSince1970: Self.nextWeek + Double(day) * 86_400 + 9 * 3_600 + Double(minutes) * 60).formatted(.iso8601))
  }

  private func user(_ sales: SalesFixture, _ person: String) async throws -> JSON {
    .string(try #require(try await sales.get("/v1/users?email=eq.\(person)@carsi.example", as: "deniz")["data"]?.array?.first?.id))
  }

  private func meeting(_ sales: SalesFixture, _ day: Int, _ start: Int, _ end: Int, _ fields: [String: JSON] = [:], as person: String = "ayse") async throws
    -> TestServer.Answer
  {
    let body: [String: JSON] = ["kind": "meeting", "subject": "Tanışma", "starts_at": time(day, start), "ends_at": time(day, end)]
    return try await sales.send(.post, "/v1/activities", as: person, json: .object(body.merging(fields) { $1 }))
  }

  @Test("a meeting has its owner, colleagues, contacts and guests, and is about a customer")
  func meeting() async throws {
    let sales = try await SalesFixture.suite()
    let contact = try await sales.done(.post, "/v1/contacts", json: ["customer_id": .string(sales.customer), "name": "Işıl Çınar"])
    let opportunity = try await sales.opportunity([:])
    let made = try await meeting(
      sales, 0, 0, 60,
      [
        "customer_id": .string(sales.customer), "contact_id": .string(contact.id), "opportunity_id": .string(opportunity.id), "place": "Çınar, 3. kat",
        "agenda": "Fiyatlar", "user_ids": [try await user(sales, "mehmet")], "contact_ids": [.string(contact.id)],
        "guests": [["name": "Danışman", "email": "d@danisman.example"]],
      ])
    #expect(made.status == 201, "\(made.text)")
    let activity = try made.json()
    #expect(activity["status"] == "planned" && activity["participants"]?.array?.count == 4, "\(activity)")
    #expect(activity["participants"]?.array?.first { $0["user_id"] == activity["owner_id"] }?["response"] == "accepted", "\(activity)")
    let shown = try await sales.get("/v1/activities/\(activity.id)?expand=customer,contact,opportunity")
    #expect(shown["contact"]?["name"] == "Işıl Çınar" && shown["opportunity"]?["id"] == .string(opportunity.id))
    #expect(try await sales.done(.patch, "/v1/activities/\(activity.id)", json: ["minutes": "Fiyat istediler."])["minutes"] == "Fiyat istediler.")
  }

  @Test("what an activity lacks or may not have is named")
  func mistakes() async throws {
    let sales = try await SalesFixture.suite()
    let someone = JSON.string(UUID.v7().lowercase)
    for (fields, pointer) in [
      (["kind": "meeting", "subject": "x"], "/ends_at"), (["kind": "party", "subject": "x"], "/kind"), (["kind": "note"], "/subject"),
      (["kind": "note", "subject": "x", "contact_ids": [someone]], "/customer_id"), (["kind": "note", "subject": "x", "customer_id": someone], "/customer_id"),
      (["kind": "note", "subject": "x", "lead_id": someone], "/lead_id"),
      (["kind": "note", "subject": "x", "customer_id": .string(sales.customer), "opportunity_id": someone], "/opportunity_id"),
      (["kind": "call", "subject": "x", "starts_at": time(0, 10), "ends_at": time(0, 5)], "/ends_at"),
    ] as [([String: JSON], String)] {
      let answer = try await sales.send(.post, "/v1/activities", json: .object(fields))
      #expect(answer.status == 422 && answer.text.contains("\"\(pointer)\""), "\(pointer): \(answer.text)")
    }
    #expect(try await sales.send(.post, "/v1/activities", as: "elif", json: ["kind": "note", "subject": "x"]).status == 403)
  }

  @Test("nobody is booked twice at one time, unless forced")
  func overlap() async throws {
    let sales = try await SalesFixture.suite()
    let mehmet = try await user(sales, "mehmet")
    #expect(try await meeting(sales, 1, 0, 60, ["user_ids": [mehmet]]).status == 201)
    let taken = try await meeting(sales, 1, 30, 90, ["user_ids": [mehmet]], as: "gul")
    #expect(taken.status == 409 && taken.problem == "overlap", "\(taken.text)")
    let conflict = try taken.json()["conflicts"]?.array?.first
    #expect(conflict?["name"] == "Mehmet Demir" && conflict?["starts_at"] == time(1, 0), "\(taken.text)")
    // Touching is not overlapping, and a note or follow-up books nobody.
    #expect(try await meeting(sales, 1, 60, 90, ["user_ids": [mehmet]], as: "gul").status == 201)
    #expect(
      try await sales.send(.post, "/v1/activities", json: ["kind": "follow_up", "subject": "Ara", "starts_at": time(1, 10)]).status == 201)
    let forced = try await meeting(sales, 1, 30, 45, ["user_ids": [mehmet], "force": true], as: "deniz")
    #expect(forced.status == 201, "\(forced.text)")

    // A private meeting is in the way all the same, but says nothing of itself.
    let secret = try await meeting(sales, 1, 300, 330, ["visibility": "private", "subject": "Gizli", "user_ids": [mehmet]])
    #expect(secret.status == 201)
    let blind = try await meeting(sales, 1, 310, 320, ["user_ids": [mehmet]], as: "gul")
    #expect(blind.status == 409 && blind.problem == "overlap" && !blind.text.contains("Gizli") && !blind.text.contains("Mehmet"), "\(blind.text)")
    let added = try await sales.send(
      .post, "/v1/activity_participants", as: "gul",
      json: ["activity_id": .string(try await meeting(sales, 1, 305, 315, as: "gul").json().id), "user_id": mehmet])
    #expect(added.status == 409, "\(added.text)")
  }

  @Test("of two bookings of one person at once, one is made")
  func overlapAtOnce() async throws {
    let sales = try await SalesFixture.suite()
    let mehmet = try await user(sales, "mehmet")
    let people = ["ayse", "gul", "deniz"]
    let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
      for number in 0..<9 {
        group.addTask { try await meeting(sales, 2, number * 2, 60 + number * 2, ["owner_id": mehmet, "user_ids": []], as: people[number % 3]).status }
      }
      return try await group.reduce(into: [Int]()) { $0.append($1) }
    }
    #expect(statuses.count { $0 == 201 } == 1 && statuses.count { $0 == 409 } == 8, "\(statuses)")
  }

  @Test("a meeting is moved where everybody is free, and a cancelled one books nobody")
  func rescheduling() async throws {
    let sales = try await SalesFixture.suite()
    let first = try await meeting(sales, 3, 0, 30).json()
    let second = try await meeting(sales, 3, 60, 90).json()
    let refused = try await sales.send(.post, "/v1/activities/\(second.id)/reschedule", json: ["starts_at": time(3, 15)])
    #expect(refused.status == 409 && refused.problem == "overlap", "\(refused.text)")
    let moved = try await sales.done(.post, "/v1/activities/\(second.id)/reschedule", json: ["starts_at": time(3, 30), "place": "Üst kat"])
    #expect(moved["ends_at"] == time(3, 60) && moved["place"] == "Üst kat", "\(moved)")
    let forced = try await sales.done(.post, "/v1/activities/\(second.id)/reschedule", json: ["starts_at": time(3, 15), "force": true])
    #expect(forced["starts_at"] == time(3, 15))
    let cancelled = try await sales.done(.post, "/v1/activities/\(first.id)/cancel", json: ["reason": "Kar yağışı"])
    #expect(cancelled["status"] == "cancelled" && cancelled["cancellation_reason"] == "Kar yağışı")
    let back = try await sales.send(.post, "/v1/activities/\(second.id)/reschedule", json: ["starts_at": time(3, 0)])
    #expect(back.status == 200, "\(back.text)")
    #expect(try await sales.send(.post, "/v1/activities/\(first.id)/reschedule", json: ["starts_at": time(3, 200)]).problem == "activity-cancelled")
    #expect(try await sales.send(.post, "/v1/activities/\(first.id)/complete", json: [:]).problem == "activity-cancelled")
    #expect(try await sales.send(.post, "/v1/activities/\(second.id)/cancel", as: "mehmet", json: [:]).status == 403)
    #expect(try await sales.send(.post, "/v1/activities/\(UUID.v7().lowercase)/cancel", json: [:]).status == 404)
  }

  @Test("a completed meeting keeps minutes and outcome, and its next step becomes a follow-up")
  func completion() async throws {
    let sales = try await SalesFixture.suite()
    let lead = try await sales.done(.post, "/v1/leads", json: ["company_name": "Akçay Otelcilik"])
    let made = try await meeting(sales, 4, 0, 30, ["lead_id": .string(lead.id)]).json()
    let unsaid = try await sales.send(.post, "/v1/activities/\(made.id)/complete", json: ["next_step_at": time(5, 0)])
    #expect(unsaid.status == 422 && unsaid.text.contains("/next_step"))
    let done = try await sales.done(
      .post, "/v1/activities/\(made.id)/complete",
      json: ["outcome": "successful", "minutes": "40 oda için havlu.", "next_step": "Teklif gönder", "next_step_at": time(5, 0)])
    #expect(done["status"] == "completed" && done["outcome"] == "successful" && done["completed_at"] != .null)
    let next = try #require(done["next"]?.array?.first, "\(done)")
    #expect(next["kind"] == "follow_up" && next["subject"] == "Teklif gönder" && next["lead_id"] == .string(lead.id) && next["starts_at"] == time(5, 0))
    #expect(try await sales.send(.post, "/v1/activities/\(made.id)/complete", json: [:]).problem == "activity-completed")
    #expect(try await sales.send(.post, "/v1/activities/\(made.id)/cancel", json: [:]).problem == "activity-completed")
    // Once the lead is a customer, so is what was done about it.
    let ids = try await sales.done(.post, "/v1/leads/\(lead.id)/convert", json: [:])
    #expect(try await sales.get("/v1/activities/\(made.id)")["customer_id"] == ids["customer_id"])
    let note = try await sales.done(.post, "/v1/activities", json: ["kind": "note", "subject": "Not", "minutes": "Aradı."])
    #expect(note["status"] == "completed")
  }
}
