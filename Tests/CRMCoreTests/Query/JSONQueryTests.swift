import Foundation
import MuhatapTestKit
import Testing

@testable import CRMCore

@Suite("Queries in JSON")
struct JSONQueryTests {
  private func query(_ text: String) throws -> Query { try Query(json: try JSONDecoder().decode(JSON.self, from: Data(text.utf8))) }

  @Test("the JSON spelling means the same as the URL's")
  func sameMeaning() throws {
    let json = try query(#"{"filter": {"stage": "won", "amount": {"gte": 1000.5, "lt": 2000}, "note": null, "city": ["x", "y"]}, "order": ["-created_at"]}"#)
    #expect(
      json.filter
        == .all([
          .compare(FieldPath("amount"), .greaterOrEqual, .value("1000.5")), .compare(FieldPath("amount"), .less, .value("2000")),
          .compare(FieldPath("city"), .in, .list(["x", "y"])), .compare(FieldPath("note"), .is, .value("null")),
          .compare(FieldPath("stage"), .equal, .value("won")),
        ]))
    #expect(json.order == [Query.Order(field: FieldPath("created_at"), descending: true)])
  }

  @Test("or, and and not nest")
  func nesting() throws {
    let filter = try query(#"{"filter": {"or": [{"a": 1}, {"not": {"b": {"not": {"eq": 2}}}}]}}"#).filter
    #expect(
      filter
        == .any([
          .compare(FieldPath("a"), .equal, .value("1")), .not(.not(.all([.compare(FieldPath("b"), .equal, .value("2"))]))),
        ]))
  }

  @Test("money keeps its digits")
  func digits() throws {
    #expect(try query(#"{"filter": {"a": 1234567890123456.78}}"#).filter == .compare(FieldPath("a"), .equal, .value("1234567890123456.78")))
  }

  @Test(
    "what cannot be read is a 400 with a pointer to it",
    arguments: [
      (#"[]"#, ""), (#"{"filter": 1}"#, "/filter"), (#"{"filter": {"a": {"gt": [1]}}}"#, "/filter/a/gt"), (#"{"filter": {"or": {}}}"#, "/filter/or"),
      (#"{"filter": {"a": {"gtt": 1}}}"#, "/filter/a/gtt"), (#"{"fliter": {}}"#, "/fliter"), (#"{"order": "a"}"#, "/order"), (#"{"limit": "5"}"#, "/limit"),
      (#"{"filter": {"a": {"in": 5}}}"#, "/filter/a/in"), (#"{"count": 1}"#, "/count"),
    ])
  func malformed(text: String, pointer: String) {
    let problem = #expect(throws: Problem.self) { _ = try query(text) }
    #expect(problem?.status == 400)
    #expect(problem?.errors.first?.pointer == pointer)
  }

  @Test(
    "what does not fit the resource is a 400 with a pointer to the place in the body",
    arguments: [
      (#"{"filter": {"nmae": "a"}}"#, "/filter/nmae"), (#"{"filter": {"or": [{"name": "a"}, {"version": {"gte": "x"}}]}}"#, "/filter/or/1/version/gte"),
      (#"{"filter": {"parent.nmae": "a"}}"#, "/filter/parent.nmae"), (#"{"filter": {"contacts.nmae": "a"}}"#, "/filter/contacts.nmae"),
      (#"{"filter": {"not": {"kind": "persn"}}}"#, "/filter/not/kind"), (#"{"filter": {"version": {"contains": "1"}}}"#, "/filter/version/contains"),
      (#"{"filter": {"kind": {"not": {"is": "maybe"}}}}"#, "/filter/kind/not/is"), (#"{"filter": {"custom.nothing": 1}}"#, "/filter/custom.nothing"),
      (#"{"order": ["name", "-nmae"]}"#, "/order/1"), (#"{"order": ["profile"]}"#, "/order/0"), (#"{"select": ["id", "nmae"]}"#, "/select/1"),
      (#"{"select": []}"#, "/select"), (#"{"select": [1]}"#, "/select/0"), (#"{"expand": ["parent", "orderz"]}"#, "/expand/1"),
      (#"{"search": ""}"#, "/search"), (#"{"cursor": "AAAA"}"#, "/cursor"), (#"{"limit": 0}"#, "/limit"), (#"{"filter": {"a/b": 1}}"#, "/filter/a~1b"),
    ])
  func unfit(text: String, pointer: String) async throws {
    let api = try await TestAPI.suite()
    let answer = try await api.send(.post, "/v1/customers/query", body: Array(text.utf8))
    #expect(answer.status == 400)
    #expect(try answer.json()["errors"]?.array?.first?["pointer"]?.string == pointer)
    #expect(try answer.json()["errors"]?.array?.first?["parameter"] == nil)
  }

  @Test("in the URL the parameter is named instead")
  func parameters() async throws {
    let api = try await TestAPI.suite()
    for (name, value) in [("nmae", "eq.a"), ("order", "nmae"), ("select", "id,nmae"), ("expand", "orderz"), ("cursor", "AAAA"), ("version", "gte.x")] {
      let answer = try await api.send(.get, "/v1/customers", [(name: name, value: value)], body: nil)
      #expect(answer.status == 400)
      #expect(try answer.json()["errors"]?.array?.first?["parameter"]?.string == name)
    }
  }
}
