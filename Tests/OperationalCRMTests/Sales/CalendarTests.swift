import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@testable import OperationalCRM

@Suite("Calendars")
struct CalendarTests {
  private static let hour = (Date().timeIntervalSince1970 / 3_600).rounded(.down) * 3_600 + 86_400

  private func time(_ hours: Double) -> JSON { .string(Date(timeIntervalSince1970: Self.hour + hours * 3_600).formatted(.iso8601)) }

  /// What the PyPI package icalendar reads at an address.
  private func read(_ sales: SalesFixture, _ path: String) async throws -> (name: JSON?, entries: [JSON]) {
    let answer = try await sales.server.send(.get, path, as: nil)
    try #require(answer.status == 200, "\(answer.text)")
    #expect(answer.headers["content-type"] == "text/calendar; charset=utf-8")
    let file = FileManager.default.temporaryDirectory.appending(path: "muhatap-\(UUID()).ics")
    try Data(answer.bytes).write(to: file)
    defer { try? FileManager.default.removeItem(at: file) }
    let python = try await Command("scripts/python", []).run().trimmingCharacters(in: .whitespacesAndNewlines)
    let checked = try await Command(python, ["Tests/clients/icalendar_check.py", file.path]).output()
    try #require(checked.exitCode == 0, "\(checked.standardOutput)\(checked.standardError)\n\(answer.text)")
    let json = try JSONDecoder().decode(JSON.self, from: Data(checked.standardOutput.utf8))
    return (json["name"], json["entries"]?.array ?? [])
  }

  @Test("a person's calendar is read by icalendar: times, escaped texts, people, things to do, changes and cancellations")
  func person() async throws {
    let sales = try await SalesFixture(server: try await TestServer.start())
    let subject = "Görüşme; fiyat, vade \\ \"ödeme\" — çok uzun bir konu: İpek yolu, ığdır kayısısı ve Şırnak üzümü üzerine 🙂 konuşma"
    let agenda = "Birinci satır\nikinci; satır, \\ işareti\r\nüçüncü"
    let meeting = try await sales.done(
      .post, "/v1/activities",
      json: [
        "kind": "meeting", "subject": .string(subject), "starts_at": time(0), "ends_at": time(1), "place": "İstiklâl Cd. No:5, Kat 2",
        "agenda": .string(agenda),
        "customer_id": .string(sales.customer), "guests": [["name": "Ali \"Usta\" Öz", "email": "ali@ornek.example"]],
      ])
    _ = try await sales.done(.post, "/v1/activities", json: ["kind": "follow_up", "subject": "Katalog yolla", "starts_at": time(5)])
    _ = try await sales.done(.post, "/v1/activities", json: ["kind": "note", "subject": "Görünmez"])
    _ = try await sales.done(
      .post, "/v1/activities", as: "gul", json: ["kind": "meeting", "subject": "Başkasının", "starts_at": time(0), "ends_at": time(1)])
    let feed = try await sales.done(.post, "/v1/calendar_feeds", json: ["name": "Ayşe'nin takvimi; iş"])
    let path = try #require(feed["path"]?.string)

    let before = try await read(sales, path)
    #expect(before.name == "Ayşe'nin takvimi; iş")
    try #require(before.entries.count == 2, "\(before.entries)")
    let event = before.entries[0]
    #expect(event["component"] == "VEVENT" && event["summary"] == .string(subject) && event["uid"] == .string("\(meeting.id)@muhatap"), "\(event)")
    #expect(event["start"] == time(0) && event["end"] == time(1) && event["location"] == "İstiklâl Cd. No:5, Kat 2" && event["status"] == "CONFIRMED")
    #expect(event["description"] == .string("Çınar Gıda A.Ş.\n" + agenda.replacing("\r\n", with: "\n")))
    #expect(event["attendees"] == ["Ali 'Usta' Öz", "Ayşe Yılmaz"], "\(event)")
    #expect(before.entries[1]["component"] == "VTODO" && before.entries[1]["due"] == time(5) && before.entries[1]["status"] == "NEEDS-ACTION")

    _ = try await sales.done(.post, "/v1/activities/\(meeting.id)/reschedule", json: ["starts_at": time(2)])
    let moved = try await read(sales, path).entries[0]
    func sequence(_ entry: JSON) -> Decimal { if case .number(let number)? = entry["sequence"] { number } else { -1 } }
    #expect(moved["uid"] == event["uid"] && moved["start"] == time(2) && moved["end"] == time(3) && sequence(moved) > sequence(event))
    _ = try await sales.done(.post, "/v1/activities/\(meeting.id)/cancel", json: [:])
    let gone = try await read(sales, path).entries[0]
    #expect(gone["status"] == "CANCELLED" && gone["uid"] == event["uid"] && sequence(gone) > sequence(moved))
  }

  @Test("a department's calendar shows what its maker may read, and a deleted address nothing")
  func department() async throws {
    let sales = try await SalesFixture(server: try await TestServer.start())
    for (person, subject, visibility) in [
      ("ayse", "Satış toplantısı", "company"), ("gul", "Kurumsal toplantı", "department"), ("gul", "Gizli toplantı", "private"),
    ] {
      _ = try await sales.done(
        .post, "/v1/activities", as: person,
        json: [
          "kind": "meeting", "subject": .string(subject), "starts_at": time(0), "ends_at": time(1), "visibility": .string(visibility), "force": true,
        ])
    }
    let departments = try await sales.get("/v1/departments?limit=100", as: "deniz")["data"]?.array ?? []
    let department = try #require(departments.first { $0["code"] == "sales" })
    var paths: [String: (path: String, id: String)] = [:]
    for person in ["ayse", "mehmet"] {
      let feed = try await sales.done(.post, "/v1/calendar_feeds", as: person, json: ["department_id": .string(department.id)])
      paths[person] = (try #require(feed["path"]?.string), feed.id)
      #expect(feed["name"] == "Satış")
    }
    let seen = try await read(sales, paths["ayse"]?.path ?? "").entries.compactMap { $0["summary"]?.string }
    #expect(Set(seen) == ["Satış toplantısı", "Kurumsal toplantı"], "\(seen)")

    let own = try await sales.get("/v1/calendar_feeds")["data"]?.array
    #expect(own?.map(\.id) == [paths["ayse"]?.id ?? ""] && own?.first?["token_hash"] == nil, "\(own ?? [])")
    let id = paths["ayse"]?.id ?? ""
    #expect(try await sales.send(.delete, "/v1/calendar_feeds/\(id)", as: "mehmet").status == 404)
    #expect(try await sales.send(.delete, "/v1/calendar_feeds/\(id)").status == 204)
    #expect(try await sales.server.send(.get, paths["ayse"]?.path ?? "", as: nil).status == 404)
    #expect(try await sales.server.send(.get, paths["mehmet"]?.path ?? "", as: nil).status == 200)
    #expect(try await sales.server.send(.get, "/v1/calendars/\(String(repeating: "A", count: 43)).ics", as: nil).status == 404)
    #expect(try await sales.server.send(.get, "/v1/calendars/x", as: nil).status == 404)
    #expect(try await sales.send(.post, "/v1/calendar_feeds", as: "emre", json: [:]).status == 403)
    #expect(try await sales.send(.post, "/v1/calendar_feeds", json: ["department_id": .string(UUID.v7().lowercase)]).status == 422)
    // The token itself is nowhere in the database.
    let token = try #require(paths["mehmet"]?.path.dropFirst("/v1/calendars/".count).dropLast(4))
    let kept = try await sales.server.database.admin.execute(
      ["SELECT count(*) FROM crm.calendar_feed AS f WHERE position(\(String(token)) IN f::text) > 0"], context: .init(readOnly: true),
      deadline: .after(.seconds(60)))
    #expect(try kept[0][0].decode(Int.self, at: 0) == 0)
  }

  @Test("a line is folded at 75 octets, never within a character", arguments: 0..<12)
  func folding(shift: Int) throws {
    var calendar = ICalendar(name: "x")
    let text = String(repeating: "a", count: shift) + String(repeating: "ğ🙂", count: 60)
    calendar.property("SUMMARY", text: text)
    let lines = String(decoding: calendar.closed(), as: UTF8.self).components(separatedBy: "\r\n")
    #expect(lines.allSatisfy { $0.utf8.count <= 75 })
    #expect(lines.joined(separator: "\r\n").replacing("\r\n ", with: "").contains("SUMMARY:\(text)\r\n"))
  }
}
