import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("What is wrong with a record's fields")
struct FieldErrorTests {
  @Test("every mistake that can be seen without the database is told at once")
  func visibleMistakes() async throws {
    let api = try await TestAPI.suite()
    let answer = try await api.send(
      .post, "/v1/customers",
      json: [
        "name": 5, "kind": "robot", "parent_id": "x", "nmae": "y", "search_key": "z", "lifecycle_phase": .null, "version": 3, "tax_office": ["a"],
        "profile": "p", "id": .string(UUID.v7().lowercase),
      ])
    #expect(answer.status == 422 && answer.problem == "invalid-fields")
    #expect(
      Set(answer.fieldErrors) == [
        "/name type", "/kind option", "/parent_id type", "/nmae unknown-field", "/search_key unknown-field", "/lifecycle_phase required", "/version read-only",
        "/tax_office type", "/profile type",
        "/id read-only",
      ], "\(answer.fieldErrors)")
    #expect(answer.text.contains(#"Did you mean \"name\""#))
    let missing = try await api.send(.post, "/v1/orders", json: [:])
    #expect(missing.fieldErrors == ["/customer_id required"])
  }

  @Test("every rule that is broken and every record that is missing is told at once, in words")
  func rules() async throws {
    let api = try await TestAPI.suite()
    let nobody = JSON.string(UUID.v7().lowercase)
    let answer = try await api.send(
      .post, "/v1/customers",
      json: ["kind": "person", "name": "   ", "tax_number": "123", "locale": "TURKISH", "parent_id": nobody, "owner_id": nobody, "department_id": nobody])
    #expect(answer.status == 422)
    #expect(
      Set(answer.fieldErrors) == [
        "/name customer_name_length", "/tax_number customer_tax_number_valid", "/locale customer_locale_shape", "/parent_id not-found", "/owner_id not-found",
        "/department_id not-found",
      ], "\(answer.text)")
    #expect(answer.text.contains("VKN"))
    let turkish = try await api.send(.post, "/v1/customers", json: ["kind": "person", "name": "   "], headers: ["accept-language": "tr-TR,tr;q=0.9,en;q=0.1"])
    #expect(turkish.text.contains("Müşteriye en çok 300 karakterlik bir ad verin."), "\(turkish.text)")
  }

  @Test("a change tells the broken rules and missing records of the row as it would become")
  func changedRules() async throws {
    let api = try await TestAPI.suite()
    let (id, _) = try await WriteTests.customer(api, ["visibility": "private"], as: "ayse")
    let answer = try await api.send(
      .patch, "/v1/customers/\(id)", as: "ayse", json: ["owner_id": .null, "name": " ", "parent_id": .string(id), "locale": "x"])
    #expect(answer.status == 422)
    #expect(
      Set(answer.fieldErrors).isSuperset(of: ["/name customer_name_length", "/parent_id customer_parent_id_other", "/locale customer_locale_shape"]),
      "\(answer.fieldErrors)")
    #expect(answer.fieldErrors.contains("/owner_id customer_owner_id_private"), "\(answer.fieldErrors)")
  }

  @Test("references to rows that are no resource are told with all the others")
  func undeclaredReferences() async throws {
    let api = try await TestAPI.suite()
    let (customer, _) = try await WriteTests.customer(api)
    let answer = try await api.send(
      .post, "/v1/orders", as: "ayse",
      json: ["customer_id": .string(customer), "currency": "XXX", "external_number": "", "location_id": .string(UUID.v7().lowercase)])
    #expect(answer.status == 422)
    #expect(
      Set(answer.fieldErrors) == ["/currency reference", "/external_number sales_order_external_number_length", "/location_id not-found"], "\(answer.text)")
    let alone = try await api.send(.post, "/v1/orders", as: "ayse", json: ["customer_id": .string(customer), "currency": "XXX"])
    #expect(alone.fieldErrors == ["/currency reference"])
  }

  @Test("a reference to a hidden record is refused exactly as one to none")
  func hiddenReferences() async throws {
    let api = try await TestAPI.suite()
    let (hidden, _) = try await WriteTests.customer(api, ["visibility": "private"], as: "ayse")
    var problems: Set<String> = []
    for parent in [hidden, UUID.v7().lowercase] {
      for (method, path, json): (Request.Method, String, JSON) in [
        (.post, "/v1/customers", ["kind": "person", "name": "Çocuk", "parent_id": .string(parent)]),
        (.post, "/v1/contacts", ["customer_id": .string(parent), "name": "Kişi"]), (.post, "/v1/orders", ["customer_id": .string(parent)]),
      ] {
        let answer = try await api.send(method, path, as: "mehmet", json: json)
        #expect(answer.status == 422, "\(path): \(answer.text)")
        #expect(answer.fieldErrors == [path == "/v1/customers" ? "/parent_id not-found" : "/customer_id not-found"])
        problems.insert(path + answer.text.replacing(/"request_id":"[^"]*"/, with: ""))
      }
    }
    #expect(problems.count == 3, "\(problems)")
  }

  @Test("a part of another customer is no part of this one")
  func otherCustomersPart() async throws {
    let api = try await TestAPI.suite()
    let (one, _) = try await WriteTests.customer(api)
    let (other, _) = try await WriteTests.customer(api)
    let contact = try #require(
      try await api.send(.post, "/v1/contacts", as: "ayse", json: ["customer_id": .string(other), "name": "Kişi"]).json()["id"]?.string)
    let answer = try await api.send(.post, "/v1/addresses", as: "ayse", json: ["customer_id": .string(one), "contact_id": .string(contact), "city": "İzmir"])
    #expect(answer.status == 422 && answer.fieldErrors.first?.hasPrefix("/contact_id ") == true, "\(answer.text)")
  }

  @Test("a value that is taken is a conflict that names the field")
  func duplicates() async throws {
    let api = try await TestAPI.suite()
    let answer = try await api.send(.post, "/v1/products", json: ["sku": "P-001", "name": "Aynı"])
    #expect(answer.status == 409 && answer.problem == "duplicate")
    #expect(answer.fieldErrors == ["/sku duplicate"])
    #expect(!answer.text.contains("P-001"))
  }

  @Test(
    "a body that is no JSON object is refused clearly",
    arguments: [
      "", " ", "{", "[1]", "null", "\"x\"", "{\"name\":}", "{\"name\":NaN}", "{\"name\":\"\\ud800\"}", "{\"name\":\"\\udc00x\"}", "{\"a\":1,}", "\u{feff}{",
      "{'a':1}", "{\"name\":\"a\nb\"}", "{\"kind\":\"person\",\"name\":\"x\"} x",
    ])
  func noObject(body: String) async throws {
    let api = try await TestAPI.suite()
    for (method, path): (Request.Method, String) in [
      (.post, "/v1/customers"), (.post, "/v1/customers/query"), (.post, "/v1/customers/aggregate"), (.post, "/v1/customers/batch"),
      (.put, "/v1/customers/external/erp/x"),
    ] {
      let answer = try await api.send(method, path, body: Array(body.utf8))
      #expect([400, 422].contains(answer.status), "\(path) \(body): \(answer.status) \(answer.text)")
    }
  }

  @Test("bytes that are no UTF-8, U+0000, numbers beyond measure, and depth are refused clearly")
  func hostile() async throws {
    let api = try await TestAPI.suite()
    let bodies: [(String, [UInt8])] = [
      ("invalid UTF-8", Array(#"{"kind":"person","name":"a"#.utf8) + [0xff, 0xfe] + Array(#""}"#.utf8)),
      ("overlong", Array(#"{"kind":"person","name":""#.utf8) + [0xc0, 0x80] + Array(#""}"#.utf8)),
      ("U+0000", Array(#"{"kind":"person","name":"a\u0000b"}"#.utf8)), ("raw U+0000", Array("{\"kind\":\"person\",\"name\":\"a\0b\"}".utf8)),
      ("U+0000 in an object", Array(#"{"kind":"person","name":"x","profile":{"a":["b\u0000"]}}"#.utf8)),
      ("U+0000 in a key", Array(#"{"kind":"person","name":"x","profile":{"a\u0000":1}}"#.utf8)),
      ("huge exponent", Array(#"{"kind":"person","name":"x","profile":{"a":1e999999}}"#.utf8)),
      ("huge number for a text", Array("{\"kind\":\"person\",\"name\":\(String(repeating: "9", count: 5_000))}".utf8)),
      ("deep", Array((String(repeating: "[", count: 65) + String(repeating: "]", count: 65)).utf8)),
      ("very deep", Array(String(repeating: "[", count: 500_000).utf8)),
      ("long", Array("{\"kind\":\"person\",\"name\":\"\(String(repeating: "ğ", count: 500_000))\"}".utf8)),
    ]
    for (what, body) in bodies {
      let answer = try await api.send(.post, "/v1/customers", body: body)
      #expect([400, 422].contains(answer.status), "\(what): \(answer.status) \(answer.text.prefix(300))")
      #expect(answer.bytes.count < 2_000, "\(what) is answered at length")
    }
    let query: [JSON] = [
      ["filter": ["name": .string("a\0")]], ["search": .string("\0")], ["select": [.string("\0")]], ["order": [.string("\0")]], ["filter": .object(["\0": 1])],
      ["cursor": .string("\0")],
    ]
    for query in query { #expect(try await api.send(.post, "/v1/customers/query", json: query).status == 400, "\(query)") }
    #expect([400, 422].contains(try await api.send(.put, "/v1/customers/external/erp/a%00b", json: ["kind": "person", "name": "x"]).status))
    #expect([400, 422].contains(try await api.send(.put, "/v1/customers/external/E%20RP/a", json: ["kind": "person", "name": "x"]).status))
    #expect(
      [400, 422].contains(
        try await api.send(.put, "/v1/customers/external/erp/\(String(repeating: "k", count: 300))", json: ["kind": "person", "name": "x"]).status))
  }

  @Test("a time zone that nobody knows is refused where it is set, before a report counts days in it")
  func unknownTimeZones() async throws {
    let api = try await TestAPI.suite()
    for (zone, status) in [("Europe/Nowhere", 422), ("ABC5", 422), ("asia/tokyo", 201), ("Etc/GMT+3", 201)] {
      let location = try await api.send(
        .post, "/v1/locations", json: ["code": .string("Z-\(UUID.v7().lowercase)"), "name": "Zone", "time_zone": .string(zone)])
      #expect(location.status == status, "\(zone): \(location.text)")
      if status == 422 { #expect(location.text.contains("Europe/Istanbul"), "\(location.text)") }
    }
  }

  @Test("sixty-four levels, a long note and unusual letters are stored as they are")
  func extremesStored() async throws {
    let api = try await TestAPI.suite()
    let deep = String(repeating: "[", count: 62) + String(repeating: "]", count: 62)
    let long = String(repeating: "ığ\u{1F9E1}\u{202E}\\u0000 ", count: 30_000)
    let body = try JSON.object(["kind": "person", "name": "Uzun", "note": .string(long)]).encoded()
    let made = try await api.send(.post, "/v1/customers", body: body.dropLast() + Array(",\"profile\":{\"d\":\(deep),\"t\":\"\\\\u0000\"}}".utf8))
    #expect(made.status == 201, "\(made.text.prefix(300))")
    #expect(try made.json()["note"]?.string == long)
    #expect(try made.json()["profile"]?["t"] == "\\u0000")
    #expect(made.text.contains(deep))
  }

  @Test("what a rule says never shows SQL, values of others, or names of tables")
  func noLeak() async throws {
    let api = try await TestAPI.suite()
    for json: JSON in [
      ["kind": "person", "name": " "], ["kind": "person", "name": "x", "owner_id": .string(UUID.v7().lowercase)],
      ["kind": "person", "name": "x", "tax_number": "12345678901"],
    ] {
      let answer = try await api.send(.post, "/v1/customers", json: json)
      #expect(answer.status == 422)
      for word in ["crm.", "SELECT", "DETAIL", "violates", "relation"] { #expect(!answer.text.contains(word), "\(answer.text)") }
    }
  }
}
