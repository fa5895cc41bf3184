import CRMCore
import Foundation
import MuhatapTestKit
import Testing

@Suite("Rows a filter finds")
struct FilterRowsTests {
  private static let orderFields = [
    SampledField(name: "status", kind: .text, isOption: true), SampledField(name: "external_number", kind: .text),
    SampledField(name: "note", kind: .text), SampledField(name: "currency", kind: .text), SampledField(name: "amount", kind: .number),
    SampledField(name: "version", kind: .number), SampledField(name: "ordered_at", kind: .instant), SampledField(name: "location_id", kind: .uuid),
    SampledField(name: "customer.name", kind: .text), SampledField(name: "customer.website", kind: .text),
    SampledField(name: "location.city", kind: .text),
  ]
  private static let productFields = [
    SampledField(name: "name", kind: .text), SampledField(name: "brand", kind: .text), SampledField(name: "active", kind: .boolean),
    SampledField(name: "category_id", kind: .uuid), SampledField(name: "category.name", kind: .text),
  ]

  @Test("both spellings find exactly the rows for which the filter holds", arguments: [("orders", "customer,location"), ("products", "category")])
  func random(resource: String, expand: String) async throws {
    let api = try await TestAPI.suite()
    let fields = resource == "orders" ? Self.orderFields : Self.productFields
    // In an order that does not depend on random ids, so that the same filters are made every time.
    let order = resource == "orders" ? "external_number,ordered_at,amount" : "sku"
    let rows = try await api.send(.get, "/v1/\(resource)", ["limit": "1000", "expand": expand, "order": order]).rows()
    #expect(rows.count >= 12)
    let naive = NaiveEvaluation(fields: Dictionary(uniqueKeysWithValues: fields.map { ($0.name, $0) }))
    var filters = RandomFilters(fields: fields, rows: rows, seed: 20_261_121)
    var found = 0
    for _ in 0..<250 {
      let filter = filters.next()
      let expected = Set(rows.filter { naive.holds(filter, $0) }.compactMap { $0["id"]?.string })
      let parameter = FilterSpelling.url(filter)
      let byURL = try await api.send(
        .get, "/v1/\(resource)", [parameter, (name: "limit", value: "1000"), (name: "select", value: "id")], body: nil)
      let byJSON = try await api.send(
        .post, "/v1/\(resource)/query", json: ["filter": FilterSpelling.json(filter), "limit": 1000, "select": ["id"], "count": "exact"])
      for answer in [byURL, byJSON] {
        try #require(answer.status == 200, "\(parameter): \(answer.text)")
        let ids = Set(try answer.rows().compactMap { $0["id"]?.string })
        try #require(ids == expected, "\(parameter.name)=\(parameter.value): \(ids.count) rows instead of \(expected.count)")
      }
      #expect(try byJSON.json()["count"] == .number(Decimal(expected.count)))
      found += expected.isEmpty ? 0 : 1
    }
    #expect(found > 100, "too few of the random filters find anything")
  }

  @Test("text compares in the order it is sorted in")
  func textOrder() async throws {
    let api = try await TestAPI.suite()
    let names = try await api.send(.get, "/v1/customers", ["order": "name", "limit": "1000"]).rows().compactMap { $0["name"]?.string }
    for place in [0, 7, 20, names.count - 1] {
      let before = try await api.send(.get, "/v1/customers", ["name": "lt.\(names[place])", "order": "name"]).rows().compactMap { $0["name"]?.string }
      let from = try await api.send(.get, "/v1/customers", ["name": "gte.\(names[place])", "order": "name"]).rows().compactMap { $0["name"]?.string }
      #expect(before == Array(names[..<place]))
      #expect(from == Array(names[place...]))
    }
  }

  @Test("a list column is compared with its members, an object only with null")
  func listsAndObjects() async throws {
    let api = try await TestAPI.suite()
    let field: JSON = [
      "resource": "contacts", "name": "colours", "type": "choices", "label_en": "Colours", "label_tr": "Renkler", "options": ["kırmızı", "a,b", "{x}"],
    ]
    #expect(try await api.send(.post, "/v1/custom_fields", json: field).status == 201)
    #expect(try await api.send(.get, "/v1/custom_fields", ["options": "eq.a,b"]).rows().count == 1)
    #expect(try await api.send(.get, "/v1/custom_fields", ["options": "eq.a"]).rows().isEmpty)
    #expect(try await api.send(.get, "/v1/custom_fields", ["options": "ne.kırmızı"]).rows().isEmpty)
    #expect(try await api.send(.get, "/v1/customers", ["profile": "is.not_null"]).rows().count > 30)
    #expect(try await api.send(.get, "/v1/customers", ["profile": "is.null"]).rows().isEmpty)
    for bad in ["eq.{}", "gt.1", "contains.a", "in.(a)"] {
      #expect(try await api.send(.get, "/v1/customers", ["profile": bad]).status == 400, "\(bad)")
    }
  }

  @Test("a neighbour of many fits when one of them does")
  func toMany() async throws {
    let api = try await TestAPI.suite()
    let orders = try await api.send(.get, "/v1/orders", ["limit": "1000", "expand": "lines"]).rows()
    let expected = Set(
      orders.filter { ($0["lines"]?.array ?? []).contains { Decimal(string: $0["amount"]?.string ?? "") ?? 0 > 100 } }.compactMap { $0["id"]?.string })
    #expect(!expected.isEmpty && expected.count < orders.count)
    let found = try await api.send(.get, "/v1/orders", ["lines.amount": "gt.100", "limit": "1000"]).rows()
    #expect(Set(found.compactMap { $0["id"]?.string }) == expected)
    let others = try await api.send(.get, "/v1/orders", ["lines.amount": "not.gt.100", "limit": "1000"]).rows()
    #expect(others.count == orders.count - expected.count)
    let cheese = try await api.send(.get, "/v1/customers", ["orders.lines.product.name": "starts.Beyaz Peynir"])
    #expect(cheese.status == 200, "\(cheese.text)")
    #expect(try !cheese.rows().isEmpty)
  }

  @Test("a neighbour of a neighbour is followed three relations deep, not four")
  func depth() async throws {
    let api = try await TestAPI.suite()
    for path in ["order.customer.parent.name", "product.category.parent.name", "order.customer.name", "product.name"] {
      let answer = try await api.send(.get, "/v1/order_lines", [path: "is.not_null"])
      #expect(answer.status == 200, "\(path): \(answer.text)")
    }
    #expect(try await api.send(.get, "/v1/order_lines", ["product.category.parent.name": "eq.Gıda"]).rows().count > 0)
    for path in ["product.category.parent.parent.name", "order.customer.parent.parent.name"] {
      let tooDeep = try await api.send(.get, "/v1/order_lines", [path: "is.not_null"])
      #expect(tooDeep.status == 400)
      #expect(tooDeep.fieldErrors == ["\(path) bad-filter"])
    }
    // Through a to-many neighbour as well: customers → orders → lines → product → category.
    let tooDeep = try await api.send(.get, "/v1/customers", ["orders.lines.product.category.name": "eq.Gıda"])
    #expect(tooDeep.status == 400, "\(tooDeep.text)")
  }

  @Test("a value that does not fit its field is refused before PostgreSQL is asked")
  func misfits() async throws {
    let api = try await TestAPI.suite()
    let misfits = [
      ("amount", "gt.abc"), ("amount", "gt.NaN"), ("amount", "eq."), ("amount", "gt.1e5"), ("amount", "gt.99999999999999999999"), ("amount", "eq.1.005"),
      ("version", "eq.1.5"), ("version", "eq.3000000000"), ("ordered_at", "gt.yesterday"), ("ordered_at", "gt.infinity"), ("ordered_at", "eq.2025-02-30"),
      ("ordered_at", "eq.2025-01-01T10:00:00"), ("location_id", "eq.1"), ("status", "eq.plcaed"), ("status", "in.(placed,x)"), ("currency", "is.maybe"),
      ("amount", "contains.1"), ("amount", "starts.1"), ("note", "is.true"), ("note", "eq.a\0b"), ("note", "contains.\0"), ("customer_id", "contains.a"),
      ("ordered_at", "gt.99999-01-01"), ("ordered_at", "gt.0000-01-01"),
    ]
    for (name, value) in misfits {
      let answer = try await api.send(.get, "/v1/orders", [name: value])
      #expect(answer.status == 400, "\(name)=\(value): \(answer.text)")
      #expect(answer.fieldErrors.first?.hasPrefix("\(name) ") == true, "\(name)=\(value): \(answer.text)")
    }
    let extremes = [
      ("ordered_at", "lt.9999-12-31T23:59:59.999999999Z"), ("ordered_at", "gt.0001-01-01T00:00:00+15:59"), ("version", "gt.-2147483648"),
      ("amount", "lt.9999999999999999.99"), ("amount", "gt.-0.00"),
    ]
    for (name, value) in extremes {
      #expect(try await api.send(.get, "/v1/orders", [name: value]).status == 200, "\(name)=\(value)")
    }
  }

  @Test("a day stands for its first instant in UTC")
  func day() async throws {
    let api = try await TestAPI.suite()
    let all = try await api.send(.get, "/v1/orders", ["limit": "1000"]).rows().compactMap { $0["ordered_at"]?.string }
    let found = try await api.send(.get, "/v1/orders", ["and": "(ordered_at.gte.2025-03-01,ordered_at.lt.2025-04-01)", "limit": "1000"]).rows()
    #expect(found.count == all.filter { $0.hasPrefix("2025-03") }.count)
    #expect(!found.isEmpty)
  }

  @Test(
    "unknown names are answered with the nearest one",
    arguments: [
      ("/v1/orders", "statuss", "eq.placed", "status"), ("/v1/orders", "customer.nmae", "eq.x", "name"), ("/v1/orders", "custmer.name", "eq.x", "customer"),
      ("/v1/orders", "status", "eqq.placed", "eq"), ("/v1/orders", "order", "ordred_at", "ordered_at"), ("/v1/orders", "select", "amuont", "amount"),
      ("/v1/orders", "expand", "custmer", "customer"), ("/v1/orders", "status", "eq.complete", "completed"),
      ("/v1/customers", "contcts.name", "eq.x", "contacts"),
    ])
  func nearest(path: String, name: String, value: String, hint: String) async throws {
    let api = try await TestAPI.suite()
    let english = try await api.send(.get, path, [name: value])
    #expect(english.status == 400)
    #expect(try english.json()["detail"]?.string?.contains(hint) == true, "\(english.text)")
    let turkish = try await api.send(.get, path, [name: value], headers: ["accept-language": "tr"])
    #expect(try turkish.json()["detail"]?.string?.contains(hint) == true, "\(turkish.text)")
    #expect(try turkish.json()["detail"] != english.json()["detail"])
  }

  @Test("secret columns have no name in the API")
  func secrets() async throws {
    let api = try await TestAPI.suite()
    for (name, value) in [("password_hash", "is.null"), ("select", "password_hash"), ("order", "password_hash")] {
      #expect(try await api.send(.get, "/v1/users", [name: value]).status == 400, "\(name)")
    }
    #expect(try await api.send(.get, "/v1/customers", ["owner.password_hash": "is.null"]).status == 400)
    let users = try await api.send(.get, "/v1/users")
    #expect(users.status == 200 && !users.text.contains("password"))
  }
}
