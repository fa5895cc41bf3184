import CRMCore
import CollaborativeCRM
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("What proves a consent, and what BI sees of it")
struct ConsentProofTests {
  @Test func `the proof tells each thing said with its evidence, what the registry made of it and what was sent upon it`() async throws {
    let api = try await TestAPI.start()
    let code = String(Int.random(in: 100_000...999_999))
    let made = try await api.send(
      .post, "/v1/brands", as: "elif", json: ["code": .string("b\(code)"), "name": "Çarşı", "iys_code": "600", "iys_brand_code": .string(code)])
    let brand = try #require(try made.json()["id"]?.string, "\(made.text)")
    let person = try await Person.make(api)
    let hash = String(repeating: "0f", count: 32)
    let evidence: [String: JSON] = [
      "brand_id": .string(brand), "text_version": "izin-3", "document_hash": .string(hash), "remote_address": "192.0.2.7", "user_agent": "Mozilla/5.0",
      "source": "HS_WEB",
    ]
    #expect(try await person.says("ONAY", api, evidence).status == 201)
    #expect(try await person.gets("commercial", api, ["brand_id": .string(brand)]) == "queued")
    try await api.behind("UPDATE crm.outbound_message SET state = 'sending', attempts = 1")
    try await api.behind("UPDATE crm.outbound_message SET state = 'sent'")
    let registry = SimulatedRegistry(days: BusinessDays(holidays: []))
    try await RegistryExchange(
      database: Database(pool: api.database.worker), client: RegistryClient { try registry.answer($0, now: Date()) }
    ).run(now: Date())
    #expect(try await person.says("RET", api, ["brand_id": .string(brand), "note": "Telefonda"]).status == 201)
    let proof = try await api.send(.get, "/v1/customers/\(person.id)/consent_proof").rows()
    try #require(proof.count == 2)
    let (first, second) = (proof[0], proof[1])
    #expect(first["status"] == "ONAY" && first["text_version"] == "izin-3" && first["document_hash"] == .string(hash) && first["remote_address"] == "192.0.2.7")
    #expect(first["taken_down_by"]?.string?.hasPrefix("Deniz") == true && first["brand"] == "Çarşı" && first["messages"] == 1, "\(first)")
    #expect(first["first_message_at"]?.string != nil)
    let known = try #require(first["registry"]?.array?.first)
    #expect(known["state"] == "accepted" && known["transaction_id"]?.string?.isEmpty == false && known["brand"] == "Çarşı", "\(known)")
    #expect(
      second["status"] == "RET" && second["note"] == "Telefonda" && second["messages"] == 0 && second["registry"]?.array?.first?["state"] == "pending",
      "\(second)")
    #expect(try await api.send(.get, "/v1/customers/\(person.id)/consent_proof", ["address": "baska@ornek.example"]).rows().isEmpty)
    #expect(try await api.send(.get, "/v1/customers/\(UUID.v7().lowercase)/consent_proof").status == 404)
  }

  @Test func `BI sees the last word, every event and why messages were refused, and addresses only with the right to personal data`() async throws {
    let api = try await TestAPI.start()
    let person = try await Person.make(api)
    #expect(try await person.gets("commercial", api) == "no_consent")
    #expect(try await person.says("ONAY", api).status == 201)
    #expect(try await person.gets("commercial", api) == "queued")
    #expect(try await person.says("RET", api, channel: "sms").status == 201)
    #expect(try await person.says("RET", api).status == 201)
    #expect(try await person.gets("commercial", api) == "refused")
    let current = try await api.behind("SELECT c.channel, c.status, c.holds, c.address FROM bi.consent_current c ORDER BY c.channel").rows
    #expect(try current.map { try $0.decode(String.self, "channel") } == ["email", "sms"])
    #expect(try current.allSatisfy { try $0.decode(String.self, "status") == "RET" && !$0.decode(Bool.self, "holds") })
    #expect(try current.allSatisfy { try $0.decode(String.self, "address").hasSuffix("***") })
    #expect(try await api.behind("SELECT count(*) FROM bi.consent_events")[0].decode(Int.self, at: 0) == 3)
    let refusals = try await api.behind("SELECT r.reason, count(*) AS refusals FROM bi.message_refusals r GROUP BY r.reason ORDER BY r.reason").rows
    #expect(try refusals.map { try $0.decode(String.self, "reason") } == ["no_consent", "refused"])
    #expect(try await api.behind("SELECT count(*) FROM bi.outbound_messages m WHERE m.legal_class = 'commercial'")[0].decode(Int.self, at: 0) == 1)
    #expect(try await api.behind("SELECT count(*) FROM bi.campaign_sendings")[0].decode(Int.self, at: 0) == 0)
  }
}
