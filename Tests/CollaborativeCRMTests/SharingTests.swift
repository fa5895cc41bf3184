import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("Sharing and comments")
struct SharingTests {
  private func user(_ server: TestServer, _ person: String) async throws -> JSON {
    let me = try await server.send(.get, "/v1/users?email=eq.\(person)@carsi.example", as: "deniz", checked: false).json()
    return try #require(me["data"]?.array?.first?["id"])
  }

  /// A customer of corporate sales that only its department sees, with a contact.
  private func hiddenCustomer(_ server: TestServer) async throws -> (path: String, id: JSON) {
    let customer = try await server.send(
      .post, "/v1/customers", as: "gul",
      json: ["kind": "organisation", "name": .string("Gizli Holding \(UUID().uuidString.prefix(6))"), "visibility": "department"])
    #expect(customer.status == 201, "\(customer.text)")
    let id = try #require(try customer.json()["id"])
    let contact = try await server.send(.post, "/v1/contacts", as: "gul", json: ["customer_id": id, "name": "Gizli Kişi"])
    #expect(contact.status == 201, "\(contact.text)")
    return ("/v1/customers/\(id.string ?? "")", id)
  }

  /// What a caller may do is kept for a while and dropped when it changes: asks until the answer is the one that is due.
  private func eventually(_ wanted: Int, _ ask: () async throws -> TestServer.Answer) async throws -> TestServer.Answer {
    var answer = try await ask()
    for _ in 0..<2_400 where answer.status != wanted {
      try await Task.sleep(for: .milliseconds(50))
      answer = try await ask()
    }
    return answer
  }

  @Test("a record opened to a person is read with what it has of its own, and closed again when the share ends")
  func reading() async throws {
    let server = try await TestServer.suite()
    let customer = try await hiddenCustomer(server)
    #expect(try await server.send(.get, customer.path, as: "zeynep").status == 404)
    let share = try await server.send(
      .post, "/v1/shares", as: "gul",
      json: ["resource": "customers", "record_id": customer.id, "user_id": try await user(server, "zeynep"), "reason": "Şikâyet"])
    #expect(share.status == 201, "\(share.text)")
    #expect(try await eventually(200) { try await server.send(.get, customer.path, as: "zeynep") }.status == 200)
    let contacts = try await server.send(.get, "/v1/contacts?customer_id=eq.\(customer.id.string ?? "")", as: "zeynep", checked: false).json()
    #expect(contacts["data"]?.array?.count == 1)
    // Read, and nothing more; and nobody else.
    #expect(try await server.send(.patch, customer.path, as: "zeynep", json: ["note": "x"]).status == 403)
    #expect(try await server.send(.get, customer.path, as: "burak").status == 404)
    let mine = try await server.send(.get, "/v1/shared_with_me", as: "zeynep").json()
    #expect(mine["data"]?.array?.contains { $0["record_id"] == customer.id } == true)
    let listed = try await server.send(.get, "/v1/shares?resource=customers&record_id=\(customer.id.string ?? "")", as: "gul", checked: false).json()
    #expect(listed["data"]?.array?.first?["shared_with"] == .string("Zeynep Çelik"))
    let id = try share.json()["id"]?.string ?? ""
    #expect(try await server.send(.delete, "/v1/shares/\(id)", as: "burak").status == 404)
    #expect(try await server.send(.delete, "/v1/shares/\(id)", as: "gul").status == 204)
    #expect(try await eventually(404) { try await server.send(.get, customer.path, as: "zeynep") }.status == 404)
  }

  @Test("sharing for writing changes what a record says, not whose it is")
  func writing() async throws {
    let server = try await TestServer.suite()
    let customer = try await hiddenCustomer(server)
    let share: JSON = [
      "resource": "customers", "record_id": customer.id, "user_id": try await user(server, "mehmet"), "access": "write", "reason": "Birlikte çalışıyoruz",
    ]
    #expect(try await server.send(.post, "/v1/shares", as: "gul", json: share).status == 201)
    let changed = try await eventually(200) { try await server.send(.patch, customer.path, as: "mehmet", json: ["note": "Görüştüm"]) }
    #expect(changed.status == 200, "\(changed.text)")
    #expect(try await server.send(.patch, customer.path, as: "mehmet", json: ["visibility": "company"]).status == 403)
    let products = try await server.send(.post, "/v1/assignment_rules", as: "mehmet", json: ["name": "x"])
    #expect(products.status == 403, "sharing one record must not open tables without departments: \(products.text)")
    #expect(try await server.send(.post, "/v1/shares", as: "gul", json: share).status == 409)
  }

  @Test("only who may change a record shares it, and a share has an end that is yet to come")
  func refusals() async throws {
    let server = try await TestServer.suite()
    let customer = try await hiddenCustomer(server)
    let zeynep = try await user(server, "zeynep")
    let share: JSON = ["resource": "customers", "record_id": customer.id, "user_id": zeynep, "reason": "x"]
    #expect(try await server.send(.post, "/v1/shares", as: "burak", json: share).status == 422)
    #expect(try await server.send(.post, "/v1/shares", as: "fatma", json: share).status == 403)
    let past: JSON = ["resource": "customers", "record_id": customer.id, "user_id": zeynep, "reason": "x", "ends_at": "2001-01-01T00:00:00Z"]
    #expect(try await server.send(.post, "/v1/shares", as: "gul", json: past).status == 422)
    #expect(try await server.send(.post, "/v1/shares", as: "gul", json: ["resource": "customers", "record_id": customer.id, "reason": "x"]).status == 422)
    #expect(
      try await server.send(.post, "/v1/shares", as: "gul", json: ["resource": "gossip", "record_id": customer.id, "user_id": zeynep, "reason": "x"]).status
        == 422)
  }

  @Test("a share ends by itself when its time has come, and can be given again", .timeLimit(.minutes(10)))
  func ending() async throws {
    let server = try await TestServer.suite()
    let customer = try await hiddenCustomer(server)
    let contacts = "/v1/contacts?customer_id=eq.\(customer.id.string ?? "")"
    func share(_ seconds: TimeInterval) async throws -> TestServer.Answer {
      try await server.send(
        .post, "/v1/shares", as: "gul",
        json: [
          "resource": "customers", "record_id": customer.id, "user_id": try await user(server, "elif"), "reason": "Kısa süreli",
          "ends_at": .string(Date().addingTimeInterval(seconds).formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))),
        ])
    }
    let first = try await share(3_600)
    #expect(first.status == 201, "\(first.text)")
    #expect(try await eventually(200) { try await server.send(.get, customer.path, as: "elif") }.status == 200)
    #expect(try await share(3_600).status == 409)
    // Its time comes while nobody touches it, however slow the machine was until here.
    let id = UUID(uuidString: try first.json()["id"]?.string ?? "")
    try await Database(pool: server.database.worker).transaction(as: .system("test")) { tx in
      _ = try await tx.run("UPDATE crm.record_share SET ends_at = now() + interval '2 seconds' WHERE id = \(id)")
    }
    #expect(try await eventually(404) { try await server.send(.get, customer.path, as: "elif") }.status == 404)
    let again = try await share(3_600)
    #expect(again.status == 201, "\(again.text)")
    #expect(try await eventually(200) { try await server.send(.get, customer.path, as: "elif") }.status == 200)
    #expect(try await server.send(.get, contacts, as: "elif", checked: false).json()["data"]?.array?.count == 1)
  }

  @Test("what is opened with two records stays open until both shares have ended")
  func twice() async throws {
    let server = try await TestServer.suite()
    let customer = try await hiddenCustomer(server)
    let contact = try #require(
      try await server.send(.get, "/v1/contacts?customer_id=eq.\(customer.id.string ?? "")", as: "gul", checked: false).json()["data"]?.array?.first?["id"])
    let can = try await user(server, "can")
    func share(_ resource: String, _ record: JSON) async throws -> String {
      let answer = try await server.send(
        .post, "/v1/shares", as: "gul", json: ["resource": .string(resource), "record_id": record, "user_id": can, "reason": "Birlikte"])
      #expect(answer.status == 201, "\(answer.text)")
      return try answer.json()["id"]?.string ?? ""
    }
    let (whole, part) = (try await share("customers", customer.id), try await share("contacts", contact))
    let path = "/v1/contacts/\(contact.string ?? "")"
    #expect(try await eventually(200) { try await server.send(.get, path, as: "can") }.status == 200)
    #expect(try await server.send(.delete, "/v1/shares/\(whole)", as: "gul").status == 204)
    #expect(try await eventually(404) { try await server.send(.get, customer.path, as: "can") }.status == 404)
    #expect(try await server.send(.get, path, as: "can").status == 200)
    #expect(try await server.send(.delete, "/v1/shares/\(part)", as: "gul").status == 204)
    #expect(try await eventually(404) { try await server.send(.get, path, as: "can") }.status == 404)
  }

  @Test("records without a department are commented on by whoever reads them, and shared with nobody")
  func commonRecords() async throws {
    let server = try await TestServer.suite()
    let made = try await server.send(.post, "/v1/products", as: "emre", json: ["sku": .string("YRM-\(UUID().uuidString.prefix(8))"), "name": "Yorumlu ürün"])
    #expect(made.status == 201, "\(made.text)")
    let product = try #require(try made.json()["id"])
    let comment: JSON = ["resource": "products", "record_id": product, "text": "Ambalajı değişti", "mentions": [try await user(server, "mehmet")]]
    #expect(try await server.send(.post, "/v1/comments", as: "ayse", json: comment).status == 201)
    #expect(try await server.send(.get, "/v1/notices", as: "mehmet").json()["data"]?.array?.contains { $0["record_id"] == product } == true)
    let path = "/v1/comments?resource=products&record_id=\(product.string ?? "")"
    #expect(try await server.send(.get, path, as: "zeynep", checked: false).json()["data"]?.array?.count == 1)
    let role = try #require(try await server.send(.get, "/v1/roles", as: "deniz", checked: false).json()["data"]?.array?.first?["id"])
    #expect(try await server.send(.post, "/v1/comments", as: "deniz", json: ["resource": "roles", "record_id": role, "text": "Gözden geçir"]).status == 201)
    #expect(try await server.send(.post, "/v1/comments", as: "ayse", json: ["resource": "roles", "record_id": role, "text": "x"]).status == 422)
    #expect(
      try await server.send(
        .post, "/v1/comments", as: "deniz", json: ["resource": "roles", "record_id": role, "text": "x", "mentions": [try await user(server, "ayse")]]
      ).status == 422)
    let share: JSON = ["resource": "products", "record_id": product, "user_id": try await user(server, "can"), "reason": "x"]
    #expect(try await server.send(.post, "/v1/shares", as: "deniz", json: share).status == 422)
  }

  @Test("comments are seen by whoever sees the record; who is named must see it, too")
  func comments() async throws {
    let server = try await TestServer.suite()
    let customer = try await hiddenCustomer(server)
    let path = "/v1/comments?resource=customers&record_id=\(customer.id.string ?? "")"
    let comment = try await server.send(
      .post, "/v1/comments", as: "gul",
      json: ["resource": "customers", "record_id": customer.id, "text": "Sözleşme hazır", "mentions": [try await user(server, "ayse")]])
    #expect(comment.status == 201, "\(comment.text)")
    #expect(try await server.send(.get, path, as: "ayse", checked: false).json()["data"]?.array?.first?["text"] == .string("Sözleşme hazır"))
    #expect(try await server.send(.get, "/v1/notices", as: "ayse").json()["data"]?.array?.contains { $0["record_id"] == customer.id } == true)
    #expect(try await server.send(.get, path, as: "zeynep", checked: false).status == 404)
    #expect(try await server.send(.post, "/v1/comments", as: "zeynep", json: ["resource": "customers", "record_id": customer.id, "text": "x"]).status == 422)
    let leak = try await server.send(
      .post, "/v1/comments", as: "gul",
      json: ["resource": "customers", "record_id": customer.id, "text": "x", "mentions": [try await user(server, "zeynep")]])
    #expect(leak.status == 422)
    #expect(try await server.send(.get, path, as: "gul", checked: false).json()["data"]?.array?.count == 1)
    let id = try comment.json()["id"]?.string ?? ""
    #expect(try await server.send(.delete, "/v1/comments/\(id)", as: "ayse").status == 404)
    #expect(try await server.send(.delete, "/v1/comments/\(id)", as: "gul").status == 204)
  }
}
