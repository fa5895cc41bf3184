import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("Unknown people")
struct IdentityTests {
  private func verify(_ api: TestAPI, _ customer: UUID, _ address: String) async throws -> UUID {
    try await Database(pool: api.database.worker).transaction(as: .system("test")) { tx in
      try await tx.value(UUID.self, "SELECT crm.verify_contact_point(\(customer), 'email', \(address))")
    }
  }

  @Test("the review shows who a provisional customer may be; a colleague confirms or merges")
  func review() async throws {
    let api = try await TestAPI.start()
    let form = try await Mailroom.open(api, channel: "form")
    let known = try await Mailroom.customer(api, "Selin Ak", email: "selin@bilinen.example")
    let claimed = try await form.receive(from: "selin@bilinen.example", name: "Selin Ak", kind: "submission")
    let rows = try await api.send(.get, "/v1/identity/review", as: "zeynep").rows().filter { $0["customer_id"]?.string == claimed.customer.lowercase }
    #expect(rows.first?["candidate_id"]?.string == known.lowercase)
    #expect(rows.first?["rules"]?.array?.contains(.string("email")) == true)
    let later = try await form.receive(from: "sonra@bilinen.example", name: "Sonra Gelen", kind: "submission").customer.lowercase
    let page = try await api.send(.get, "/v1/identity/review", ["limit": "1"], as: "zeynep").rows()
    #expect(Set(page.map { $0["customer_id"]?.string }) == [later])
    let next = try await api.send(.get, "/v1/identity/review", ["before": later], as: "zeynep").rows()
    #expect(Set(next.map { $0["customer_id"]?.string }) == [claimed.customer.lowercase])
    let path = "/v1/customers/\(claimed.customer.lowercase)/confirm"
    #expect(try await api.send(.post, path, as: "mehmet", json: [:]).status == 403)
    #expect(try await api.send(.post, path, as: "elif", json: [:]).status == 403)
    let confirmed = try await api.send(.post, path, as: "zeynep", json: ["name": "Selin Akın"]).json()
    #expect(confirmed["provisional"] == .bool(false) && confirmed["name"] == .string("Selin Akın"))
    #expect(try await api.send(.post, path, as: "zeynep", json: [:]).problem == "customer-known")
    #expect(try await api.send(.get, "/v1/identity/review", as: "zeynep").rows().allSatisfy { $0["customer_id"]?.string != claimed.customer.lowercase })
  }

  @Test("a confirmed address joins the provisional customer to the one known who holds it, with its conversations")
  func stitching() async throws {
    let api = try await TestAPI.start()
    let form = try await Mailroom.open(api, channel: "form")
    let known = try await Mailroom.customer(api, "Tek Kişi", email: "tek@bilinen.example")
    let claimed = try await form.receive(from: "tek@bilinen.example", kind: "submission")
    #expect(claimed.customer != known)
    #expect(try await verify(api, claimed.customer, "tek@bilinen.example") == known)
    let thread = try await api.send(.get, "/v1/conversations/\(claimed.conversation.lowercase)").json()
    #expect(thread["customer_id"]?.string == known.lowercase)
    let said = try await api.send(.get, "/v1/customers/\(known.lowercase)/timeline", ["kinds": "interaction"]).rows()
    #expect(said.count == 1)
  }

  @Test("two known people who hold a confirmed address are never joined")
  func neverTwoKnown() async throws {
    let api = try await TestAPI.start()
    let form = try await Mailroom.open(api, channel: "form")
    let one = try await Mailroom.customer(api, "Çift Bir", email: "cift@bilinen.example")
    let two = try await Mailroom.customer(api, "Çift İki", email: "cift@bilinen.example")
    let claimed = try await form.receive(from: "cift@bilinen.example", kind: "submission")
    #expect(try await verify(api, claimed.customer, "cift@bilinen.example") == claimed.customer)
    // A known customer whose address is confirmed stays who they are, though another holds it as well.
    #expect(try await verify(api, one, "cift@bilinen.example") == one)
    for customer in [one, two, claimed.customer] {
      #expect(try await api.behind("SELECT 1 FROM crm.customer WHERE id = \(customer)").count == 1)
    }
  }
}
