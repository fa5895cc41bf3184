import Foundation
import MuhatapTestKit
import Testing

@Suite("The API as its own document describes it")
struct SchemathesisTests {
  /// What is left out: `positive_data_acceptance`, because a reference to a record that does not exist fits the schema and is refused all the same.
  private static let arguments = [
    "--phases", "examples,coverage,fuzzing", "--max-examples", "2", "--seed", "20171231", "--workers", "2", "--continue-on-failure",
    "--exclude-checks", "positive_data_acceptance", "--generation-database", "none", "--no-color",
  ]

  @Test("schemathesis finds no 5xx and no answer that the OpenAPI document does not describe", .timeLimit(.minutes(10)))
  func conformance() async throws {
    let server = try await TestServer.suite()
    let python = try await Command("scripts/python", []).run().trimmingCharacters(in: .whitespacesAndNewlines)
    let schemathesis = URL(filePath: python).deletingLastPathComponent().appending(path: "schemathesis").path
    let folder = FileManager.default.temporaryDirectory.appending(path: "muhatap-schemathesis-\(UUID().uuidString)").path
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let key = try await server.key(of: "deniz")
    func run() async throws -> Command.Output {
      try await Command(
        schemathesis,
        ["run", "\(server.address)/openapi.json", "--header", "Authorization: Bearer \(key)", "--report-dir", folder] + Self.arguments
      ).output()
    }
    var found = try await run()
    // An error of the checker's own (a connection it lost, say) is no finding and hides none: it is asked once more.
    // What it said goes into the log as a warning, so that its cause is not lost.
    if found.standardOutput.contains("Runtime Error"), !found.standardOutput.contains("Failures:") {
      let said = found.standardOutput.range(of: "= ERRORS =").map { String(found.standardOutput[$0.lowerBound...].prefix(2_000)) }
      Issue.record("schemathesis fell over itself and was asked again: \(said ?? "no reason given")", severity: .warning)
      found = try await run()
    }
    #expect(found.exitCode == 0, "\(found.standardOutput.suffix(8_000))\(found.standardError)")
    #expect(found.standardOutput.contains("Test cases:"))
  }
}
