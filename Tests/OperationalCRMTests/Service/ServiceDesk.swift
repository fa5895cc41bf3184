import CRMCore
import Foundation
import Gateway
import MuhatapTestKit
import PostgresClient
import Testing

/// A service department with a team, a policy around the clock and a customer; `zeynep` acts unless somebody is named, `deniz` sets things up.
struct ServiceDesk: Sendable {
  let server: TestServer
  let customer: String
  let team: String
  let zeynep: String
  let burak: String
  let code = UUID().uuidString.lowercased().replacingOccurrences(of: "-", with: "_")

  static func suite(_ file: String = #fileID) async throws -> ServiceDesk { try await ServiceDesk(server: TestServer.suite(file)) }

  /// With a team of zeynep and burak that nobody else uses.
  init(server: TestServer) async throws {
    self.server = server
    func made(_ path: String, _ body: JSON) async throws -> String {
      let answer = try await server.send(.post, path, as: "deniz", json: body)
      try #require(answer.status == 201, "\(path): \(answer.text)")
      return try answer.json().id
    }
    func user(_ name: String) async throws -> (id: String, department: JSON) {
      let row = try await server.send(.get, "/v1/users?email=eq.\(name)@carsi.example", as: "deniz").json()["data"]?.array?.first
      return (try #require(row?.id), try #require(row?["department_id"]))
    }
    let first = try await user("zeynep")
    zeynep = first.id
    burak = try await user("burak").id
    customer = try await made("/v1/customers", ["kind": "organisation", "name": "Çınar Gıda A.Ş.", "department_id": first.department])
    team = try await made("/v1/teams", ["code": .string("t_\(code)"), "name": "Destek", "department_id": first.department])
    for person in [zeynep, burak] { _ = try await made("/v1/team_members", ["team_id": .string(team), "user_id": .string(person)]) }
  }

  func send(_ method: Request.Method, _ path: String, as person: String = "zeynep", json: JSON? = nil) async throws -> TestServer.Answer {
    try await server.send(method, path, as: person, json: json)
  }

  /// What a request that must succeed answers with.
  func done(_ method: Request.Method = .post, _ path: String, as person: String = "zeynep", json: JSON? = nil) async throws -> JSON {
    let answer = try await send(method, path, as: person, json: json)
    try #require((200...299).contains(answer.status), "\(path): \(answer.text)")
    return try answer.bytes.isEmpty ? .null : answer.json()
  }

  func rows(_ path: String, as person: String = "zeynep") async throws -> [JSON] {
    try await done(.get, path, as: person)["data"]?.array ?? []
  }

  /// A ticket of this desk's team.
  func ticket(_ fields: [String: JSON] = [:]) async throws -> JSON {
    try await done(
      .post, "/v1/tickets",
      json: .object(["customer_id": .string(customer), "subject": "Kahve makinesi bozuk", "team_id": .string(team)].merging(fields) { $1 }))
  }

  /// Has a worker's handler do the jobs of this kind that are in the queue.
  /// - Parameter queued: whether one is put there first.
  func finish(_ kind: String, queued: Bool = false) async throws {
    let database = Database(pool: server.database.worker)
    if queued { _ = try await database.transaction(as: .system("test")) { tx in try await JobQueue.enqueue(kind, in: tx) } }
    let handler = try #require(Work.handlers.first { $0.kind == kind })
    var done = 0
    while let job = try await JobQueue(database: database).take([kind], worker: "test", lease: .seconds(1_800)) {
      let lease = JobLease(job: job, database: database)
      try await handler.run(lease)
      try await database.transaction(as: .system("test")) { tx in
        try await tx.run("UPDATE crm.job SET status = 'done', leased_until = NULL, finished_at = now() WHERE id = \(job.id) AND status = 'running'")
      }
      done += 1
    }
    #expect(done > 0, "there was no job of the kind \(kind)")
  }
}

extension JSON {
  /// The value of a number.
  var amount: Double? { if case .number(let value) = self { NSDecimalNumber(decimal: value).doubleValue } else { nil } }
}
