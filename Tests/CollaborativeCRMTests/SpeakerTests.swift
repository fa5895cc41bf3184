import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

/// A commercial message says who sends it and how to refuse, or it does not exist (`no_sender`).
struct SpeakerTests {
  private func brand(_ api: TestAPI, _ json: JSON) async throws -> String {
    var fields = json.object ?? [:]
    fields["code"] = .string("b\(UUID.v7().lowercase.suffix(12))")
    let made = try await api.send(.post, "/v1/brands", as: "elif", json: .object(fields))
    return try #require(try made.json()["id"]?.string, "\(made.text)")
  }

  private func lastText(of person: Person, _ api: TestAPI) async throws -> (text: String, link: String) {
    let row = try await api.behind(
      """
      SELECT m.body_text, crm.unsubscribe_url(m.id) AS link FROM crm.outbound_message m WHERE m.customer_id = \(UUID(uuidString: person.id))
       ORDER BY m.id DESC LIMIT 1
      """)[0]
    return (try row.decode("body_text"), try row.decode("link"))
  }

  @Test func `the company speaks where no brand does, and lends a brand its address`() async throws {
    let api = try await TestAPI.start()
    let profile = try #require(try await api.send(.get, "/v1/company_profiles", as: "deniz").rows().first?["id"]?.string)
    let told = try await api.send(
      .patch, "/v1/company_profiles/\(profile)", as: "deniz",
      json: ["mersis": "0456123789600001", "phone": "+902125550000", "link_base": "https://izin.carsi.example"])
    #expect(told.status == 200, "\(told.text)")
    let person = try await Person.make(api)
    _ = try await person.says("ONAY", api)
    #expect(try await person.gets("commercial", api) == "queued")
    let (text, link) = try await lastText(of: person, api)
    #expect(link.hasPrefix("https://izin.carsi.example/u/"))
    #expect(text.hasSuffix("Çarşı Market Ticaret A.Ş., MERSİS 0456123789600001, +902125550000\nİleti almak istemiyorsanız: \(link)"), "\(text)")
    // The link works without a brand, for the company as a whole.
    let path = String(link.dropFirst("https://izin.carsi.example".count))
    let left = try await api.send(
      .post, path, body: Array("List-Unsubscribe=One-Click".utf8), headers: ["content-type": "application/x-www-form-urlencoded"])
    #expect(left.status == 200, "\(left.text)")
    #expect(try await person.gets("commercial", api) == "refused")

    let other = try await Person.make(api)
    let brand = try await brand(api, ["name": "Pazar"])
    _ = try await other.says("ONAY", api, ["brand_id": .string(brand)])
    #expect(try await other.gets("commercial", api, ["brand_id": .string(brand)]) == "queued")
    let (branded, brandLink) = try await lastText(of: other, api)
    #expect(brandLink.hasPrefix("https://izin.carsi.example/u/") && branded.contains("\nPazar\n") && !branded.contains("A.Ş."), "\(branded)")
  }

  @Test func `what names nobody, or no way to refuse, is refused at the gate, also when it is sent`() async throws {
    let api = try await TestAPI.start()
    let person = try await Person.make(api)
    let named = try await brand(api, ["name": "Pazar", "link_base": "https://pazar.example"])
    let bare = try await brand(api, ["name": "Pazar"])
    for brand in [nil, named, bare] { _ = try await person.says("ONAY", api, brand.map { ["brand_id": .string($0)] } ?? [:]) }
    #expect(try await person.gets("commercial", api) == "queued")
    try await api.behind("UPDATE crm.company_profile SET link_base = NULL")
    #expect(try await person.gets("commercial", api) == "no_sender")
    #expect(try await person.gets("commercial", api, ["brand_id": .string(bare)]) == "no_sender")
    #expect(try await person.gets("commercial", api, ["brand_id": .string(named)]) == "queued")
    #expect(try await person.gets("transactional", api) == "queued")
    try await api.behind("UPDATE crm.company_profile SET link_base = 'https://izin.carsi.example', active = false")
    #expect(try await person.gets("commercial", api) == "no_sender")
    // What was queued while all was well is asked about again.
    let state = try await api.behind(
      """
      UPDATE crm.outbound_message SET state = 'sending', attempts = attempts + 1
       WHERE customer_id = \(UUID(uuidString: person.id)) AND brand_id IS NULL AND legal_class = 'commercial' RETURNING state, problem
      """)[0]
    #expect(try state.decode(String.self, "state") == "refused" && state.decode(String.self, "problem") == "no_sender")
  }

  @Test func `an address of public pages that is none is refused by name`() async throws {
    let api = try await TestAPI.suite()
    let profile = try #require(try await api.send(.get, "/v1/company_profiles", as: "deniz").rows().first?["id"]?.string)
    for address in ["izin.carsi.example", "https://izin.carsi.example/", "ftp://izin.carsi.example", ""] {
      let answer = try await api.send(.patch, "/v1/company_profiles/\(profile)", as: "deniz", json: ["link_base": .string(address)])
      #expect(answer.status == 422 && answer.text.contains("link_base"), "\(address): \(answer.text)")
    }
  }
}
