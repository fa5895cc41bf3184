import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@Suite struct MacroTests {
  private func macro(_ desk: ServiceDesk, _ fields: [String: JSON]) async throws -> TestServer.Answer {
    let code = "m\(UUID().uuidString.lowercased().filter { $0 != "-" })"
    return try await desk.send(.post, "/v1/macros", as: "deniz", json: .object(["code": .string(code), "name": "Makro"].merging(fields) { $1 }))
  }

  private func apply(_ macro: TestServer.Answer, to ticket: JSON, _ desk: ServiceDesk) async throws -> TestServer.Answer {
    try #require(macro.status == 201, "\(macro.text)")
    return try await desk.send(.post, "/v1/tickets/\(ticket.id)/apply_macro", json: ["macro_id": .string(try macro.json().id)])
  }

  @Test func `a place that nobody fills is refused when it is written, and a value is not looked through for places`() async throws {
    let desk = try await ServiceDesk.suite()
    for field in ["reply", "note"] {
      let wrong = try await macro(desk, [field: "Sayın {{customer.surname}}"])
      #expect(wrong.status == 422 && wrong.text.contains("macro_\(field)_placeholders"), "\(wrong.text)")
    }
    let ticket = try await desk.ticket(["subject": "{{agent}} ve {{number}}"])
    let noting = try await macro(desk, ["note": "{{ ticket.subject }} / {{number}} / {{customer.name}} / {{agent.name}} }} {{"])
    #expect(try await apply(noting, to: ticket, desk).status == 200)
    let number = try #require(ticket["number"]?.string)
    let notes = try await desk.server.database.admin.execute(
      ["SELECT n.text FROM crm.internal_note n WHERE n.ticket_id = \(try #require(UUID(uuidString: ticket.id)))"], context: .init(readOnly: true),
      deadline: .after(.seconds(60)))[0]
    #expect(try notes[0].decode(String.self, "text") == "{{agent}} ve {{number}} / \(number) / Çınar Gıda A.Ş. / Zeynep Çelik }} {{")
  }

  @Test func `one that puts on hold says why`() async throws {
    let desk = try await ServiceDesk.suite()
    let silent = try await macro(desk, ["status": "on_hold"])
    #expect(silent.status == 422 && silent.text.contains("macro_status_reason_given"), "\(silent.text)")
  }

  @Test func `one that gives a ticket to another team takes it from who had it, and the decision is recorded`() async throws {
    let desk = try await ServiceDesk.suite()
    let other = try await ServiceDesk(server: desk.server)
    let ticket = try await desk.ticket(["assignee_id": .string(desk.burak)])
    let moving = try await macro(desk, ["to_team_id": .string(other.team)])
    let moved = try await apply(moving, to: ticket, desk)
    #expect(try moved.json()["team_id"] == .string(other.team) && moved.json()["assignee_id"] == .null, "\(moved.text)")
    let decisions = try await desk.rows("/v1/routing_decisions?ticket_id=eq.\(ticket.id)&order=-created_at")
    #expect(decisions.first?["cause"] == "assigned" && decisions.first?["team_id"] == .string(other.team), "\(decisions)")
    // In the team that has it already nothing changes hands.
    let mine = try await desk.ticket(["assignee_id": .string(desk.burak)])
    let staying = try await apply(try await macro(desk, ["to_team_id": .string(desk.team)]), to: mine, desk)
    #expect(try staying.json()["assignee_id"] == .string(desk.burak), "\(staying.text)")
  }

  @Test func `one of another team is refused`() async throws {
    let desk = try await ServiceDesk.suite()
    let other = try await ServiceDesk(server: desk.server)
    let foreign = try await macro(desk, ["team_id": .string(other.team), "priority": "high"])
    #expect(try await apply(foreign, to: try await desk.ticket(), desk).status == 422)
  }
}
