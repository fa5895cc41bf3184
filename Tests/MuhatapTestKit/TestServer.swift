import AsyncHTTPClient
package import CRMCore
import Crypto
import Foundation
package import Gateway
import Logging
import NIOCore
import NIOHTTP1
import Synchronization

/// A gateway with the demo company on a test database, listening on a free port of this machine.
package final class TestServer: Sendable {
  package let database: TestDatabase
  package let application: Application
  /// `http://127.0.0.1:<port>`
  package let address: String
  private let keys = Mutex<[String: String]>([:])
  private let contract: CheckedContract

  private init(database: TestDatabase, application: Application, port: Int) {
    self.database = database
    self.application = application
    let address = "http://127.0.0.1:\(port)"
    self.address = address
    contract = CheckedContract {
      let response = try await HTTPClient.shared.execute(HTTPClientRequest(url: address + "/openapi.json"), timeout: .seconds(60))
      return try await ReadContracts.shared.contract(Data((try await response.body.collect(upTo: 64 << 20)).readableBytesView))
    }
  }

  /// A server on a database of its own.
  package static func start(_ configure: (inout GatewayConfiguration) -> Void = { _ in }) async throws -> TestServer {
    try await start(on: TestDatabase.clone(), configure)
  }

  package static func start(on database: TestDatabase, _ configure: (inout GatewayConfiguration) -> Void = { _ in }) async throws -> TestServer {
    try await DemoCompany.found(in: database.app)
    var configuration = GatewayConfiguration(port: 0, eventLoops: 1)
    configuration.deadlines.drainNotice = .zero
    // Time is not what these tests are about; a busy machine shall not fail them.
    configuration.deadlines.handler = .seconds(60)
    configure(&configuration)
    let application = try await Application.start(
      configuration, pool: database.app, cursorKey: SymmetricKey(size: .bits256), logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    guard let port = application.server.port else { throw Command.Failure(description: "the server has no port") }
    return TestServer(database: database, application: application, port: port)
  }

  /// The server that all tests of one file share.
  package static func suite(_ file: String = #fileID) async throws -> TestServer {
    try await Suites.shared.server(of: file)
  }

  private actor Suites {
    static let shared = Suites()
    private var servers: [String: Task<TestServer, any Error>] = [:]

    func server(of file: String) async throws -> TestServer {
      let task = servers[file] ?? Task { try await TestServer.start() }
      servers[file] = task
      return try await task.value
    }
  }

  /// An API key of one of the demo company's people, named by the part of the address before @: `ayse`.
  package func key(of person: String) async throws -> String {
    if let key = keys.withLock({ $0[person] }) { return key }
    let key = try await Database(pool: database.app).makeAPIKey(for: "\(person)@carsi.example", name: "test").token
    keys.withLock { $0[person] = key }
    return key
  }

  package struct Answer: Sendable {
    package let status: Int
    /// By lower-case name.
    package let headers: [String: String]
    package let bytes: [UInt8]

    package var text: String { String(decoding: bytes, as: UTF8.self) }
    package func json() throws -> JSON { try JSONDecoder().decode(JSON.self, from: Data(bytes)) }
    /// The stable name of the problem, when it is one.
    package var problem: String? { (try? json())?["code"]?.string }
  }

  /// Sends a request as one of the demo company's people; nil sends it without a key. What is asked and answered is held against the
  /// OpenAPI document, unless it is not `checked`: for traffic that no client of the document would send.
  package func send(
    _ method: Request.Method, _ path: String, as person: String? = "deniz", json: JSON? = nil, headers: [String: String] = [:],
    checked: Bool = true
  ) async throws -> Answer {
    let isJSON = json != nil && headers["content-type"] == nil
    return try await send(
      method, path, as: person, body: json.map { try $0.encoded() },
      headers: isJSON ? headers.merging(["content-type": "application/json"]) { own, _ in own } : headers, checked: checked)
  }

  package func send(
    _ method: Request.Method, _ path: String, as person: String? = "deniz", body: [UInt8]?, headers: [String: String] = [:],
    checked: Bool = true
  ) async throws -> Answer {
    var request = HTTPClientRequest(url: address + path)
    request.method = .init(rawValue: method.rawValue)
    for (name, value) in headers { request.headers.replaceOrAdd(name: name, value: value) }
    if let person, headers["authorization"] == nil { request.headers.add(name: "authorization", value: "Bearer \(try await key(of: person))") }
    if let body { request.body = .bytes(body) }
    let response = try await HTTPClient.shared.execute(request, timeout: .seconds(60))
    let received = try await response.body.collect(upTo: 256 << 20)
    let answer = Answer(
      status: Int(response.status.code),
      headers: Dictionary(response.headers.map { ($0.name.lowercased(), $0.value) }, uniquingKeysWith: { "\($0), \($1)" }),
      bytes: Array(received.readableBytesView))
    if checked {
      let components = URLComponents(string: path)
      try await contract.check(
        .init(
          method: method, path: components?.percentEncodedPath ?? path, query: (components?.queryItems ?? []).map { ($0.name, $0.value ?? "") },
          body: body, status: answer.status, mediaType: answer.headers["content-type"], answer: answer.bytes))
    }
    return answer
  }
}
