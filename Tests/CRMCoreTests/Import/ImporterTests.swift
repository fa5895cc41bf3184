import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("Imports")
struct ImporterTests {
  static let customers: JSON = [
    "source_system": "erp", "key": "no",
    "fields": ["kind": ["constant": "organisation"], "name": "name", "tax_number": "vkn", "profile": ["object": ["size": "size"]]],
    "department": "sales",
  ]

  @Test("new, changed and unchanged records are told apart, and a dry run saves nothing")
  func dryRun() async throws {
    let fixture = try await ImportFixture()
    let first = "no,name,vkn,size\n1,Çelik A.Ş.,,10\n2,Işık Ltd.,,20\n3,Ünal,,\n"
    let dry = try await fixture.run(first, "customers", Self.customers, dryRun: true, as: fixture.system)
    #expect(dry.status == .checked && dry.rowsNew == 3 && dry.rowsRefused == 0)
    #expect(dry.summary?["samples"]?["new"]?.array?.count == 3)
    #expect(try await fixture.count("SELECT count(*) FROM crm.customer") == 0)
    #expect(try await fixture.count("SELECT count(*) FROM crm.change WHERE via LIKE 'import:%'") == 0)
    try await fixture.importer.run(dry.id, dryRun: false, as: fixture.system)
    #expect(try await fixture.count("SELECT count(*) FROM crm.customer WHERE search_key IN ('celik a.s.', 'isik ltd.', 'unal')") == 3)

    let second = "no,name,vkn,size\n1,Çelik A.Ş.,,10\n2,Işık Holding,,20\n4,Yeni,,\n"
    let diff = try await fixture.run(second, "customers", Self.customers, dryRun: true, as: fixture.system)
    #expect((diff.rowsNew, diff.rowsChanged, diff.rowsUnchanged) == (1, 1, 1))
    let sample = diff.summary?["samples"]?["changed"]?.array?.first
    #expect(sample?["fields"]?["name"] == ["before": "Işık Ltd.", "after": "Işık Holding"])
    #expect(try await fixture.count("SELECT count(*) FROM crm.customer WHERE name = 'Işık Holding'") == 0)
    try await fixture.importer.run(diff.id, dryRun: false, as: fixture.system)
    #expect(try await fixture.count("SELECT version FROM crm.customer WHERE name = 'Işık Holding'") == 2)
    #expect(try await fixture.count("SELECT count(*) FROM crm.customer") == 4)
    let via = "import:\(diff.id.uuidString.lowercased())"
    let logged = try await fixture.count("SELECT count(*) FROM crm.change WHERE relation = 'customers' AND op = 'update' AND via = \(via)")
    #expect(logged == 1)
  }

  @Test("every bad row is in the error file with its number and reason, and every good one is taken")
  func badRows() async throws {
    let fixture = try await ImportFixture()
    let file = """
      no,name,vkn,size
      1,Good,,1
      2,Too few
      3,Wrong number,1234567891,
      1,Good,,1
      1,Other,,2
      4,"Quoted, with ""quotes""
      and a line feed",,
      5,,,
      ,No key,,
      6,Also good,,
      7,"never closed,,

      """
    let job = try await fixture.run(file, "customers", Self.customers, as: fixture.system)
    #expect(
      try await fixture.faults(job) == [
        .init(row: 3, code: "field-count"), .init(row: 4, code: "customer_tax_number_valid"), .init(row: 5, code: "duplicate-row"),
        .init(row: 6, code: "duplicate-key"), .init(row: 8, code: "required"), .init(row: 9, code: "required"), .init(row: 11, code: "quotes"),
      ])
    #expect(job.rowsRefused == 7 && job.rowsNew == 3 && job.rowsRead == 10)
    #expect(try await fixture.count("SELECT count(*) FROM crm.customer WHERE name = E'Quoted, with \"quotes\"\\nand a line feed'") == 1)
    for (language, reason) in [(Language.english, "neither a valid tax number"), (.turkish, "Geçerli bir VKN")] {
      let text = try await errors(of: job, fixture, language)
      #expect(text.hasPrefix("row,column,value,code,reason\r\n3,"))
      #expect(text.contains(reason))
    }
  }

  private func errors(of job: ImportJob, _ fixture: ImportFixture, _ language: Language) async throws -> String {
    var bytes: [UInt8] = []
    try await ImportErrorFile(database: fixture.door, id: job.id, language: language).write { bytes += $0 }
    return String(decoding: bytes, as: UTF8.self)
  }

  static let orders: JSON = [
    "source_system": "till", "key": "receipt", "time_zone": "Europe/Istanbul", "decimal_comma": true, "department": "sales",
    "fields": [
      "customer_id": ["reference": "customers", "system": "erp", "from": "customer"], "ordered_at": "at", "status": ["constant": "completed"],
      "channel": ["column": "kind", "values": ["mağaza": "store", "web": "online"], "otherwise": "other"],
    ],
    "lines": [
      "fields": [
        "product_id": [
          "reference": "products", "by": "sku", "from": "sku", "if_missing": "create", "create": ["name": ["template": "Unknown {sku}"]],
        ],
        "quantity": "quantity", "amount": "amount",
      ]
    ],
  ]

  static let lines = """
    receipt;customer;at;kind;sku;quantity;amount
    A1;1;2026-01-31 23:30:00;mağaza;X;1;1.234,50
    A1;1;2026-01-31 23:30:00;mağaza;Y;2;0,50
    A2;2;2026-02-01T08:00:00+01:00;web;X;0;0
    A1;1;2026-01-31 23:30:00;mağaza;X;1;1.234,50
    A3;9;2026-02-01 10:00:00;web;X;1;5
    A4;1;2026-02-01 10:00:00;fax;Z;1;many
    A5;1;yesterday;web;X;1;1
    A2;1;2026-02-01T08:00:00+01:00;web;X;1;7
    A4;1;2026-02-01 10:00:00;fax;Z;1;3

    """

  private func withCustomers() async throws -> ImportFixture {
    let fixture = try await ImportFixture()
    _ = try await fixture.run("no,name,vkn,size\n1,Bir,,\n2,İki,,\n", "customers", Self.customers, as: fixture.system)
    return fixture
  }

  @Test("orders are made of their lines: zones, decimal commas, value maps, placeholders; no line is dropped without a word")
  func lines() async throws {
    let fixture = try await withCustomers()
    let job = try await fixture.run(Self.lines, "orders", Self.orders, as: fixture.system)
    #expect(
      try await fixture.faults(job) == [
        .init(row: 5, code: "duplicate-row"), .init(row: 6, code: "not-found"), .init(row: 7, code: "value"), .init(row: 8, code: "value"),
        .init(row: 9, code: "contradiction"),
      ])
    let result = try await fixture.door.read(
      as: fixture.system,
      """
      SELECT o.external_number, o.channel, o.amount::text AS amount, to_char(o.ordered_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') AS at,
        (SELECT string_agg(l.line_number || ' ' || p.name || ' ' || l.amount, ', ' ORDER BY l.line_number) FROM crm.sales_order_line l
          JOIN crm.product p ON p.id = l.product_id AND p.placeholder WHERE l.order_id = o.id AND l.customer_id = o.customer_id) AS lines
      FROM crm.sales_order o ORDER BY 1
      """)
    let rows = try result.rows.map { row in try ["external_number", "channel", "amount", "at", "lines"].map { try row.decode(String.self, $0) } }
    #expect(
      rows == [
        ["A1", "store", "1235.00", "2026-01-31 20:30", "1 Unknown X 1234.50, 2 Unknown Y 0.50"],
        ["A2", "online", "0.00", "2026-02-01 07:00", "1 Unknown X 0.00"],
        ["A4", "other", "3.00", "2026-02-01 07:00", "1 Unknown Z 3.00"],
      ])
    #expect(job.rowsNew == 4 && job.rowsRefused == 5)
    #expect(job.rowsNew + job.rowsChanged + job.rowsUnchanged + job.rowsRefused == job.rowsRead)
    #expect(try await fixture.count("SELECT count(*) FROM crm.sales_order WHERE department_id <> \(fixture.department) OR audience IS NULL") == 0)
  }

  @Test("lines of orders that are there are added, changed and left alone, and totals follow")
  func knownOrders() async throws {
    let fixture = try await withCustomers()
    _ = try await fixture.run(Self.lines, "orders", Self.orders, as: fixture.system)
    let more =
      "receipt;customer;at;kind;sku;quantity;amount\nA1;1;2026-01-31 23:30:00;mağaza;X;1;1.234,50\nA1;1;2026-01-31 23:30:00;mağaza;Y;2;1,50\nA1;1;2026-01-31 23:30:00;mağaza;Z;1;4\n"
    let job = try await fixture.run(more, "orders", Self.orders, as: fixture.system)
    #expect((job.rowsNew, job.rowsChanged, job.rowsUnchanged) == (1, 1, 1))
    #expect(try await fixture.count("SELECT (amount * 100)::bigint FROM crm.sales_order WHERE external_number = 'A1'") == 124_000)
    // Taken back: the order is as it was before the second import.
    try await fixture.importer.undo(job.id, as: fixture.system)
    #expect(try await fixture.count("SELECT (amount * 100)::bigint FROM crm.sales_order WHERE external_number = 'A1'") == 123_500)
    #expect(
      try await fixture.count("SELECT count(*) FROM crm.sales_order_line l JOIN crm.sales_order o ON o.id = l.order_id WHERE o.external_number = 'A1'") == 2)
  }

  @Test("a row that repeats another in quotes is refused as one that repeats it in every letter")
  func quotedRepetition() async throws {
    let fixture = try await withCustomers()
    let file = "receipt;customer;at;kind;sku;quantity;amount\nA1;1;2026-01-31 23:30:00;web;X;1;1\nA1;1;2026-01-31 23:30:00;web;\"X\";1;1\n"
    let job = try await fixture.run(file, "orders", Self.orders, as: fixture.system)
    #expect(try await fixture.faults(job) == [.init(row: 3, code: "duplicate-row")])
  }

  @Test("nothing is made for the sake of rows that are refused")
  func unused() async throws {
    let fixture = try await withCustomers()
    let file = """
      receipt;customer;at;kind;sku;quantity;amount
      A1;1;2026-01-31 23:30:00;web;Good;1;1
      A2;9;2026-01-31 23:30:00;web;Bad;1;1
      A3;1;2026-01-31 23:30:00;web;Good;1;much
      A1;1;2026-02-28 23:30:00;web;Odd;1;1

      """
    let job = try await fixture.run(file, "orders", Self.orders, as: fixture.system)
    #expect(job.rowsRefused == 3 && job.summary?["created"]?["products"] == 1)
    #expect(try await fixture.count("SELECT count(*) FROM crm.product") == 1)
    #expect(try await fixture.count("SELECT count(*) FROM crm.product WHERE sku = 'Good'") == 1)
  }

  @Test("what the file refers to and somebody removes while it is checked makes the import fail whole, and it can be run again")
  func removedMeanwhile() async throws {
    let fixture = try await withCustomers()
    var members = try #require(Self.orders.object)
    members["lines"] = ["fields": ["product_id": ["reference": "products", "by": "sku", "from": "sku"], "quantity": "quantity", "amount": "amount"]]
    let mapping = JSON.object(members)
    try await fixture.door.transaction(as: fixture.system) { tx in
      _ = try await tx.run("INSERT INTO crm.product (sku, name) VALUES ('X', 'X'), ('Y', 'Y')")
    }
    let file = "receipt;customer;at;kind;sku;quantity;amount\nA1;1;2026-01-31 23:30:00;web;X;1;1\nA2;2;2026-01-31 23:30:00;web;Y;1;2\n"
    let dry = try await fixture.run(file, "orders", mapping, dryRun: true, as: fixture.system)
    let problem = await #expect(throws: Problem.self) {
      try await fixture.importer.run(dry.id, dryRun: false, as: fixture.system) { progress in
        guard progress.step == "writing orders" else { return }
        _ = try? await fixture.door.transaction(as: fixture.system) { tx in try await tx.run("DELETE FROM crm.product WHERE sku = 'Y'") }
      }
    }
    #expect(problem?.code == "changed-meanwhile")
    #expect(try await fixture.count("SELECT count(*) FROM crm.sales_order") == 0)
    #expect(try await fixture.count("SELECT count(*) FROM crm.sales_order_line") == 0)
    try await fixture.importer.run(dry.id, dryRun: false, as: fixture.system)
    let done = try await fixture.importer.find(dry.id, as: fixture.system)
    #expect((done.rowsNew, done.rowsRefused) == (1, 1))
  }

  @Test("lines of orders whose rows lie apart are numbered in the order of the file, each with an id of its own")
  func scattered() async throws {
    let fixture = try await withCustomers()
    let rows = (0..<60).map { "R\($0 % 7);\(1 + $0 % 7 % 2);2026-01-31 23:30:00;web;P\($0);1;\($0)" }
    let job = try await fixture.run("receipt;customer;at;kind;sku;quantity;amount\n" + rows.joined(separator: "\n"), "orders", Self.orders, as: fixture.system)
    #expect(job.rowsNew == 60)
    #expect(try await fixture.count("SELECT count(DISTINCT id) FROM crm.sales_order_line") == 60)
    let last = try await fixture.count(
      """
      SELECT l.line_number FROM crm.sales_order_line l JOIN crm.sales_order o ON o.id = l.order_id JOIN crm.product p ON p.id = l.product_id
      WHERE o.external_number = 'R3' AND p.sku = 'P59'
      """)
    #expect(last == 9)
    #expect(try await fixture.count("SELECT sum(cardinality(coalesce(row_ids, ARRAY[row_id])))::int FROM crm.change WHERE relation = 'order_lines'") == 60)
  }

  @Test("undo removes what nobody touched and keeps what a person edited or refers to")
  func undo() async throws {
    let fixture = try await withCustomers()
    let job = try await fixture.run(Self.lines, "orders", Self.orders, as: fixture.system)
    try await fixture.door.transaction(as: fixture.system) { tx in
      try await tx.run("UPDATE crm.sales_order_line SET quantity = 5 WHERE line_number = 2")
    }
    try await fixture.importer.undo(job.id, as: fixture.system)
    let undone = try await fixture.importer.find(job.id, as: fixture.system)
    #expect(undone.status == .undone)
    let counts = undone.summary?["undo"]
    #expect(counts?["orders"] == ["removed": 2, "referred": 1])
    #expect(counts?["order_lines"] == ["removed": 2, "edited": 1, "order_kept": 1])
    #expect(counts?["products"] == ["removed": 1, "referred": 2], "what a kept line refers to is kept")
    #expect(try await fixture.count("SELECT count(*) FROM crm.sales_order") == 1)
    #expect(try await fixture.count("SELECT count(*) FROM crm.sales_order_line") == 2)
    await #expect(throws: Problem.self) { try await fixture.importer.undo(job.id, as: fixture.system) }
  }

  @Test("undo restores what an import changed, unless a person has changed it since")
  func undoChanges() async throws {
    let fixture = try await withCustomers()
    let job = try await fixture.run("no,name,vkn,size\n1,One,,5\n2,Two,,\n", "customers", Self.customers, as: fixture.system)
    try await fixture.door.transaction(as: fixture.system) { tx in _ = try await tx.run("UPDATE crm.customer SET note = 'called' WHERE name = 'Two'") }
    try await fixture.importer.undo(job.id, as: fixture.system)
    let names = try await fixture.door.read(as: fixture.system, "SELECT name FROM crm.customer ORDER BY name").rows.map { try $0.decode(String.self, at: 0) }
    #expect(names == ["Bir", "Two"])
    #expect(try await fixture.importer.find(job.id, as: fixture.system).summary?["undo"]?["customers"] == ["restored": 1, "change_kept": 1])
    #expect(try await fixture.count("SELECT count(*) FROM crm.customer WHERE name = 'Bir' AND profile = '{}'") == 1)
  }

  @Test("NDJSON is taken like CSV, and lines that are no objects are in the error file")
  func ndjson() async throws {
    let fixture = try await ImportFixture()
    let file = """
      {"no": 1, "name": "Bir", "size": "5"}
      {"no": 2, "name": "İki",
      ["no", 3]
      {"no": "4", "name": "Dört\\n\\"tırnak\\"", "extra": {"a": 1}}

      """
    let job = try await fixture.run(file, "customers", Self.customers, as: fixture.system)
    #expect(try await fixture.faults(job) == [.init(row: 2, code: "not-json"), .init(row: 3, code: "not-json")])
    #expect(job.rowsNew == 2)
    #expect(
      try await fixture.count("SELECT count(*) FROM crm.customer WHERE name = E'Dört\\n\"tırnak\"' OR name = 'Bir' AND profile = '{\"size\": \"5\"}'") == 2)
  }

  @Test("a wrong mapping is answered with every mistake, its place and the nearest name")
  func wrongMapping() async throws {
    let fixture = try await ImportFixture()
    let wrong: JSON = [
      "source_system": "erp", "key": "no", "department": "sales", "filds": [:],
      "fields": ["nmae": "name", "kind": ["constant": "firm"], "owner_id": ["reference": "customers", "by": "name", "from": "x"]],
    ]
    let first = await #expect(throws: Problem.self) {
      try await fixture.importer.create(resource: "customers", mapping: wrong, fileName: nil, as: fixture.system)
    }
    #expect(first?.errors.map(\.pointer) == ["/filds"])
    #expect(first?.errors.first?.message.english.contains("fields") == true)
    let second: JSON = ["source_system": "erp", "key": "no", "department": "sales", "fields": ["nmae": "name", "kind": ["constant": "firm"]]]
    let problem = await #expect(throws: Problem.self) {
      try await fixture.importer.create(resource: "customers", mapping: second, fileName: nil, as: fixture.system)
    }
    #expect(problem?.status == 422)
    #expect(problem?.errors.map(\.pointer).sorted() == ["/mapping/fields/kind", "/mapping/fields/name", "/mapping/fields/nmae"])
    #expect(problem?.errors.contains { $0.message.english.contains("\"name\"") } == true)
    let file = await #expect(throws: Problem.self) {
      try await fixture.run("no,nane,vkn,size\n1,Bir,,\n", "customers", Self.customers, as: fixture.system)
    }
    #expect(file?.errors.contains { $0.code == "unknown-column" && $0.message.english.contains("\"nane\"") && $0.message.turkish.contains("\"nane\"") } == true)
    let resource = await #expect(throws: Problem.self) {
      try await fixture.importer.create(resource: "custmers", mapping: Self.customers, fileName: nil, as: fixture.system)
    }
    #expect(resource?.errors.first?.message.english.contains("customers") == true)
  }

  @Test("categories come from a path, products by their own number; contacts follow their customer")
  func otherResources() async throws {
    let fixture = try await withCustomers()
    let products: JSON = [
      "match": "sku",
      "fields": ["sku": "code", "name": "name", "category_id": ["reference": "product_categories", "path": ["a", "b"], "if_missing": "create"]],
    ]
    let job = try await fixture.run("code,name,a,b\n1,Elma,Gıda,Meyve\n2,Ekmek,Gıda,\n1,Armut,Gıda,Meyve\n", "products", products, as: fixture.system)
    #expect(try await fixture.faults(job) == [.init(row: 4, code: "duplicate-key")])
    let codes = try await fixture.door.read(as: fixture.system, "SELECT code FROM crm.product_category ORDER BY code").rows.map {
      try $0.decode(String.self, at: 0)
    }
    #expect(codes == ["Gıda", "Gıda › Meyve"])
    let contacts: JSON = [
      "source_system": "erp", "key": ["no", "name"],
      "fields": ["customer_id": ["reference": "customers", "system": "erp", "from": "no"], "name": "name", "job_title": "title"],
    ]
    let people = try await fixture.run("no,name,title\n1,Ayşe,Müdür\n9,Kimse,\n", "contacts", contacts, as: fixture.system)
    #expect(try await fixture.faults(people) == [.init(row: 3, code: "not-found")])
    #expect(try await fixture.count("SELECT count(*) FROM crm.contact WHERE name = 'Ayşe' AND department_id = \(fixture.department)") == 1)
    let locations: JSON = ["match": "code", "fields": ["code": "code", "name": "name", "time_zone": ["constant": "Europe/Istanbul"]]]
    let places = try await fixture.run("code,name\n34,İstanbul\n06,Ankara\n", "locations", locations, as: fixture.system)
    #expect(places.rowsNew == 2)
  }

  @Test("custom fields are imported as what they are, and refused when they are not")
  func customFields() async throws {
    let fixture = try await ImportFixture()
    try await fixture.door.transaction(as: fixture.system) { tx in
      _ = try await tx.run(
        """
        INSERT INTO crm.custom_field (resource, name, type, label_en, label_tr, options) VALUES ('customers', 'score', 'number', 'Score', 'Puan', NULL),
          ('customers', 'since', 'date', 'Since', 'Beri', NULL), ('customers', 'tier', 'choice', 'Tier', 'Düzey', '{gold,silver}'),
          ('customers', 'likes', 'choices', 'Likes', 'Sevdikleri', '{tea,coffee}')
        """)
    }
    func mapping(_ score: String) -> JSON {
      [
        "source_system": "erp", "key": "no", "department": "sales",
        "fields": [
          "kind": ["constant": "person"], "name": "name",
          "custom": ["object": .object([score: "score", "since": "since", "tier": "tier", "likes": "likes"])],
        ],
      ]
    }
    let file = """
      no,name,score,since,tier,likes
      1,Bir,4.50,2026-01-31,gold,tea;coffee
      2,İki,many,2026-01-31,gold,
      3,Üç,1,soon,gold,
      4,Dört,1,,bronze,
      5,Beş,,,,tea;beer
      6,Altı,,,,

      """
    let job = try await fixture.run(file, "customers", mapping("score"), as: fixture.system)
    #expect(try await fixture.faults(job) == [2, 3, 4, 5].map { .init(row: $0 + 1, code: "value") })
    let custom = try await fixture.door.read(as: fixture.system, "SELECT custom FROM crm.customer ORDER BY name").rows.map {
      try $0.decode(JSONText.self, at: 0).text
    }
    #expect(custom == ["{}", #"{"tier": "gold", "likes": ["tea", "coffee"], "score": 4.50, "since": "2026-01-31"}"#])
    let wrong = await #expect(throws: Problem.self) {
      try await fixture.importer.create(resource: "customers", mapping: mapping("scroe"), fileName: nil, as: fixture.system)
    }
    #expect(wrong?.errors.first?.message.english.contains("\"score\"") == true)
  }
}
