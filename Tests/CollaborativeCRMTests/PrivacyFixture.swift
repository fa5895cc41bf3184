import CRMCore
import Foundation
import Gateway
import MuhatapTestKit
import PostgresClient
import Testing

/// What the tests of privacy share: persons, requests that were granted, and jobs done at once.
struct PrivacyFixture {
  let api: TestAPI

  func department() async throws -> String {
    try await api.behind("SELECT d.id FROM crm.department d JOIN crm.app_user u ON u.department_id = d.id WHERE u.email = 'deniz@carsi.example'")[0]
      .decode(UUID.self, "id").uuidString.lowercased()
  }

  /// A customer who is a person, made as a colleague makes one.
  func person(_ name: String, number: String? = nil, email: String? = nil, phone: String? = nil) async throws -> String {
    let body: [String: JSON] = [
      "kind": "person", "name": .string(name), "department_id": .string(try await department()), "tax_number": number.map(JSON.string) ?? .null,
      "note": .string("\(name) writes with green ink"),
    ]
    let made = try await api.send(.post, "/v1/customers", json: .object(body))
    try #require(made.status == 201, "\(made.text)")
    let id = try #require(try made.json()["id"]?.string)
    for (kind, value) in [("email", email), ("phone", phone)] {
      guard let value else { continue }
      let point = try await api.send(.post, "/v1/contact_points", json: ["customer_id": .string(id), "kind": .string(kind), "value": .string(value)])
      try #require(point.status == 201, "\(point.text)")
    }
    return id
  }

  func request(_ kind: String, receivedAt: String? = nil) async throws -> String {
    var body: [String: JSON] = ["kind": .string(kind), "channel": "email", "requester": "Somebody who asks", "reply_to": "somebody@asks.example"]
    if let receivedAt { body["received_at"] = .string(receivedAt) }
    let made = try await api.send(.post, "/v1/privacy_requests", json: .object(body))
    try #require(made.status == 201, "\(made.text)")
    return try #require(try made.json()["id"]?.string)
  }

  @discardableResult
  func identify(_ request: String, _ person: [String: JSON]) async throws -> TestAPI.Answer {
    try await api.send(.post, "/v1/privacy_requests/\(request)/check_identity", json: .object(person.merging(["method": "id_document"]) { $1 }))
  }

  /// A request whose person is known and whose decision is in their favour.
  func granted(_ kind: String, of person: [String: JSON]) async throws -> String {
    let id = try await request(kind)
    let identified = try await identify(id, person)
    try #require(identified.status == 200, "\(identified.text)")
    let decided = try await api.send(.post, "/v1/privacy_requests/\(id)/decide", json: ["decision": "granted", "text": "No basis is left."])
    try #require(decided.status == 200, "\(decided.text)")
    return id
  }

  /// Erases a person, as a request does it from the first step to the last.
  @discardableResult
  func erase(_ person: [String: JSON]) async throws -> String {
    let id = try await granted("erase", of: person)
    let executing = try await api.send(.post, "/v1/privacy_requests/\(id)/execute", json: [:])
    try #require(executing.status == 200, "\(executing.text)")
    try await work("privacy.execute")
    return id
  }

  /// Does the jobs of a kind that are in the queue.
  func work(_ kind: String, files: FileFolder = FileFolder()) async throws {
    let handler = try #require(Work.handlers.first { $0.kind == kind })
    let database = Database(pool: api.database.worker, files: files)
    while let job = try await JobQueue(database: database).take([kind], worker: "test", lease: .seconds(1_800)) {
      do { try await handler.run(JobLease(job: job, database: database)) } catch is HopelessJob { continue }
    }
  }

  /// Runs statements as a role of the database, beyond the API.
  @discardableResult
  func sql(_ statement: SQL) async throws -> PostgresResult { try await api.behind(statement) }

  /// The whole database as text, line by line, with the table that each line of data is of.
  func dump() async throws -> [(table: String, line: Substring)] {
    let database = api.database
    let text = try await Command(
      "/usr/lib/postgresql/15/bin/pg_dump",
      ["--data-only", "--host", database.address.host, "--port", database.address.port, "--username", "postgres", "--exclude-schema", "plant", database.name]
    ).run()
    var lines: [(String, Substring)] = []
    var table = ""
    for line in text.split(separator: "\n") {
      if line.hasPrefix("COPY ") { table = String(line.split(separator: " ")[1]) } else { lines.append((table, line)) }
    }
    return lines
  }
}
