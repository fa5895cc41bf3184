import CRMCore
import Crypto
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("Telephone")
struct PhoneTests {
  private func post(_ api: TestAPI, _ id: String, _ body: JSON, secret: String = MessageProvider.signingSecret, age: Int = 0) async throws -> TestAPI.Answer {
    let raw = try body.encoded()
    let stamp = "\(Int(Date().timeIntervalSince1970) - age)"
    let code = HMAC<SHA256>.authenticationCode(for: Data("\(id).\(stamp).".utf8) + Data(raw), using: SymmetricKey(data: Data(secret.utf8)))
    return try await api.send(
      .post, "/channels/hat/calls", body: raw,
      headers: [
        "webhook-id": id, "webhook-timestamp": stamp, "webhook-signature": "v1,\(Data(code).base64EncodedString())", "content-type": "application/json",
      ])
  }

  @Test("a call that rings shows who calls and tells the one at the extension; a call that ended is noted once")
  func exchange() async throws {
    let api = try await TestAPI.start(secrets: ChannelDesk.secrets)
    let desk = ChannelDesk(api.database)
    try await desk.account("hat", channel: "phone", provider: "pbx", address: "+902161112233", settings: ["extensions": ["101": "zeynep@carsi.example"]])
    let person = try await Person.make(api)
    let rings: JSON = ["type": "call.ringing", "data": ["id": "c1", "from": .string(person.phone), "extension": "101"]]
    let ringing = try await post(api, "e1", rings)
    #expect(ringing.status == 200, "\(ringing.text)")
    #expect(try ringing.rows().first?["customer_id"]?.string == person.id)
    #expect(
      try await desk.number(
        "SELECT count(*) FROM crm.notice AS n JOIN crm.app_user AS u ON u.id = n.user_id WHERE u.email = 'zeynep@carsi.example' AND n.kind = 'call'") == 1)
    #expect(try await post(api, "e2", ["type": "call.ringing", "data": ["id": "c2", "from": "+905329999999"]]).rows().isEmpty)

    let ended: JSON = [
      "type": "call.ended",
      "data": [
        "id": "c1", "from": .string(person.phone), "to": "+902161112233", "direction": "in", "started_at": "2026-11-22T07:00:00Z", "seconds": 75,
        "outcome": "answered",
      ],
    ]
    for event in ["e3", "e4"] { #expect(try await post(api, event, ended).status == 200) }
    let calls = try await desk.behind("SELECT customer_id, kind, body_text FROM crm.interaction WHERE external_id = 'c1'")
    #expect(calls.count == 1)
    #expect(try calls[0].decode(String.self, "kind") == "call" && calls[0].decode(String.self, "body_text") == "Görüşüldü (1:15)")

    #expect(try await post(api, "e5", rings, secret: "baska").status == 401)
    #expect(try await post(api, "e6", rings, age: 3_600).status == 401)
    #expect(try await post(api, "e7", ["type": "call.ended", "data": ["id": "c9", "from": "+905320000000", "outcome": "uzun"]]).status == 422)
  }

  @Test("a call whose number is withheld is nobody's of those before it; what is not understood is refused, not guessed")
  func edges() async throws {
    let api = try await TestAPI.start(secrets: ChannelDesk.secrets)
    let desk = ChannelDesk(api.database)
    let account = try await desk.account("hat", channel: "phone", provider: "pbx", address: "+902161112233", settings: [:])
    func ended(_ id: String, _ more: [String: JSON]) -> JSON {
      ["type": "call.ended", "data": .object(["id": .string(id), "outcome": "missed", "started_at": "2026-11-22T07:00:00Z"].merging(more) { $1 })]
    }
    for (number, from) in ["", "anonymous", "Gizli"].enumerated() {
      #expect(try await post(api, "r\(number)", ["type": "call.ringing", "data": ["id": "x", "from": .string(from)]]).rows().isEmpty)
      #expect(try await post(api, "w\(number)", ended("w\(number)", ["from": .string(from)])).status == 200)
    }
    #expect(try await desk.number("SELECT count(DISTINCT customer_id) FROM crm.interaction WHERE channel_account_id = \(account)") == 3)
    let out = try await post(api, "o1", ended("o1", ["direction": "out", "from": "+902161112233", "to": "+905321110000"]))
    #expect(out.status == 200, "\(out.text)")
    #expect(
      try await desk.number("SELECT count(*) FROM crm.interaction WHERE external_id = 'o1' AND direction = 'out' AND recipients = '{+905321110000}'") == 1)
    #expect(try await post(api, "o2", ended("o2", ["direction": "outbound", "from": "+905321110000"])).fieldErrors == ["/data/direction option"])
    #expect(try await post(api, "o3", ended("a\0b", ["from": "+905321110000"])).fieldErrors == ["/data/id required"])
    #expect(try await post(api, "o4", ended("o4", ["from": "+905321110000", "name": "A\0B"])).status == 200)
    try await desk.behind("UPDATE crm.channel_account SET address = NULL WHERE id = \(account)")
    #expect(try await post(api, "o5", ended("o5", ["from": "+905321110000"])).status == 409)
  }

  @Test("a call is noted by hand, and who calls is seen as far as one's rights reach")
  func log() async throws {
    let api = try await TestAPI.start()
    let person = try await Person.make(api)
    let body: JSON = [
      "customer_id": .string(person.id), "direction": "out", "outcome": "answered", "number": .string(person.phone), "started_at": "2026-11-22T07:00:00Z",
      "seconds": 30,
      "note": "Geri aranacak",
    ]
    let made = try await api.send(.post, "/v1/calls", as: "deniz", json: body)
    #expect(made.status == 201, "\(made.text)")
    #expect(try made.json()["kind"] == "call" && made.json()["body_text"] == "Görüşüldü (0:30)\n\nGeri aranacak")
    var late = body.object ?? [:]
    late["started_at"] = "2099-01-01T00:00:00Z"
    #expect(try await api.send(.post, "/v1/calls", as: "deniz", json: .object(late)).fieldErrors == ["/started_at future"])
    late["started_at"] = body["started_at"]
    late["outcome"] = "missed"
    #expect(try await api.send(.post, "/v1/calls", as: "deniz", json: .object(late)).fieldErrors == ["/seconds not-answered"])
    late["outcome"] = "answered"
    late["customer_id"] = .string(UUID().uuidString.lowercased())
    #expect(try await api.send(.post, "/v1/calls", as: "deniz", json: .object(late)).fieldErrors == ["/customer_id not-found"])
    let seen = try await api.send(.get, "/v1/screen_pop", ["number": person.phone], as: "deniz")
    #expect(try seen.rows().map { $0["customer_name"] } == ["Zeliha Öz"], "\(seen.text)")
  }
}
