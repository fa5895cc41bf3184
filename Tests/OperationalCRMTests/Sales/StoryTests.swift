import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("The story of a sale")
struct StoryTests {
  @Test("from the first meeting to the e-invoice and the turnover, by five departments, and every answer is as the API's document says")
  func story() async throws {
    let server = try await TestServer.start()
    let folder = FileManager.default.temporaryDirectory.appending(path: "muhatap-story-\(UUID().uuidString)")
    let log = folder.appending(path: "log")
    try FileManager.default.createDirectory(at: log, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    var keys: [String: String] = [:]
    for person in ["ayse", "emre", "fatma", "elif", "zeynep"] { keys["\(person)@carsi.example"] = try await server.key(of: person) }
    let file = folder.appending(path: "keys.json")
    try JSONEncoder().encode(["keys": keys]).write(to: file)

    let told = try await Command("demo/story", [server.address, file.path()], environment: ["STORY_LOG": log.path()]).output()
    #expect(told.exitCode == 0, "\(told.standardOutput.suffix(3_000))\n\(told.standardError.suffix(3_000))")
    #expect(told.standardOutput.contains("is issued: 141.550,00 ₺"))

    let document = folder.appending(path: "openapi.json")
    try Data(try await server.send(.get, "/openapi.json", as: nil).bytes).write(to: document)
    let python = try await Command("scripts/python", []).run().trimmingCharacters(in: .whitespacesAndNewlines)
    let checked = try await Command(python, ["Tests/clients/story.py", document.path(), log.path()]).output()
    #expect(checked.exitCode == 0, "\(checked.standardOutput.prefix(6_000))\(checked.standardError.suffix(2_000))")

    let wrong = try await server.database.admin.execute(
      [
        "SELECT 'turnover' AS name FROM crm.turnover_invariants() UNION ALL SELECT 'numbers' FROM crm.invoice_number_violations() UNION ALL SELECT 'sales' FROM crm.sales_invariants()"
      ], context: .init(readOnly: false), deadline: .after(.seconds(60)))
    #expect(wrong[0].count == 0)
  }
}
