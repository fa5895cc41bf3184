import CRMCore
import Foundation
import Gateway
import MuhatapTestKit
import Testing

/// The WebSocket as a client understands it that was written by others: the PyPI package websockets.
@Suite("WebSocket clients")
struct WebSocketClientTests {
  private struct Seen: Sendable {
    let id: String
    let cursor: String
  }

  private func follow(_ server: TestServer, after cursor: String, _ count: Int) async throws -> [Seen] {
    let python = try await Command("scripts/python", []).run().trimmingCharacters(in: .whitespacesAndNewlines)
    let url = "ws\(server.address.dropFirst(4))/v1/events?resource=customers&after=\(cursor)"
    let lines = try await Command(python, ["Tests/clients/websocket_check.py", url, try await server.key(of: "ayse"), "\(count)"]).run()
    return try lines.split(separator: "\n").map { line in
      let json = try JSONDecoder().decode(JSON.self, from: Data(line.utf8))
      return Seen(id: json["id"]?.string ?? "", cursor: json["cursor"]?.string ?? "")
    }
  }

  private func customer(_ server: TestServer, visibility: String = "company") async throws -> String {
    let answer = try await server.send(
      .post, "/v1/customers", json: ["name": "Soket", "kind": "organisation", "visibility": .string(visibility)])
    return try #require(try answer.json()["id"]?.string, "\(answer.text)")
  }

  @Test("changes come once and in order, from the cursor on and as they happen; what is not shown does not", .timeLimit(.minutes(15)))
  func changes() async throws {
    let server = try await TestServer.start()
    let start = try #require(try await EventStream(server, as: "ayse").next()?.id)
    let one = try await customer(server)
    _ = try await customer(server, visibility: "department")
    let (two, three) = (try await customer(server), try await customer(server))
    let all = try await follow(server, after: start, 3)
    #expect(all.map(\.id) == [one, two, three])
    #expect(try await follow(server, after: try #require(all.first?.cursor), 2).map(\.id) == [two, three])
    async let live = follow(server, after: try #require(all.last?.cursor), 2)
    try await Task.sleep(for: .seconds(3))
    let (four, five) = (try await customer(server), try await customer(server))
    #expect(try await live.map(\.id) == [four, five])
    try await server.application.stop()
  }
}
