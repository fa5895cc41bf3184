import CRMCore
import Foundation
import Gateway
import MuhatapTestKit
import PostgresClient
import Testing

/// Channel accounts that pages of other origins talk to.
enum PublicSites {
  static let origin = "https://www.carsi.example"

  static func add(_ server: TestServer, code: String, channel: String, provider: String, department: String = "service") async throws -> String {
    let departments = try await server.send(.get, "/v1/departments?code=eq.\(department)").json()
    let answer = try await server.send(
      .post, "/v1/channel_accounts",
      json: [
        "code": .string(code), "name": .string(code), "channel": .string(channel), "provider": .string(provider),
        "department_id": departments["data"]?.array?.first?["id"] ?? .null, "settings": ["origins": [.string(origin)]],
      ])
    return try #require(try answer.json()["id"]?.string, "\(answer.text)")
  }
}

@Suite("Web chat")
struct WebChatTests {
  private static func post(_ server: TestServer, _ path: String, token: String? = nil, _ json: JSON, origin: String? = PublicSites.origin) async throws
    -> TestServer.Answer
  {
    var headers: [String: String] = [:]
    if let origin { headers["origin"] = origin }
    if let token { headers["authorization"] = "Bearer \(token)" }
    return try await server.send(.post, path, as: nil, json: json, headers: headers)
  }

  private static func start(_ server: TestServer, _ arrival: JSON = [:]) async throws -> String {
    let answer = try await post(server, "/v1/chats/destek/visitors", arrival)
    #expect(answer.status == 201, "\(answer.text)")
    #expect(answer.headers["access-control-allow-origin"] == PublicSites.origin)
    return try #require(try answer.json()["token"]?.string)
  }

  @Test("a visitor and an agent talk: each hears the other at once, and nobody else's", .timeLimit(.minutes(15)))
  func talk() async throws {
    let server = try await TestServer.start { $0.limits.live.interval = .milliseconds(20) }
    _ = try await PublicSites.add(server, code: "destek", channel: "chat", provider: "chat")
    let ada = try await Self.start(server, ["name": "Ada Çelik", "email": "ada@ornek.example"])
    let early = try await server.send(.get, "/v1/chats/destek/messages", as: nil, headers: ["authorization": "Bearer \(ada)"])
    #expect(early.status == 409)
    let agent = try await EventStream(server, "/v1/events?resource=interactions", as: "zeynep")
    _ = try await agent.next()
    let sent = try await Self.post(server, "/v1/chats/destek/messages", token: ada, ["text": "Merhaba, siparişim nerede?", "key": "1"])
    #expect(sent.status == 201, "\(sent.text)")
    let heard = try #require(try await agent.nextChange())
    #expect(heard.data["after"]?["body_text"]?.string == "Merhaba, siparişim nerede?")
    #expect(heard.data["after"]?["direction"]?.string == "in")
    let conversation = try #require(heard.data["after"]?["conversation_id"]?.string)
    // Sent again it is the same message.
    let again = try await Self.post(server, "/v1/chats/destek/messages", token: ada, ["text": "Merhaba, siparişim nerede?", "key": "1"])
    #expect(try again.json()["id"] == sent.json()["id"])

    let grace = try await Self.start(server)
    _ = try await Self.post(server, "/v1/chats/destek/messages", token: grace, ["text": "Bir başkası"])
    let page = try await EventStream(server, "/v1/chats/destek/events?token=\(ada)", as: nil)
    let other = try await EventStream(server, "/v1/chats/destek/events?token=\(grace)", as: nil)
    _ = try await page.next()
    _ = try await other.next()
    let reply = try await server.send(.post, "/v1/conversations/\(conversation)/reply", as: "zeynep", json: ["text": "Yola çıktı."])
    #expect(reply.status == 200, "\(reply.text)")
    // Behind another test's transactions "now" may lie a little before: its own first message may come too.
    var told = try #require(try await page.nextChange())
    while told.data["from"]?.string == "visitor" { told = try #require(try await page.nextChange()) }
    #expect(told.data["text"]?.string == "Yola çıktı.")
    #expect(told.data["from"]?.string == "agent")
    #expect(told.data.object?.keys.sorted() == ["at", "from", "id", "text"])
    _ = try await Self.post(server, "/v1/chats/destek/messages", token: ada, ["text": "Teşekkürler"])
    #expect(try await page.nextChange()?.data["from"]?.string == "visitor")
    // A note of the agents' stays theirs, and the other visitor hears nothing of it all.
    _ = try await server.send(.post, "/v1/conversations/\(conversation)/notes", as: "zeynep", json: ["text": "Kızgın görünüyor."], checked: false)
    _ = try await Self.post(server, "/v1/chats/destek/messages", token: grace, ["text": "Ben de"])
    var heardByOther: [String] = []
    while heardByOther.last != "Ben de" { heardByOther.append(try #require(try await other.nextChange()?.data["text"]?.string)) }
    #expect(Set(heardByOther).isSubset(of: ["Bir başkası", "Ben de"]))
    let list = try await server.send(.get, "/v1/chats/destek/messages", as: nil, headers: ["authorization": "Bearer \(ada)"]).json()
    #expect(list["data"]?.array?.compactMap { $0["text"]?.string } == ["Merhaba, siparişim nerede?", "Yola çıktı.", "Teşekkürler"])
    // Back after a break, the page goes on where it was.
    let cursor = page.lastID
    page.close()
    _ = try await server.send(.post, "/v1/conversations/\(conversation)/reply", as: "zeynep", json: ["text": "Başka bir şey?"])
    let back = try await EventStream(server, "/v1/chats/destek/events?token=\(ada)", as: nil, after: cursor)
    #expect(try await back.nextChange()?.data["text"]?.string == "Başka bir şey?")
    // It was sent by being stored: nothing waits for a sender.
    let state = try await Database(pool: server.database.worker).read(
      as: .system("test"), "SELECT DISTINCT m.state, i.status FROM crm.outbound_message m JOIN crm.interaction i ON i.id = m.interaction_id")
    #expect(state.count == 1)
    #expect(try state[0].decode(String.self, at: 0) == "sent")
    #expect(try state[0].decode(String.self, at: 1) == "sent")
    try await server.application.stop()
  }

  @Test("strangers' pages, forged tokens and floods are refused")
  func refusals() async throws {
    let server = try await TestServer.start()
    _ = try await PublicSites.add(server, code: "destek", channel: "chat", provider: "chat")
    _ = try await PublicSites.add(server, code: "satis", channel: "chat", provider: "chat")
    let token = try await Self.start(server)
    #expect(try await Self.post(server, "/v1/chats/destek/visitors", [:], origin: "https://evil.example").status == 403)
    #expect(try await Self.post(server, "/v1/chats/yok/visitors", [:]).status == 404)
    let allowed = try await server.send(.options, "/v1/chats/destek/messages", as: nil, headers: ["origin": PublicSites.origin])
    #expect(allowed.status == 204)
    #expect(allowed.headers["access-control-allow-headers"]?.contains("authorization") == true)
    #expect(try await server.send(.options, "/v1/chats/destek/messages", as: nil, headers: ["origin": "https://evil.example"]).status == 403)
    for forged in ["", "x", String(token.dropLast(2)) + "AA", "mhs_abc_def"] {
      #expect(try await Self.post(server, "/v1/chats/destek/messages", token: forged, ["text": "x"]).status == 401)
    }
    // A page of ours may read why; a stranger's may not.
    let told = try await Self.post(server, "/v1/chats/destek/messages", token: "x", ["text": "x"])
    #expect(told.headers["access-control-allow-origin"] == PublicSites.origin)
    #expect(
      try await Self.post(server, "/v1/chats/destek/messages", token: "x", ["text": "x"], origin: "https://evil.example")
        .headers["access-control-allow-origin"] == nil)
    // A token is of one site alone.
    #expect(try await Self.post(server, "/v1/chats/satis/messages", token: token, ["text": "x"]).status == 401)
    #expect(try await Self.post(server, "/v1/chats/destek/messages", token: token, ["text": " "]).status == 422)
    #expect(try await Self.post(server, "/v1/chats/destek/visitors", ["email": "not an address"]).status == 422)
    var statuses: [Int] = []
    for number in 0..<12 {
      let visitor = try await Self.start(server)
      statuses.append(try await Self.post(server, "/v1/chats/destek/messages", token: visitor, ["text": .string("spam \(number)")]).status)
    }
    #expect(statuses.prefix(10).allSatisfy { $0 == 201 })
    #expect(statuses.suffix(2) == [429, 429])
    try await server.application.stop()
  }
}
