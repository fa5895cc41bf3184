import Crypto
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@testable import CRMCore
@testable import CollaborativeCRM

@Suite("The export of a person as one archive")
struct PersonArchiveTests {
  private struct Entry: Decodable {
    let name: String
    let size: Int
    let sha256: String
    let text: String?
  }

  /// What Python's reader finds in an archive.
  private func entries(_ archive: [UInt8], offset: Int = 0) async throws -> [Entry] {
    let file = FileManager.default.temporaryDirectory.appending(path: "muhatap-archive-\(UUID().uuidString).zip")
    defer { try? FileManager.default.removeItem(at: file) }
    try Data(archive).write(to: file)
    let read = try await Command("python3", ["Tests/clients/archive.py", file.path(), "\(offset)"]).output()
    try #require(read.exitCode == 0, "\(read.standardError.suffix(2_000))")
    return try JSONDecoder().decode([Entry].self, from: Data(read.standardOutput.utf8))
  }

  private func hash(_ bytes: [UInt8]) -> String { SHA256.hash(data: bytes).map { String(format: "%02x", $0) }.joined() }

  @Test("holds the export in both forms and every file once, with its bytes, and each is a step of the request")
  func whole() async throws {
    let f = PrivacyFixture(api: try await TestAPI.suite())
    let person = try await f.person("Arşivli Kişi", email: "arsivli@posta.example")
    let other = try await f.person("Başka Kişi")
    // As many bytes as several pieces and blocks have, of which no run is like another test's.
    let photo = Array("\(UUID())".utf8) + (0..<200_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    let letter = Array("mektup \(UUID())".utf8)
    let folder = FileFolder()
    for content in [photo, letter] { _ = try await folder.store(content) }
    let gone = hash(Array("\(UUID())".utf8))
    let long = String(repeating: "ğ", count: 250) + ".pdf"
    for (owner, name, sha256) in [
      (person, "Fotoğraf:1.png", hash(photo)), (person, "aynı fotoğraf.png", hash(photo)), (person, long, hash(letter)), (person, "yok.txt", gone),
      (other, "başkasının.txt", hash(letter)),
    ] {
      _ = try await f.api.database.admin.execute(
        [
          "SET LOCAL session_replication_role = replica",
          """
          INSERT INTO crm.attachment (customer_id, conversation_id, name, media_type, size, sha256, department_id)
          SELECT c.id, gen_random_uuid(), \(name), 'application/octet-stream', 1, \(sha256), c.department_id FROM crm.customer AS c WHERE c.id = \(UUID(uuidString: owner))
          """,
        ], context: .init(readOnly: false), deadline: .after(.seconds(30)))
    }
    let id = try await f.request("access")
    let path = "/v1/privacy_requests/\(id)/export"
    #expect(try await f.api.send(.get, path, ["format": "zip"]).problem == "identity-not-checked")
    try await f.identify(id, ["customer_id": .string(person)])
    #expect([403, 404].contains(try await f.api.send(.get, path, ["format": "zip"], as: "elif").status))
    #expect(try await f.api.send(.get, path, ["format": "rar"]).status == 400)

    let answer = try await f.api.send(.get, path, ["format": "zip"])
    #expect(answer.status == 200 && answer.headers["content-type"] == "application/zip", "\(answer.headers)")
    #expect(answer.headers["content-disposition"] == "attachment; filename=\"person-\(id).zip\"")
    let found = try await entries(answer.bytes)
    let byName = Dictionary(found.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    #expect(found.count == 5 && byName.count == 5, "\(found.map(\.name))")
    // Each export is itself a row of the next one.
    func tables(_ text: String) throws -> [String] {
      let json = try JSONDecoder().decode(JSON.self, from: Data(text.utf8))
      return (json["tables"]?.array ?? []).compactMap { $0["table"]?.string }
    }
    let json = try #require(byName["export.json"]?.text)
    let again = try await f.api.send(.get, path)
    #expect(json.contains("Arşivli Kişi") && json.contains(hash(photo)) && !json.contains("Başka Kişi"))
    #expect(try tables(json) == tables(again.text) && tables(json).contains("crm.attachment"))
    let csv = try #require(byName["export.csv"]?.text)
    #expect(csv.hasPrefix("table,row,column,value\r\n") && csv.contains("Arşivli Kişi") && csv.contains(hash(photo)) && csv.hasSuffix("\r\n"))
    let files = found.filter { $0.name.hasPrefix("files/") }
    #expect(files.count == 3 && files.allSatisfy { $0.name.utf8.count < 255 && !$0.name.dropFirst(6).contains { "/:\\".contains($0) } }, "\(files.map(\.name))")
    let pictured = files.filter { $0.sha256 == hash(photo) && $0.size == photo.count }
    #expect(pictured.count == 1 && pictured[0].name.hasPrefix("files/\(hash(photo).prefix(16))-") && pictured[0].name.hasSuffix(".png"))
    #expect(files.contains { $0.sha256 == hash(letter) && $0.name.hasSuffix("ğ.pdf") })
    #expect(files.contains { $0.name == "files/\(gone.prefix(16))-yok.txt.missing.txt" && $0.text?.contains("no longer kept") == true })
    let steps = try await f.api.send(.get, "/v1/privacy_requests/\(id)/steps").rows()
    #expect(steps.filter { $0["step"] == "exported" }.map { $0["detail"]?["format"]?.string } == ["zip", "json"], "\(steps)")
  }

  @Test("an archive is well-formed whatever is in it: nothing, names of any script, many entries, more than four gigabytes", arguments: [0, 5 << 30])
  func shapes(offset: Int) async throws {
    func archive(_ contents: [(name: String, pieces: [[UInt8]])]) async throws -> [UInt8] {
      var bytes: [UInt8] = []
      var writer = ZIPWriter(offset: UInt64(offset))
      for content in contents {
        try await writer.begin(content.name, to: { bytes += $0 })
        for piece in content.pieces { try await writer.write(piece, to: { bytes += $0 }) }
        try await writer.end(to: { bytes += $0 })
      }
      try await writer.finish(to: { bytes += $0 })
      return bytes
    }
    #expect(try await entries(try await archive([]), offset: offset).isEmpty)
    let big = (0..<140_000).map { UInt8(truncatingIfNeeded: $0 >> 3) }
    let found = try await entries(
      try await archive([("boş.txt", []), ("klasör/日本.txt", [Array("bir".utf8), [], Array("iki".utf8)]), ("büyük", [big, big])]), offset: offset)
    #expect(found.map(\.name) == ["boş.txt", "klasör/日本.txt", "büyük"] && found.map(\.size) == [0, 6, 280_000])
    #expect(found[1].text == "biriki" && found[2].sha256 == hash(big + big))
    let many = try await entries(try await archive((0..<66_000).map { ("\($0)", [[UInt8(truncatingIfNeeded: $0)]]) }), offset: offset)
    #expect(many.count == 66_000 && many.last?.name == "65999" && many.allSatisfy { $0.size == 1 })
  }
}
