import CRMCore
import Foundation
import MuhatapTestKit
import Testing

/// Who kept a copy of a record from the change feed hears that it went out of their sight, and nothing about what became of it.
@Suite struct OutOfSightTests {
  @Test func `a record moved to fewer readers is told to those who lost it, without its values`() async throws {
    let server = try await TestServer.suite()
    let made = try await server.send(.post, "/v1/customers", as: "ayse", json: ["kind": "person", "name": "Açık", "visibility": "company"])
    let id = try #require(try made.json()["id"]?.string)
    let seen = try await changes(of: id, after: nil, as: "mehmet", server)
    #expect(seen.changes.map { $0["op"]?.string } == ["insert"])

    let note: JSON = ["visibility": "private", "note": "kimse görmesin"]
    #expect(try await server.send(.patch, "/v1/customers/\(id)", as: "ayse", json: note).status == 200)
    let after = try await changes(of: id, after: seen.cursor, as: "mehmet", server)
    #expect(after.changes.count == 1 && after.changes.first?["op"] == "update", "\(after.changes)")
    #expect(after.changes.first?["before"] == [:] && after.changes.first?["after"] == [:], "\(after.changes)")
    #expect(try await server.send(.get, "/v1/customers/\(id)", as: "mehmet").status == 404)
    #expect(try await server.send(.get, "/v1/customers/\(id)/history", as: "mehmet").status == 404)

    // What follows is none of their business any more.
    #expect(try await server.send(.patch, "/v1/customers/\(id)", as: "ayse", json: ["note": "hâlâ"]).status == 200)
    #expect(try await changes(of: id, after: after.cursor, as: "mehmet", server).changes.isEmpty)
    let history = try await server.send(.get, "/v1/customers/\(id)/history", as: "ayse").json()["data"]?.array
    #expect(history?.map { $0["op"]?.string } == ["update", "update", "insert"])
    #expect(history?.allSatisfy { $0["after"] != [:] } == true)
  }

  @Test func `a record opened to more readers, or changed otherwise, is told once`() async throws {
    let server = try await TestServer.suite()
    let made = try await server.send(.post, "/v1/customers", as: "ayse", json: ["kind": "person", "name": "Gizli", "visibility": "private"])
    let id = try #require(try made.json()["id"]?.string)
    for change in [["note": "x"], ["visibility": "company"]] as [JSON] {
      #expect(try await server.send(.patch, "/v1/customers/\(id)", as: "ayse", json: change).status == 200)
    }
    #expect(try await changes(of: id, after: nil, as: "ayse", server).changes.map { $0["op"]?.string } == ["insert", "update", "update"])
    #expect(try await changes(of: id, after: nil, as: "mehmet", server).changes.map { $0["op"]?.string } == ["update"])
  }

  /// All changes of a record that somebody is shown behind a cursor, and the cursor behind them. The feed stays behind running transactions, so that
  /// it may take a moment.
  private func changes(of id: String, after: String?, as person: String, _ server: TestServer) async throws -> (changes: [JSON], cursor: String?) {
    let marker = try await server.send(.post, "/v1/customers", as: "ayse", json: ["kind": "person", "name": "İşaret", "visibility": "company"])
    let last = try #require(try marker.json()["id"]?.string)
    var found: [JSON] = []
    var cursor = after
    let deadline = ContinuousClock.now + .seconds(180)
    while ContinuousClock.now < deadline {
      let page = try await server.send(.get, "/v1/changes?limit=1000" + (cursor.map { "&after=\($0)" } ?? ""), as: person).json()
      let data = page["data"]?.array ?? []
      found += data.filter { $0["id"]?.string == id }
      cursor = page["next_cursor"]?.string ?? cursor
      if data.contains(where: { $0["id"]?.string == last }) { break }
      if data.isEmpty { try await Task.sleep(for: .milliseconds(50)) }
    }
    return (found, cursor)
  }
}
