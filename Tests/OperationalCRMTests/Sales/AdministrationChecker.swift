import Foundation
import MuhatapTestKit
import OperationalCRM
import Testing

/// The revenue administration's own schema, schematron and code lists, as the independent `efatura-kontrol` carries them.
enum AdministrationChecker {
  /// What it finds wrong; empty when every document is valid without a warning.
  static func findings(_ documents: [EInvoiceDocument]) async throws -> String {
    let folder = FileManager.default.temporaryDirectory.appending(path: "muhatap-einvoices-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    for document in documents { try document.ubl().write(to: folder.appending(path: "\(document.number).xml")) }
    let checked = try await Command(try await python(), ["Tests/clients/einvoice.py", folder.path()]).output()
    #expect(checked.standardOutput.contains("\(documents.count) documents checked"), "\(checked.standardError.suffix(2_000))")
    return checked.exitCode == 0 ? "" : checked.standardOutput + checked.standardError.suffix(2_000)
  }

  /// The codes of one of its lists.
  static func codes(_ list: String) async throws -> Set<String> {
    let printing = "import sys; from efatura_kontrol import kod; print('\\n'.join(kod.liste(sys.argv[1], None)['degerler']))"
    let text = try await Command(try await python(), ["-c", printing, list]).run()
    return Set(text.split(separator: "\n").map(String.init))
  }

  private static func python() async throws -> String {
    try await Command("scripts/python", []).run().trimmingCharacters(in: .whitespacesAndNewlines)
  }
}
