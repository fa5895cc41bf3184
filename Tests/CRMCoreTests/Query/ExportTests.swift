import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

/// One after the other, because one of them adds a row between the list and the export of another.
@Suite("Exports", .serialized)
struct ExportTests {
  /// Reads RFC 4180: records of fields; nil for an empty cell without quotes.
  private func parse(csv text: String) -> [[String?]] {
    var records: [[String?]] = []
    var record: [String?] = []
    var field: String?
    var inQuotes = false
    let bytes = Array(text.unicodeScalars)
    var index = 0
    while index < bytes.count {
      let scalar = bytes[index]
      if inQuotes {
        if scalar == "\"", index + 1 < bytes.count, bytes[index + 1] == "\"" {
          field?.append("\"")
          index += 1
        } else if scalar == "\"" {
          inQuotes = false
        } else {
          field?.unicodeScalars.append(scalar)
        }
      } else if scalar == "\"" {
        inQuotes = true
        field = field ?? ""
      } else if scalar == "," || scalar == "\r" {
        record.append(field)
        field = nil
        if scalar == "\r" {
          records.append(record)
          record = []
          index += 1
        }
      } else {
        field = (field ?? "") + String(scalar)
      }
      index += 1
    }
    return records
  }

  @Test("an export as NDJSON is the list, row by row", arguments: ["orders", "customers", "contacts", "products", "order_lines", "users"])
  func ndjson(resource: String) async throws {
    let api = try await TestAPI.suite()
    let list = try await api.send(.get, "/v1/\(resource)", ["order": "id", "limit": "1000"]).rows()
    let export = try await api.send(.get, "/v1/\(resource)/export")
    #expect(export.status == 200 && export.headers["content-type"] == "application/x-ndjson")
    #expect(export.headers["content-disposition"] == "attachment; filename=\"\(resource).ndjson\"")
    let rows = try export.text.split(separator: "\n").map { try JSONDecoder().decode(JSON.self, from: Data($0.utf8)) }
    #expect(rows == list && !list.isEmpty)
    #expect(export.text.hasSuffix("\n"))
  }

  @Test(
    "an export as CSV holds the same values, with commas, quotes, line ends and missing values told apart",
    arguments: ["orders", "customers", "contacts", "products", "order_lines"])
  func csv(resource: String) async throws {
    let api = try await TestAPI.suite()
    _ = try await WriteTests.customer(api, ["name": "a,\"b\"\r\nc\n", "note": ""])
    let list = try await api.send(.get, "/v1/\(resource)", ["order": "id", "limit": "1000"])
    let export = try await api.send(.get, "/v1/\(resource)/export", ["format": "csv"])
    #expect(export.headers["content-type"] == "text/csv; charset=utf-8")
    let records = parse(csv: export.text)
    let rows = try list.rows()
    #expect(records.count == rows.count + 1)
    let header = records[0].map { $0 ?? "" }
    for (row, record) in zip(rows, records.dropFirst()) {
      #expect(record.count == header.count)
      for (name, cell) in zip(header, record) {
        switch row[name] {
        case .null, nil: #expect(cell == nil, "\(name)")
        case .string(let text): #expect(cell == text, "\(name)")
        case .number(let number): #expect(cell == "\(number)", "\(name)")
        case .bool(let flag): #expect(cell == "\(flag)", "\(name)")
        case .object, .array: #expect(try JSONDecoder().decode(JSON.self, from: Data((cell ?? "").utf8)) == row[name], "\(name)")
        }
      }
    }
    #expect(Set(header) == Set(rows.first?.object?.keys.map { $0 } ?? []))
  }

  @Test("filters, search and select narrow an export; what makes no sense for it is refused")
  func narrowed() async throws {
    let api = try await TestAPI.suite()
    let list = try await api.send(
      .get, "/v1/orders", ["status": "eq.placed", "search": "isik", "select": "id,amount,customer.name", "order": "id", "limit": "1000"]
    ).rows()
    let export = try await api.send(.get, "/v1/orders/export", ["status": "eq.placed", "search": "isik", "select": "id,amount,customer.name"])
    #expect(try export.text.split(separator: "\n").map { try JSONDecoder().decode(JSON.self, from: Data($0.utf8)) } == list && !list.isEmpty)
    for (name, value) in [
      ("format", "xml"), ("order", "amount"), ("expand", "customer"), ("cursor", "x"), ("count", "exact"), ("limit", "5"), ("statuss", "eq.placed"),
      ("status", "eq.x"), ("select", "nothing"),
    ] {
      #expect(try await api.send(.get, "/v1/orders/export", [name: value]).status == 400, "\(name)")
    }
    #expect(try await api.send(.get, "/v1/orders/export", as: "emre").status == 403)
  }

  @Test("an empty export is an empty file, or a header alone")
  func empty() async throws {
    let api = try await TestAPI.suite()
    #expect(try await api.send(.get, "/v1/orders/export", ["note": "eq.nothing"]).bytes.isEmpty)
    #expect(try await api.send(.get, "/v1/orders/export", ["note": "eq.nothing", "format": "csv", "select": "id,note"]).text == "id,note\r\n")
  }

  @Test("an export longer than one piece has every row once, as its caller sees them")
  func pieces() async throws {
    let api = try await TestAPI.start()
    try await api.behind(
      "INSERT INTO crm.customer (kind, name, department_id, visibility) SELECT 'person', 'Çok ' || i, (SELECT id FROM crm.department WHERE code = 'sales'), CASE WHEN i % 2 = 0 THEN 'company' ELSE 'department' END FROM generate_series(1, 4100) i"
    )
    for (person, visible) in [("ayse", 4_100), ("zeynep", 2_050)] {
      let export = try await api.send(.get, "/v1/customers/export", ["name": "starts.Çok", "select": "id", "format": "csv"], as: person)
      let ids = export.text.split(separator: "\r\n").dropFirst()
      #expect(ids.count == visible && Set(ids).count == visible)
    }
    let count = try await api.send(.get, "/v1/customers", ["name": "starts.Çok", "count": "exact", "limit": "1"], as: "zeynep")
    #expect(try count.json()["count"] == 2050)
  }
}
