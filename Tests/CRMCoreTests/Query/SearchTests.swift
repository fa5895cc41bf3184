import CRMCore
import MuhatapTestKit
import Testing

@Suite("Search")
struct SearchTests {
  @Test(
    "search knows no case, no accents and no difference between the four letters i",
    arguments: [
      ("ışık", "IŞIK Ltd. Şti."), ("isik ltd", "IŞIK Ltd. Şti."), ("İŞİK", "IŞIK Ltd. Şti."), ("IRMAK", "İpek Irmak"), ("ırmak", "İpek Irmak"),
      ("ipek", "İpek Irmak"), ("İPEK", "İpek Irmak"), ("Ipek", "İpek Irmak"), ("cagri", "Çağrı Öz"), ("ÇAĞRI ÖZ", "Çağrı Öz"), ("ILGAZ", "ılgaz \"A\" A.Ş."),
      ("zoe nunez", "Zoë Nuñez"), ("Zoe\u{308} Nun\u{303}ez", "Zoë Nuñez"), ("  ali,   veli ", "Ali, Veli & Oğulları"), ("\"a\" a.ş.", "ılgaz \"A\" A.Ş."),
    ])
  func turkish(text: String, name: String) async throws {
    let api = try await TestAPI.suite()
    let found = try await api.send(.get, "/v1/customers", ["search": text, "limit": "1000"]).rows().compactMap { $0["name"]?.string }
    let expected = try await api.send(.get, "/v1/customers", ["name": "starts.\(name)", "limit": "1000"]).rows().compactMap { $0["name"]?.string }
    #expect(!expected.isEmpty)
    #expect(Set(expected).isSubset(of: found), "\(text) found \(found)")
    let filtered = try await api.send(.get, "/v1/customers", ["name": "contains.\(text)", "limit": "1000"]).rows().compactMap { $0["name"]?.string }
    #expect(filtered.sorted() == found.sorted())
    let json = try await api.send(.post, "/v1/customers/query", json: ["search": .string(text), "limit": 1000]).rows().count
    #expect(json == found.count)
  }

  @Test("search looks into neighbours, and together with filters and paging")
  func neighbours() async throws {
    let api = try await TestAPI.suite()
    let found = try await api.send(.get, "/v1/products", ["search": "sut urunleri"]).rows()
    let expected = try await api.send(.get, "/v1/products", ["category.name": "eq.Süt ürünleri"]).rows()
    #expect(!expected.isEmpty && expected.allSatisfy(found.contains))
    let orders = try await PagingTests.pages(
      api, "/v1/orders", [(name: "search", value: "ışık"), (name: "status", value: "eq.placed"), (name: "order", value: "customer.name")], limit: 2)
    let names = try await api.send(.get, "/v1/orders", ["customer.name": "contains.isik", "status": "eq.placed", "limit": "1000"]).rows()
    #expect(orders.count == names.count && !orders.isEmpty)
  }

  @Test("special characters of patterns are letters like any other", arguments: ["%", "_", "\\", "'", "\"", "*", ".*", "$1"])
  func patterns(text: String) async throws {
    let api = try await TestAPI.suite()
    let found = try await api.send(.get, "/v1/customers", ["search": text, "limit": "1000"])
    #expect(found.status == 200)
    #expect(try found.rows().allSatisfy { $0["name"]?.string?.contains(text) == true })
  }

  @Test("a search is a text of 1 to 200 characters; what has no search says so")
  func bounds() async throws {
    let api = try await TestAPI.suite()
    for bad in ["", String(repeating: "a", count: 201), "a\0"] { #expect(try await api.send(.get, "/v1/customers", ["search": bad]).status == 400) }
    let answer = try await api.send(.get, "/v1/user_roles", ["search": "a"])
    #expect(answer.status == 400 && answer.fieldErrors == ["search bad-parameter"])
  }
}
