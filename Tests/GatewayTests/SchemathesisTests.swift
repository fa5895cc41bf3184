import Foundation
import MuhatapTestKit
import Testing

@Suite("The API as its own document describes it")
struct SchemathesisTests {
  /// What is left out: `positive_data_acceptance`, because a reference to a record that does not exist fits the schema and is refused all the
  /// same; schemathesis.toml says more for those who run it by hand.
  /// One worker: Python 3.11 counts the depth of `ast.parse` for all threads together, so that two of them now and then end in a
  /// `SystemError` ("AST constructor recursion depth mismatch", python/cpython#106905), which schemathesis reports as a Runtime Error.
  private static let arguments = [
    "--phases", "examples,coverage,fuzzing,stateful", "--max-examples", "2", "--seed", "20171231", "--workers", "1", "--continue-on-failure",
    "--exclude-checks", "positive_data_acceptance", "--generation-database", "none", "--no-color",
    // How long an answer takes beside the other tests is no question of conformance, and schemathesis gives up after ten seconds.
    "--request-timeout", "60",
    // Answers that never end, also as a WebSocket: they have tests of their own.
    "--exclude-path-regex", #"^/v1/(chats/\{chat\}/)?events$"#,
  ]

  @Test("schemathesis finds no 5xx and no answer that the OpenAPI document does not describe", .timeLimit(.minutes(60)))
  func conformance() async throws {
    let server = try await TestServer.suite()
    let python = try await Command("scripts/python", []).run().trimmingCharacters(in: .whitespacesAndNewlines)
    let schemathesis = URL(filePath: python).deletingLastPathComponent().appending(path: "schemathesis").path
    let folder = FileManager.default.temporaryDirectory.appending(path: "muhatap-schemathesis-\(UUID().uuidString)").path
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let key = try await server.key(of: "deniz")
    let found = try await Command(
      schemathesis,
      ["run", "\(server.address)/openapi.json", "--header", "Authorization: Bearer \(key)", "--report-dir", folder] + Self.arguments
    ).output()
    // What failed, without the long list of warnings behind it.
    let report = found.standardOutput.components(separatedBy: "= WARNINGS =")
    #expect(found.exitCode == 0, "\(report[0].suffix(8_000))\(report.last?.suffix(1_000) ?? "")\(found.standardError)")
    #expect(found.standardOutput.contains("Test cases:"))
  }
}
