import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("Custom fields")
struct CustomFieldTests {
  /// Contacts with a field of every kind: `size` (required), `note2`, `vip`, `since`, `colour`, `colours`.
  private actor Prepared {
    static let shared = Prepared()
    private var task: Task<(TestAPI, String), any Error>?

    func api() async throws -> (api: TestAPI, customer: String) {
      let running = task ?? Task { try await CustomFieldTests.prepare() }
      task = running
      return try await running.value
    }
  }

  private static func prepare() async throws -> (TestAPI, String) {
    let api = try await TestAPI.suite()
    let fields: [(name: String, type: String, extra: [String: JSON])] = [
      ("size", "number", ["required": true]), ("note2", "text", [:]), ("vip", "boolean", [:]), ("since", "date", [:]),
      ("colour", "choice", ["options": ["red", "blue", "yeşil, koyu"]]), ("colours", "choices", ["options": ["red", "blue", "yeşil, koyu"]]),
    ]
    for (position, field) in fields.enumerated() {
      let definition: [String: JSON] = [
        "resource": "contacts", "name": .string(field.name), "type": .string(field.type), "label_en": .string("The \(field.name)"),
        "label_tr": .string("\(field.name) alanı"),
        "position": .number(Decimal(position)),
      ]
      let made = try await api.send(.post, "/v1/custom_fields", json: .object(definition.merging(field.extra) { $1 }))
      try #require(made.status == 201, "\(made.text)")
    }
    try await Self.eventually { try await api.send(.get, "/v1/contacts", ["custom.colours": "eq.red"]).status == 200 }
    let (customer, _) = try await WriteTests.customer(api)
    for number in 1...9 {
      var custom: [String: JSON] = ["size": .number(Decimal(number) / 2)]
      if number % 2 == 0 { custom["note2"] = .string("not \(number) Işık") }
      if number % 3 != 0 { custom["vip"] = .bool(number % 3 == 1) }
      if number % 4 != 0 { custom["since"] = .string("2025-0\(number)-15") }
      custom["colour"] = number % 3 == 0 ? .null : ["red", "blue", "yeşil, koyu"][number % 3]
      custom["colours"] = number % 4 == 0 ? .null : .array([["red"], ["red", "blue"], [], ["yeşil, koyu"]][number % 4])
      let made = try await api.send(
        .post, "/v1/contacts", as: "ayse", json: ["customer_id": .string(customer), "name": .string("Kişi \(number)"), "custom": .object(custom)])
      try #require(made.status == 201, "\(made.text)")
    }
    return (api, customer)
  }

  /// The gateway hears of a definition by a notification, shortly after it was made.
  private static func eventually(_ condition: () async throws -> Bool) async throws {
    let patience = Deadline.after(.seconds(180))
    while try await !condition() {
      try #require(!patience.hasPassed, "it never came true")
      try await Task.sleep(for: .milliseconds(10))
    }
  }

  @Test(
    "a field of each type is filtered by, in both spellings, with missing values",
    arguments: [
      ("size", "eq", "1.5", "3"), ("size", "gt", "3", "7 8 9"), ("size", "in", "(1,2.50,9)", "2 5"), ("size", "ne", "1", "1 3 4 5 6 7 8 9"),
      ("note2", "eq", "not 4 Işık", "4"), ("note2", "is", "null", "1 3 5 7 9"),
      ("note2", "contains", "ISIK", "2 4 6 8"), ("note2", "starts", "not 2", "2"), ("note2", "ne", "not 4 Işık", "1 2 3 5 6 7 8 9"),
      ("vip", "eq", "true", "1 4 7"), ("vip", "is", "false", "2 5 8"), ("vip", "is", "null", "3 6 9"),
      ("since", "gte", "2025-07-01", "7 9"), ("since", "eq", "2025-02-15", "2"), ("since", "is", "not_null", "1 2 3 5 6 7 9"),
      ("colour", "eq", "blue", "1 4 7"), ("colour", "in", "(blue,\"yeşil, koyu\")", "1 2 4 5 7 8"),
      ("colour", "not_in", "(blue)", "2 3 5 6 8 9"), ("colour", "is", "null", "3 6 9"), ("colours", "eq", "red", "1 5 9"), ("colours", "eq", "blue", "1 5 9"),
      ("colours", "eq", "yeşil, koyu", "3 7"), ("colours", "ne", "red", "2 3 4 6 7 8"),
      ("colours", "is", "null", "4 8"),
    ])
  func filters(name: String, comparison: String, value: String, expected: String) async throws {
    let (api, customer) = try await Prepared.shared.api()
    let byURL = try await api.send(.get, "/v1/contacts", ["customer_id": "eq.\(customer)", "custom.\(name)": "\(comparison).\(value)", "order": "name"])
    #expect(byURL.status == 200, "\(byURL.text)")
    let numbers = try byURL.rows().compactMap { $0["name"]?.string?.dropFirst(5) }.joined(separator: " ")
    #expect(numbers == expected)
    if !value.hasPrefix("(") {
      let byJSON = try await api.send(
        .post, "/v1/contacts/query",
        json: ["filter": .object(["customer_id": .string(customer), "custom.\(name)": .object([comparison: .string(value)])]), "order": ["name"]])
      #expect(try byJSON.rows() == byURL.rows())
    }
  }

  @Test("custom fields sort, page, group, count and show like any other")
  func others() async throws {
    let (api, customer) = try await Prepared.shared.api()
    for order in ["custom.size", "-custom.note2", "custom.since,-custom.size", "-custom.colour,custom.vip,name"] where !order.contains("vip") {
      let filter = [(name: "customer_id", value: "eq.\(customer)"), (name: "order", value: order), (name: "select", value: "id,custom.size,custom.since")]
      let whole = try await api.send(.get, "/v1/contacts", filter, body: nil).rows()
      #expect(whole.count == 9)
      #expect(try await PagingTests.pages(api, "/v1/contacts", filter, limit: 2) == whole, "\(order)")
    }
    let sizes = try await api.send(.get, "/v1/contacts", ["customer_id": "eq.\(customer)", "order": "-custom.size", "select": "custom.size,custom.colours"])
      .rows()
    #expect(sizes.first == ["custom.size": "4.5", "custom.colours": ["red", "blue"]], "\(sizes)")
    let groups = try await api.send(
      .post, "/v1/contacts/aggregate",
      json: [
        "filter": ["customer_id": .string(customer)], "group": ["custom.colour"],
        "measures": ["count", ["sum": "custom.size", "as": "sum"], ["max": "custom.since", "as": "last"]],
      ])
    #expect(groups.status == 200, "\(groups.text)")
    #expect(
      try Set(groups.rows().map { "\($0["custom.colour"]?.string ?? "-") \($0["sum"]?.string ?? "")" }) == ["blue 6.0", "yeşil, koyu 7.5", "- 9.0"],
      "\(groups.text)")
    let points = try await api.send(.get, "/v1/contact_points", ["contact.custom.size": "is.null", "limit": "1"])
    #expect(points.status == 200, "\(points.text)")
  }

  @Test(
    "every value is checked against its definition, all at once",
    arguments: [
      (["size": "1"], "/custom/size type"), (["size": 1, "note2": 5], "/custom/note2 type"), (["size": 1, "vip": "yes"], "/custom/vip type"),
      (["size": 1, "since": "2025-02-30"], "/custom/since type"),
      (["size": 1, "colour": "green"], "/custom/colour type"), (["size": 1, "colours": "red"], "/custom/colours type"),
      (["size": 1, "colours": ["red", "green"]], "/custom/colours type"), (["size": 1, "colours": [.null]], "/custom/colours type"),
      (["size": 1, "colur": "red"], "/custom/colur unknown-field"), ([:], "/custom/size required"), (["size": .null], "/custom/size required"),
      (["size": 1, "note2": "a\0"], "/custom/note2 type"), (["size": 1, "note2": ["a": 1]], "/custom/note2 type"),
    ] as [(JSON, String)])
  func validation(custom: JSON, error: String) async throws {
    let (api, customer) = try await Prepared.shared.api()
    let answer = try await api.send(.post, "/v1/contacts", as: "ayse", json: ["customer_id": .string(customer), "name": "Yanlış", "custom": custom])
    #expect(answer.status == 422)
    #expect(answer.fieldErrors.contains(error), "\(answer.text)")
    if error.hasSuffix("unknown-field") { #expect(answer.text.contains("colour")) }
  }

  @Test("what is required is required of who sends none at all; other mistakes are told with it")
  func required() async throws {
    let (api, customer) = try await Prepared.shared.api()
    let answer = try await api.send(.post, "/v1/contacts", as: "ayse", json: ["customer_id": .string(customer), "name": 5, "locale": "x"])
    #expect(Set(answer.fieldErrors).isSuperset(of: ["/custom/size required", "/name type"]), "\(answer.text)")
    #expect(answer.text.contains("The size is required."))
    for custom: JSON in [5, "x", [], .null] {
      #expect(
        try await api.send(.post, "/v1/contacts", as: "ayse", json: ["customer_id": .string(customer), "name": "x", "custom": custom]).status == 422,
        "\(custom)")
    }
  }

  @Test("a record from before a field was required has to get it with its next change")
  func requiredLater() async throws {
    let api = try await TestAPI.start()
    let field = try await api.send(
      .post, "/v1/custom_fields",
      json: ["resource": "contacts", "name": "size", "type": "number", "label_en": "Size", "label_tr": "Beden", "required": true])
    try #require(field.status == 201, "\(field.text)")
    try await Self.eventually { try await api.send(.get, "/v1/contacts", ["custom.size": "eq.1"]).status == 200 }
    let (customer, _) = try await WriteTests.customer(api)
    let made = try await api.send(.post, "/v1/contacts", as: "ayse", json: ["customer_id": .string(customer), "name": "Eski", "custom": ["size": 1]])
    let id = try #require(try made.json()["id"]?.string)
    try await api.behind("UPDATE crm.contact SET custom = '{}' WHERE id = \(id)::uuid")
    for change in [["name": "Yeni"], ["custom": [:]], [:]] as [JSON] {
      let refused = try await api.send(.patch, "/v1/contacts/\(id)", as: "ayse", json: change)
      #expect(refused.status == 422)
      #expect(refused.fieldErrors == ["/custom/size required"])
    }
    let stale = try await api.send(.patch, "/v1/contacts/\(id)", as: "ayse", json: ["name": "Yeni"], headers: ["if-match": "\"99\""])
    #expect(stale.status == 412)
    #expect(try await api.send(.patch, "/v1/contacts/\(id)", as: "ayse", json: ["name": "Yeni", "custom": ["size": 2]]).status == 200)
    #expect(try await api.send(.patch, "/v1/contacts/\(id)", as: "ayse", json: ["name": "Yine"]).status == 200)
  }

  @Test("a change merges: what is named is set, null removes, the rest stays; what is required cannot be removed")
  func merge() async throws {
    let (api, _) = try await Prepared.shared.api()
    let (customer, _) = try await WriteTests.customer(api)
    let made = try await api.send(
      .post, "/v1/contacts", as: "ayse",
      json: ["customer_id": .string(customer), "name": "Birleşik", "custom": ["size": 123456789012345678, "note2": "a", "vip": true, "colours": .null]])
    let id = try #require(try made.json()["id"]?.string, "\(made.text)")
    #expect(try made.json()["custom"] == ["size": 123456789012345678, "note2": "a", "vip": true])
    let changed = try await api.send(.patch, "/v1/contacts/\(id)", as: "ayse", json: ["custom": ["note2": .null, "colour": "red", "size": 0.1]])
    #expect(try changed.json()["custom"] == ["size": 0.1, "vip": true, "colour": "red"], "\(changed.text)")
    #expect(try await api.send(.patch, "/v1/contacts/\(id)", as: "ayse", json: ["custom": ["size": .null]]).fieldErrors == ["/custom/size required"])
    #expect(try await api.send(.patch, "/v1/contacts/\(id)", as: "ayse", json: ["note": "only this"]).status == 200)
    let history = try await api.send(.get, "/v1/contacts/\(id)/history", as: "ayse").rows()
    #expect(history.count == 3 && history[1]["before"]?["custom"]?["note2"] == "a")
  }

  @Test("a field is named as one of its resource, and its name and type fit")
  func definitions() async throws {
    let (api, _) = try await Prepared.shared.api()
    let good: [String: JSON] = ["resource": "products", "name": "weight", "type": "number", "label_en": "Weight", "label_tr": "Ağırlık"]
    for (change, error): ([String: JSON], String) in [
      (["name": "Weight"], "/name custom_field_name_shape"), (["name": "a.b"], "/name custom_field_name_shape"), (["type": "money"], "/type option"),
      (["type": "choice"], "/options custom_field_options_given"), (["options": ["a"]], "/options custom_field_options_given"),
      (["label_tr": " "], "/label_tr custom_field_label_tr_length"), (["resource": "nothing"], "/resource option"),
      (["resource": "orders"], "/resource option"), (["type": "choice", "options": ["a", .null]], "/options type"),
    ] {
      let answer = try await api.send(.post, "/v1/custom_fields", json: .object(good.merging(change) { $1 }))
      #expect(answer.status == 422 && answer.fieldErrors.contains(error), "\(change): \(answer.text)")
    }
    #expect(try await api.send(.post, "/v1/custom_fields", as: "ayse", json: .object(good)).status == 403)
    #expect(try await api.send(.get, "/v1/products", ["custom.nothing": "eq.1"]).status == 400)
    let near = try await api.send(.get, "/v1/contacts", ["custom.siz": "eq.1"])
    #expect(near.status == 400 && near.text.contains("size"))
    #expect(try await api.send(.get, "/v1/orders", ["custom.size": "eq.1"]).status == 400)
  }

  @Test("a field that is no longer in use takes no values, and its old ones stay")
  func retired() async throws {
    let (api, _) = try await Prepared.shared.api()
    let (customer, _) = try await WriteTests.customer(api)
    let made = try await api.send(
      .post, "/v1/custom_fields", json: ["resource": "customers", "name": "retired", "type": "text", "label_en": "R", "label_tr": "R"])
    let field = try #require(try made.json()["id"]?.string, "\(made.text)")
    try await Self.eventually { try await api.send(.get, "/v1/customers", ["custom.retired": "is.null"]).status == 200 }
    #expect(try await api.send(.patch, "/v1/customers/\(customer)", as: "ayse", json: ["custom": ["retired": "x"]]).status == 200)
    #expect(try await api.send(.patch, "/v1/custom_fields/\(field)", json: ["active": false]).status == 200)
    try await Self.eventually { try await api.send(.get, "/v1/customers", ["custom.retired": "is.null"]).status == 400 }
    #expect(
      try await api.send(.patch, "/v1/customers/\(customer)", as: "ayse", json: ["custom": ["retired": "y"]]).fieldErrors == ["/custom/retired unknown-field"])
    #expect(try await api.send(.get, "/v1/customers/\(customer)", as: "ayse").json()["custom"] == ["retired": "x"])
    #expect(try await api.send(.patch, "/v1/customers/\(customer)", as: "ayse", json: ["note": "still"]).status == 200)
  }
}

extension JSON: ExpressibleByFloatLiteral {
  public init(floatLiteral value: Double) { self = .number(Decimal(string: "\(value)") ?? 0) }
}
