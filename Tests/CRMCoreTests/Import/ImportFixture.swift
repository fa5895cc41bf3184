import CRMCore
import Foundation
import MuhatapTestKit
import OperationalCRM
import PostgresClient
import Testing

/// An importer on a database of its own, with one department and people who may do different things.
struct ImportFixture {
  let database: TestDatabase
  let model: Model
  let importer: Importer
  let door: Database
  let department: UUID

  init() async throws {
    database = try await TestDatabase.clone()
    model = try Model(resources: Resource.access + OperationalCRM.resources, catalogue: try await Catalogue.read(from: database.worker))
    door = Database(pool: database.worker)
    importer = Importer(database: door, model: model)
    department = try await door.transaction(as: .system("test")) { tx in
      try await tx.value(UUID.self, "INSERT INTO crm.department (code, name) VALUES ('sales', 'Sales') RETURNING id")
    }
  }

  let system = Caller.system("test")

  /// A user of the department, who reads and writes in these areas.
  func user(_ name: String, writes: [Area], reads: [Area] = Area.allCases) async throws -> Caller {
    let department = department
    let id = try await door.transaction(as: system) { tx in
      try await tx.value(
        UUID.self,
        "INSERT INTO crm.app_user (department_id, email, name) VALUES (\(department), \(name + "@example.com"), \(name)) RETURNING id")
    }
    var reach: [Area: Caller.Reach] = [:]
    for area in Area.allCases {
      let nilID = try #require(UUID(uuidString: "00000000-0000-0000-0000-000000000000"))
      reach[area] = .init(
        readable: reads.contains(area) ? [department, id, nilID] : [], writable: writes.contains(area) ? [department, id] : [])
    }
    return Caller(identity: .user(id), name: name, departmentID: department, reach: reach)
  }

  func run(_ text: String, _ resource: String, _ mapping: JSON, dryRun: Bool = false, as caller: Caller) async throws -> ImportJob {
    try await importer.importFile(
      Self.pieces(Array(text.utf8)), resource: resource, mapping: mapping, fileName: "test.csv", dryRun: dryRun, as: caller)
  }

  /// The bytes in small pieces, as a network would bring them.
  static func pieces(_ bytes: [UInt8], size: Int = 1_000) -> AsyncThrowingStream<[UInt8], any Error> {
    AsyncThrowingStream { continuation in
      for start in stride(from: 0, to: bytes.count, by: size) { continuation.yield(Array(bytes[start..<min(start + size, bytes.count)])) }
      continuation.finish()
    }
  }

  static func demo(_ path: String) throws -> [UInt8] {
    Array(try Data(contentsOf: Command.repository.appending(path: "demo").appending(path: path)))
  }

  static func mapping(_ name: String) throws -> JSON {
    var json = try JSONDecoder().decode(JSON.self, from: Data(demo("mappings/\(name).json")))
    if case .object(var members) = json {
      members["department"] = "sales"
      json = .object(members)
    }
    return json
  }

  func count(_ sql: SQL) async throws -> Int {
    try await door.read(as: system, sql)[0].decode(Int.self, at: 0)
  }

  struct Fault: RowDecodable, Equatable {
    let row: Int
    let code: String
    init(row: Int, code: String) {
      self.row = row
      self.code = code
    }
    init(row: PostgresRow) throws {
      self.row = try row.decode(Int.self, "row_number")
      code = try row.decode(String.self, "code")
    }
  }

  func faults(_ job: ImportJob) async throws -> [Fault] {
    try await door.read(as: system, "SELECT row_number, code FROM crm.import_error WHERE import_id = \(job.id) ORDER BY row_number, code")
      .rows.map {
        try Fault(row: $0)
      }
  }
}
