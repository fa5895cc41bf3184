package import CRMCore
import Crypto
import Foundation
package import Gateway
import Logging
package import PostgresClient
import Synchronization

/// The API of the demo company with `SampleSales`, asked without a server: what an endpoint answers, before HTTP is put around it.
/// A defect, which a client would see as 500, is thrown as the error it is.
package final class TestAPI: Sendable {
  package let database: TestDatabase
  package let api: API
  private let callers = Mutex<[String: Caller]>([:])
  private let following: Task<Void, Never>
  private let contract: CheckedContract

  private init(database: TestDatabase, api: API) {
    self.database = database
    self.api = api
    contract = CheckedContract { APIContract(document: OpenAPIDocument(api.endpoints).json) }
    following = Task { await api.followCustomFields(logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }) }
  }

  deinit { following.cancel() }

  package var model: Model { api.model }

  /// An API on a database of its own.
  package static func start(secrets: ChannelSecrets = ChannelSecrets()) async throws -> TestAPI {
    let database = try await TestDatabase.clone()
    try await DemoCompany.found(in: database.app)
    try await SampleSales.sell(in: Database(pool: database.app))
    return TestAPI(database: database, api: try await API(database: Database(pool: database.app, secrets: secrets), cursorKey: SymmetricKey(size: .bits256)))
  }

  /// The API that all tests of one file share.
  package static func suite(_ file: String = #fileID) async throws -> TestAPI {
    try await Suites.shared.api(of: file)
  }

  private actor Suites {
    static let shared = Suites()
    private var apis: [String: Task<TestAPI, any Error>] = [:]

    func api(of file: String) async throws -> TestAPI {
      let task = apis[file] ?? Task { try await TestAPI.start() }
      apis[file] = task
      return try await task.value
    }
  }

  /// One of the demo company's people, named by the part of the address before @, with what `crm.access_of` says they reach.
  package func caller(_ person: String) async throws -> Caller {
    if let caller = callers.withLock({ $0[person] }) { return caller }
    let results = try await database.app.execute(
      [
        "SELECT id, name, department_id FROM crm.app_user WHERE email = \(person + "@carsi.example")",
        "SELECT a.area, a.readable, a.writable FROM crm.app_user u CROSS JOIN LATERAL crm.access_of(u.id) a WHERE u.email = \(person + "@carsi.example")",
      ], context: Caller.system("test").context(reading: Set(Area.allCases)), deadline: .after(.seconds(60)))
    var reach: [Area: Caller.Reach] = [:]
    for row in results[1].rows {
      guard let area = Area(rawValue: try row.decode(String.self, "area")) else { continue }
      reach[area] = Caller.Reach(readable: Set(try row.decode([UUID].self, "readable")), writable: Set(try row.decode([UUID].self, "writable")))
    }
    let caller = Caller(
      identity: .user(try results[0][0].decode(UUID.self, "id")), name: try results[0][0].decode(String.self, "name"),
      departmentID: try results[0][0].decode(UUID.self, "department_id"), reach: reach)
    callers.withLock { $0[person] = caller }
    return caller
  }

  /// Runs a statement as the superuser, behind the policies and outside of the API.
  @discardableResult
  package func behind(_ statement: SQL) async throws -> PostgresResult {
    try await database.admin.execute([statement], context: PostgresPool.Context(readOnly: false), deadline: .after(.seconds(120)))[0]
  }

  package struct Answer: Sendable {
    package let status: Int
    /// By lower-case name.
    package let headers: [String: String]
    package let bytes: [UInt8]

    package var text: String { String(decoding: bytes, as: UTF8.self) }
    package func json() throws -> JSON { try JSONDecoder().decode(JSON.self, from: Data(bytes)) }
    /// The members of `data`.
    package func rows() throws -> [JSON] { try json()["data"]?.array ?? [] }
    /// The stable name of the problem, when it is one.
    package var problem: String? { (try? json())?["code"]?.string }
    /// What is wrong with each field, as `pointer code`.
    package var fieldErrors: [String] {
      ((try? json())?["errors"]?.array ?? []).map { "\($0["pointer"]?.string ?? $0["parameter"]?.string ?? "?") \($0["code"]?.string ?? "?")" }
    }
  }

  /// Sends a request as one of the demo company's people. What is asked and answered is held against the OpenAPI document, unless it
  /// is not `checked`: for requests that no client of the document would send.
  package func send(
    _ method: Request.Method, _ path: String, _ query: KeyValuePairs<String, String> = [:], as person: String = "deniz", json: JSON? = nil,
    headers: [String: String] = [:], checked: Bool = true
  ) async throws -> Answer {
    try await send(
      method, path, query.map { (name: $0.key, value: $0.value) }, as: person, body: json.map { try $0.encoded() }, headers: headers, checked: checked)
  }

  /// Sends a request as a patient client does: again after a while, when it is told that someone else is at the same record or key.
  package func sendPatiently(_ method: Request.Method, _ path: String, as person: String, json: JSON, headers: [String: String] = [:]) async throws -> Answer {
    for _ in 0..<100 {
      let answer = try await send(method, path, as: person, json: json, headers: headers)
      guard answer.problem == "locked" else { return answer }
      try await Task.sleep(for: .milliseconds(200))
    }
    return try await send(method, path, as: person, json: json, headers: headers)
  }

  package func send(
    _ method: Request.Method, _ path: String, _ query: [(name: String, value: String)] = [], as person: String = "deniz", body: [UInt8]?,
    headers: [String: String] = [:], checked: Bool = true
  ) async throws -> Answer {
    let answer = try await answer(method, path, query, as: person, body: body, headers: headers)
    if checked {
      try await contract.check(
        .init(
          method: method, path: path, query: query, body: body, status: answer.status, mediaType: answer.headers["content-type"], answer: answer.bytes))
    }
    return answer
  }

  private func answer(
    _ method: Request.Method, _ path: String, _ query: [(name: String, value: String)], as person: String, body: [UInt8]?,
    headers: [String: String]
  ) async throws -> Answer {
    guard let (endpoint, parameters) = endpoint(method, path) else { throw Command.Failure(description: "no endpoint for \(method.rawValue) \(path)") }
    let request = Request(
      method: method, path: path, parameters: parameters, query: query, headers: HeaderFields(headers.map { (name: $0.key, value: $0.value) }),
      body: body.map { .bytes($0) } ?? .empty, caller: try await caller(person), language: Language(acceptLanguage: headers["accept-language"]),
      id: .v7(), deadline: .after(.seconds(60)))
    do {
      try Self.admit(request.caller, to: endpoint)
      return try await Self.received(handle(request, by: endpoint))
    } catch {
      let problem = Problem(describing: error)
      guard problem.status < 500 || error is Problem else { throw error }
      return try await Self.received(.problem(problem, instance: path, requestID: request.id, language: request.language))
    }
  }

  private static func admit(_ caller: Caller, to endpoint: Endpoint) throws {
    switch endpoint.access {
    case .read(let area) where !caller.reads(area): throw Problem.forbidden(Phrase("Not among your rights.", tr: "Yetkiniz yok."))
    case .write(let area) where !caller.writes(area): throw Problem.forbidden(Phrase("Not among your rights.", tr: "Yetkiniz yok."))
    default: return
    }
  }

  private func handle(_ request: Request, by endpoint: Endpoint) async throws -> Response {
    switch endpoint.handler {
    case .immediate(let answer): return try answer(request)
    case .operation(let answer): return try await answer(request)
    case .live: throw Problem.unknownRoute
    case .read(let make):
      var read = try make(request)
      while true {
        let results = try await database.app.execute(read.statements, context: read.context, lane: read.lane, deadline: request.deadline)
        do {
          return try read.answer(results)
        } catch let problem as Problem where problem.status == 404 {
          guard let next = read.otherwise else { throw problem }
          read = next()
        }
      }
    }
  }

  private static func received(_ response: Response) async throws -> Answer {
    let headers = Dictionary(response.headers.map { ($0.name.lowercased(), $0.value) }, uniquingKeysWith: { "\($0), \($1)" })
    switch response.body {
    case .empty: return Answer(status: response.status, headers: headers, bytes: [])
    case .bytes(let bytes): return Answer(status: response.status, headers: headers, bytes: bytes)
    case .stream(let stream):
      let pieces = Mutex<[UInt8]>([])
      try await stream { piece in pieces.withLock { $0 += piece } }
      return Answer(status: response.status, headers: headers, bytes: pieces.withLock { $0 })
    }
  }

  /// A literal segment wins over a parameter, as in the gateway.
  private func endpoint(_ method: Request.Method, _ path: String) -> (endpoint: Endpoint, parameters: [String: String])? {
    let segments = path.split(separator: "/", omittingEmptySubsequences: false)
    var best: (endpoint: Endpoint, parameters: [String: String])?
    for endpoint in api.endpoints where endpoint.method == method {
      let names = endpoint.path.split(separator: "/", omittingEmptySubsequences: false)
      guard names.count == segments.count else { continue }
      var parameters: [String: String] = [:]
      let fits = zip(names, segments).allSatisfy { name, segment in
        guard name.hasPrefix("{") else { return name == segment }
        parameters[String(name.dropFirst().dropLast())] = String(segment).removingPercentEncoding
        return true
      }
      if fits, parameters.count < best?.parameters.count ?? .max { best = (endpoint, parameters) }
    }
    return best
  }
}
