import CRMCore
import Foundation
import PostgresClient
import Testing

private enum Speed: String, CaseIterable { case slow, fast }

private struct Parcel: OperationInput {
  struct Item: OperationInput {
    let name: String
    let count: Int

    init(_ fields: inout InputReader) {
      name = fields.text("name", "What it is.", maximum: 10)
      count = fields.integer("count", "How many.", in: 1...100)
    }
  }

  let id: UUID
  let day: CalendarDate?
  let sentAt: Date?
  let weight: Decimal
  let speed: Speed?
  let fragile: Bool
  let note: String?
  let tags: [UUID]
  let items: [Item]

  init(_ fields: inout InputReader) {
    id = fields.id("id", "Which.")
    day = fields.optionalDay("day", "When it shall be there.")
    sentAt = fields.optionalInstant("sent_at", "When it left.")
    weight = fields.decimal("weight", "Kilograms.", scale: 3, in: 0...1000)
    speed = fields.optionalOption("speed", "How fast.", of: Speed.self)
    fragile = fields.flag("fragile", "Whether it breaks.")
    note = fields.optionalText("note", "Anything else.", maximum: 5)
    tags = fields.ids("tags", "Labels.", maximum: 2)
    items = fields.list("items", "What is in it.", of: Item.self, minimum: 1, maximum: 3)
  }
}

@Suite("Fields of operations")
struct InputReaderTests {
  private static let id = "0192f3a4-5b6c-7d8e-9fa0-b1c2d3e4f5a6"
  private static let least: [String: JSON] = ["id": .string(id), "weight": "1.250", "items": [["name": "çay", "count": 2]]]

  private func read(_ changes: [String: JSON]) throws -> Parcel {
    try InputReader.read(Parcel.self, from: .object(Self.least.merging(changes) { $1 }))
  }

  @Test("what fits is read exactly, and what is left out is nil, false or empty")
  func fits() throws {
    let parcel = try read([:])
    #expect(parcel.id == UUID(uuidString: Self.id) && parcel.weight == Decimal(string: "1.25") && parcel.items.map(\.name) == ["çay"])
    #expect(parcel.day == nil && parcel.sentAt == nil && parcel.speed == nil && !parcel.fragile && parcel.note == nil && parcel.tags.isEmpty)
    let full = try read([
      "day": "2026-02-28", "sent_at": "2026-02-27T10:00:00.5+03:00", "speed": "fast", "fragile": true, "note": "abcde", "tags": [.string(Self.id)], "weight": 7,
    ])
    #expect(full.day == CalendarDate(year: 2026, month: 2, day: 28) && full.speed == .fast && full.fragile && full.note == "abcde" && full.weight == 7)
    #expect(full.sentAt == Date(timeIntervalSince1970: 1_772_175_600.5) && full.tags.count == 1)
  }

  @Test(
    "each kind of mistake is named by its field",
    arguments: [
      (["id": "17"], "/id", "type"), (["id": nil], "/id", "required"), (["day": "2026-02-30"], "/day", "type"), (["sent_at": "yesterday"], "/sent_at", "type"),
      (["weight": "1.2345"], "/weight", "type"), (["weight": "1001"], "/weight", "range"), (["weight": "NaN"], "/weight", "type"),
      (["weight": "1e3"], "/weight", "type"), (["speed": "warp"], "/speed", "option"), (["fragile": "true"], "/fragile", "type"),
      (["note": "abcdef"], "/note", "too-long"), (["note": "a\u{0}"], "/note", "nul-character"), (["tags": "x"], "/tags", "type"),
      (["tags": ["x"]], "/tags", "type"),
      (["items": []], "/items", "type"), (["items": [1]], "/items/0", "type"), (["items": [["name": " ", "count": 1]]], "/items/0/name", "required"),
      (["items": [["name": "a", "count": 0]]], "/items/0/count", "range"),
      (["items": [["name": "a", "count": 1, "cuont": 1]]], "/items/0/cuont", "unknown-field"),
      (["wieght": "1"], "/wieght", "unknown-field"),
    ] as [([String: JSON], String, String)])
  func mistakes(changes: [String: JSON], pointer: String, code: String) throws {
    let problem = try #require(throws: Problem.self) { try read(changes) }
    #expect(problem.status == 422 && problem.errors.map(\.pointer) == [pointer] && problem.errors.map(\.code) == [code], "\(problem.errors)")
  }

  @Test("all mistakes are answered at once")
  func together() throws {
    let problem = try #require(throws: Problem.self) {
      try InputReader.read(Parcel.self, from: ["day": 1, "items": [["name": "far too long a name"]], "x": 1])
    }
    #expect(problem.errors.map(\.pointer).sorted() == ["/day", "/id", "/items/0/count", "/items/0/name", "/weight", "/x"])
    #expect(try #require(throws: Problem.self) { try InputReader.read(Parcel.self, from: [1]) }.errors.map(\.pointer) == [""])
  }

  @Test("in an address, numbers and truth values stand without quotes, and a mistake names its parameter")
  func query() throws {
    struct Page: OperationInput {
      let size: Int
      let all: Bool
      init(_ fields: inout InputReader) {
        size = fields.optionalInteger("size", "How many.", in: 1...10) ?? 5
        all = fields.flag("all", "Whether all.")
      }
    }
    let page = try InputReader.read(Page.self, from: [("size", "7"), ("all", "true")])
    #expect(page.size == 7 && page.all)
    let problem = try #require(throws: Problem.self) { try InputReader.read(Page.self, from: [("size", "11")]) }
    #expect(problem.status == 400 && problem.code == "bad-parameter" && problem.errors.map(\.pointer) == ["size"])
  }

  @Test("the fields describe themselves: every one with its type, limits and meaning, and which are required")
  func schema() throws {
    let schema = InputReader.schema(of: Parcel.self)
    #expect(schema["required"] == ["id", "weight", "items"] && schema["additionalProperties"] == false)
    #expect(schema["properties"]?["speed"]?["enum"] == ["slow", "fast", nil] && schema["properties"]?["note"]?["type"] == ["string", "null"])
    #expect(schema["properties"]?["items"]?["items"]?["properties"]?["count"]?["maximum"] == 100)
    #expect(schema["properties"]?["weight"]?["description"] == "Kilograms.")
  }
}
