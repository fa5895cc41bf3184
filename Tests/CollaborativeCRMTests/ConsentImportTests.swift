import CRMCore
import Foundation
import Gateway
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("Consents from a file")
struct ConsentImportTests {
  private static let mapping: JSON = [
    "source_system": "izin_formlari", "key": ["no"], "time_zone": "Europe/Istanbul",
    "fields": [
      "customer_id": ["reference": "customers", "system": "kart", "from": ["customer"]], "channel": ["constant": "email"], "address": "email",
      "status": "status",
      "source": "source", "consented_at": "at", "text_version": "text", "document_hash": "hash",
    ],
  ]

  @Test func `consents are imported with their evidence, once, and what is there is never changed by a file`() async throws {
    let api = try await TestAPI.start()
    let people = [try await Person.make(api), try await Person.make(api), try await Person.make(api)]
    for person in people {
      try await api.behind(
        "INSERT INTO crm.external_id (relation, system, key, row_id, area) VALUES ('customers', 'kart', \(person.id), \(UUID(uuidString: person.id)), 'customers')"
      )
    }
    let importer = Importer(
      database: Database(pool: api.database.worker), model: try Model(resources: API.declared, catalogue: try await Catalogue.read(from: api.database.worker)))
    let deniz = try await api.caller("deniz")
    func load(_ rows: [String]) async throws -> ImportJob {
      let text = (["no,customer,email,status,source,at,text,hash"] + rows).joined(separator: "\n") + "\n"
      let bytes = AsyncThrowingStream<[UInt8], any Error> { stream in
        stream.yield(Array(text.utf8))
        stream.finish()
      }
      return try await importer.importFile(
        bytes, resource: "consent_events", mapping: Self.mapping, fileName: "izin.csv", dryRun: false, as: deniz)
    }
    let hash = String(repeating: "ab", count: 32)
    let rows = [
      "1,\(people[0].id),\(people[0].email),ONAY,HS_FIZIKSEL_ORTAM,2026-11-01T10:00:00,form-2,\(hash)",
      "2,\(people[1].id),\(people[1].email),RET,HS_CAGRI_MERKEZI,2026-11-01T10:00:00,,",
      "3,\(people[2].id),\(people[2].email),ONAY,HS_UYDURMA,2026-11-01T10:00:00,,",
      "4,\(people[2].id),yok,ONAY,HS_WEB,2026-11-01T10:00:00,,",
    ]
    let first = try await load(rows)
    #expect(first.rowsNew == 2 && first.rowsRefused == 2, "\(first)")
    #expect(try await people[0].gets("commercial", api) == "queued")
    #expect(try await people[1].gets("commercial", api) == "refused")
    #expect(try await people[2].gets("commercial", api) == "no_consent")
    let proof = try #require(try await api.send(.get, "/v1/customers/\(people[0].id)/consent_proof").rows().first)
    #expect(proof["document_hash"] == .string(hash) && proof["text_version"] == "form-2" && proof["source"] == "HS_FIZIKSEL_ORTAM", "\(proof)")
    #expect(proof["consented_at"]?.string?.hasPrefix("2026-11-01T07:00:00") == true, "\(proof)")

    // The same file again adds nothing; one that says otherwise is refused row by row.
    let again = try await load(Array(rows.prefix(2)))
    #expect(again.rowsNew == 0 && again.rowsUnchanged == 2, "\(again)")
    let otherwise = try await load([rows[0].replacing("ONAY", with: "RET"), "5,\(people[2].id),\(people[2].email),ONAY,HS_WEB,2026-11-02T10:00:00,,"])
    #expect(otherwise.rowsRefused == 1 && otherwise.rowsNew == 1, "\(otherwise)")
    let codes = try await api.behind("SELECT e.code FROM crm.import_error e WHERE e.import_id = \(otherwise.id)").rows.map {
      try $0.decode(String.self, "code")
    }
    #expect(codes == ["never-changed"])
    #expect(try await people[0].gets("commercial", api) == "queued")
    #expect(try await people[2].gets("commercial", api) == "queued")
  }
}
