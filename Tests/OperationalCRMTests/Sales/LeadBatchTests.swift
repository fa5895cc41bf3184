import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("Many leads at once")
struct LeadBatchTests {
  /// A name that resembles no other.
  private func name() -> String { "\(UUID()) \(UUID())" }

  private func known(_ name: String, _ sales: SalesFixture) async throws -> Int {
    let rows = try await sales.behind("SELECT count(*) FROM crm.lead WHERE company_name = \(name)")
    return try rows[0].decode(Int.self, at: 0)
  }

  @Test("a thousand leads are stored and given to sellers in one request, a thousand and one are refused")
  func thousand() async throws {
    let sales = try await SalesFixture.suite()
    func leads(_ count: Int) -> JSON {
      ["duplicates": "keep", "leads": .array((0..<count).map { _ in ["company_name": .string(name()), "province_code": "35"] })]
    }
    let answer = try await sales.done(.post, "/v1/leads/batch", json: leads(1_000))
    #expect(answer["created"] == 1_000 && answer["results"]?.array?.count == 1_000)
    let last = try #require(answer["results"]?.array?.last?["id"]?.string)
    #expect(try await sales.get("/v1/leads/\(last)?expand=assignments")["assignments"]?.array?.count == 1)
    #expect(try await sales.send(.post, "/v1/leads/batch", json: leads(1_001)).status == 422)
    #expect(try await sales.send(.post, "/v1/leads/batch", json: ["leads": [] as JSON]).status == 422)
    #expect(try await sales.send(.post, "/v1/leads/batch", as: "emre", json: leads(1)).status == 403)
  }

  @Test("one that is known already keeps all back, is left out, or is stored all the same, as the request says")
  func duplicates() async throws {
    let sales = try await SalesFixture.suite()
    let (old, new) = (name(), name())
    _ = try await sales.done(.post, "/v1/leads", json: ["company_name": .string(old)])
    let both: JSON = [["company_name": .string(old.uppercased())], ["company_name": .string(new)]]
    let refused = try await sales.send(.post, "/v1/leads/batch", json: ["leads": both])
    #expect(refused.status == 409 && refused.problem == "possible-duplicate", "\(refused.text)")
    let named = try refused.json()["leads"]?.array
    #expect(named?.count == 1 && named?.first?["pointer"] == "/leads/0" && named?.first?["candidates"]?.array?.first?["name"] == .string(old))
    #expect(try await known(new, sales) == 0)

    let skipped = try await sales.done(.post, "/v1/leads/batch", json: ["leads": both, "duplicates": "skip"])
    #expect(skipped["created"] == 1 && skipped["results"]?.array?.first?["id"] == .null, "\(skipped)")
    #expect(try await known(new, sales) == 1)
    let kept = try await sales.done(.post, "/v1/leads/batch", json: ["leads": both, "duplicates": "keep"])
    #expect(kept["created"] == 2)
    let forced = try await sales.done(.post, "/v1/leads/batch", json: ["leads": [["company_name": .string(old), "force_duplicate": true]]])
    #expect(forced["created"] == 1)
    // Two that mean the same in one request.
    let twice = name()
    let within = try await sales.send(
      .post, "/v1/leads/batch", json: ["leads": [["company_name": .string(twice)], ["company_name": .string(twice)]]])
    #expect(within.status == 409 && within.text.contains("/leads/1"), "\(within.text)")
  }

  @Test("a wrong lead is named by its place, and none is stored")
  func wrong() async throws {
    let sales = try await SalesFixture.suite()
    let good = name()
    for (lead, pointer) in [
      (["email": "x"], "/leads/1/name"), (["company_name": "Y", "source": "moon"], "/leads/1/source"),
      (["company_name": .string(name()), "email": "x"], "/leads/1/email"), (["company_name": .string(name()), "custom": ["hat": 3]], "/leads/1/custom"),
      (["company_name": .string(name()), "tax_number": "1"], "/leads/1/tax_number"),
    ] as [([String: JSON], String)] {
      let answer = try await sales.send(.post, "/v1/leads/batch", json: ["leads": [["company_name": .string(good)], .object(lead)]])
      #expect(answer.status == 422 && answer.text.contains("\"\(pointer)"), "\(pointer): \(answer.text)")
    }
    #expect(try await known(good, sales) == 0)
  }
}
