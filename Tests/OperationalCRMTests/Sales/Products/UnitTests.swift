import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("Units and numbers")
struct UnitTests {
  @Test("a product has a unit that is known, a VAT rate, a cost and says whether stock is kept")
  func products() async throws {
    let server = try await TestServer.suite()
    let made = try await server.send(.post, "/v1/products", as: "emre", json: ["sku": "U-1", "name": "Zeytinyağı"])
    #expect(made.status == 201, "\(made.text)")
    let json = try made.json()
    #expect(json["unit_code"] == "C62" && json["vat_rate"] == "20.00" && json["tracked"] == true && json["cost"] == .null)
    let oil = try await server.send(
      .post, "/v1/products", as: "emre",
      json: ["sku": "U-2", "name": "Zeytinyağı dökme", "unit_code": "LTR", "vat_rate": "1", "cost": "210.5", "tracked": false])
    #expect(try oil.json()["unit_code"] == "LTR" && oil.json()["cost"] == "210.500000", "\(oil.text)")
    for (field, value): (String, JSON) in [("unit_code", "PIECE"), ("vat_rate", "101"), ("cost", "-1")] {
      let refused = try await server.send(.post, "/v1/products", as: "emre", json: ["sku": "U-3", "name": "x", field: value])
      #expect(refused.status == 422 && refused.text.contains("/\(field)"), "\(refused.text)")
    }
    #expect(try await server.send(.get, "/v1/units?code=eq.KGM", as: "ayse").json()["data"]?.array?.first?["name_tr"] == "kilogram")
    #expect(try await server.send(.post, "/v1/units", as: "ayse", json: ["code": "XX1", "name_en": "x", "name_tr": "x"]).status == 403)
  }

  @Test("the numbers of a series follow each other, also when many take one at once, and a rolled back one is given again")
  func numbers() async throws {
    let database = try await TestDatabase.clone()
    let service = Database(pool: database.app)
    let given = try await withThrowingTaskGroup(of: String.self) { group in
      for _ in 0..<40 {
        group.addTask {
          try await service.transaction(as: .system("test"), deadline: .after(.seconds(60))) { tx in
            try await tx.value(String.self, "SELECT crm.next_number('order')")
          }
        }
      }
      return try await group.reduce(into: []) { $0.append($1) }
    }
    var calendar = Calendar(identifier: .gregorian)
    calendar.timeZone = try #require(TimeZone(identifier: "Europe/Istanbul"))
    let year = calendar.component(.year, from: Date())
    #expect(given.sorted() == (1...40).map { "S-\(year)-" + String(repeating: "0", count: $0 < 10 ? 5 : 4) + "\($0)" })
    try await database.withRollback(as: .system("test")) { tx in _ = try await tx.value(String.self, "SELECT crm.next_number('order')") }
    let next = try await service.transaction(as: .system("test"), deadline: .after(.seconds(60))) { tx in
      try await tx.value(String.self, "SELECT crm.next_number('order')")
    }
    #expect(next == "S-\(year)-000041")
    await #expect(throws: PostgresError.self) {
      try await service.transaction(as: .system("test"), deadline: .after(.seconds(60))) { tx in
        try await tx.value(String.self, "SELECT crm.next_number('nothing')")
      }
    }
  }
}
