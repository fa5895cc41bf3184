import CRMCore
import Foundation
import Gateway
import Logging
import PostgresClient
import Synchronization

/// A running gateway with endpoints that exercise the server itself.
struct BareServer {
  let gateway: GatewayServer
  let port: Int

  /// Runs `body` against a server of its own, which is shut down afterwards.
  static func run<T>(
    _ configure: (inout GatewayConfiguration) -> Void = { _ in }, database: Database? = nil, endpoints: [Endpoint] = Self.endpoints,
    logger: Logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
    _ body: (BareServer) async throws -> T
  ) async throws -> T {
    var configuration = GatewayConfiguration(port: 0, eventLoops: 1)
    configuration.deadlines.drainNotice = .zero
    configuration.deadlines.drain = .seconds(60)
    // What is no test's subject must not fail on a slow machine.
    configuration.deadlines.headers = .seconds(60)
    configuration.deadlines.body = .seconds(60)
    configuration.deadlines.handler = .seconds(60)
    configuration.deadlines.stalledReader = .seconds(60)
    configure(&configuration)
    let nowhere = PostgresPool(.init(connection: "host=/nonexistent dbname=none"), logger: logger)
    let gateway = try await GatewayServer(
      configuration: configuration, database: database ?? Database(pool: nowhere), endpoints: endpoints, logger: logger)
    try await gateway.start()
    let server = BareServer(gateway: gateway, port: gateway.port ?? 0)
    do {
      let result = try await body(server)
      try await gateway.drain()
      return result
    } catch {
      try await gateway.drain()
      throw error
    }
  }

  func connect(receiveBuffer: Int32? = nil) throws -> RawConnection { try RawConnection(port: port, receiveBuffer: receiveBuffer) }

  /// Sends a request on a connection of its own and returns the answer.
  func send(_ request: String, isHead: Bool = false) async throws -> RawConnection.Answer {
    let connection = try connect()
    try await connection.send(request)
    return try await connection.answer(isHead: isHead)
  }

  func get(_ target: String, _ headers: [String] = []) async throws -> RawConnection.Answer {
    try await send("GET \(target) HTTP/1.1\r\nHost: test\r\n\(headers.map { "\($0)\r\n" }.joined())\r\n")
  }

  func post(_ target: String, _ body: String, _ headers: [String] = []) async throws -> RawConnection.Answer {
    try await send(
      "POST \(target) HTTP/1.1\r\nHost: test\r\nContent-Length: \(body.utf8.count)\r\n\(headers.map { "\($0)\r\n" }.joined())\r\n\(body)")
  }

  static func documentation(_ id: String) -> Endpoint.Documentation {
    Endpoint.Documentation(id, tag: "test", id, answers: [(200, "Done.", "application/json", ["type": "object"])])
  }

  struct Unforeseen: Error {}

  static let endpoints: [Endpoint] = [
    Endpoint(.get, "/echo", access: .open, documentation: documentation("echo"), handler: .immediate(echo)),
    Endpoint(.get, "/echo/{name}", access: .open, documentation: documentation("echo_name"), handler: .immediate(echo)),
    Endpoint(.get, "/echo/fixed", access: .open, documentation: documentation("echo_fixed"), handler: .immediate { _ in .json(Array("{}".utf8)) }),
    Endpoint(.get, "/secret", access: .signedIn, documentation: documentation("secret"), handler: .immediate(echo)),
    Endpoint(
      .post, "/collect", access: .open, body: .collected,
      documentation: .init(
        "collect", tag: "test", "collect", input: ("application/json", ["type": "object"]), answers: [(200, "Done.", "application/json", nil)]),
      handler: .operation { request in
        let json = try request.json()
        return .json(try JSON.object(["got": json]).encoded())
      }),
    Endpoint(
      .post, "/upload", access: .open, body: .streamed, documentation: documentation("upload"),
      handler: .operation { request in
        guard case .stream(let pieces) = request.body else { throw Unforeseen() }
        var count = 0
        for try await piece in pieces { count += piece.count }
        return .json(Array("{\"bytes\":\(count)}".utf8))
      }),
    Endpoint(
      .get, "/sleep/{milliseconds}", access: .open, documentation: documentation("sleep"),
      handler: .operation { request in
        try await Task.sleep(for: .milliseconds(Int(request.parameters["milliseconds"] ?? "") ?? 0))
        return .json(Array(#"{"slept":true}"#.utf8))
      }),
    Endpoint(
      .get, "/bytes/{count}", access: .open, documentation: documentation("bytes"),
      handler: .immediate { request in
        let count = Int(request.parameters["count"] ?? "") ?? 0
        return .json([UInt8(ascii: "\"")] + [UInt8](repeating: UInt8(ascii: "a"), count: count) + [UInt8(ascii: "\"")])
      }),
    Endpoint(
      .get, "/stream/{count}", access: .open, documentation: documentation("stream"),
      handler: .operation { request in
        let count = Int(request.parameters["count"] ?? "") ?? 0
        return Response(
          status: 200, headers: [("content-type", "application/x-ndjson")],
          body: .stream { write in
            for number in 0..<count { try await write(Array("{\"line\":\(number)}\n".utf8)) }
          })
      }),
    Endpoint(.get, "/fail", access: .open, documentation: documentation("fail"), handler: .operation { _ in throw Unforeseen() }),
    Endpoint(
      .get, "/refuse", access: .open, documentation: documentation("refuse"),
      handler: .immediate { _ in
        throw Problem.invalid([.init("/name", code: "required", Phrase("Give a name.", tr: "Bir ad verin."))])
      }),
  ]

  private static let echo: @Sendable (Request) throws -> Response = { request in
    let query = request.query.map { JSON.array([.string($0.name), .string($0.value)]) }
    let members: [String: JSON] = [
      "path": .string(request.path), "method": .string(request.method.rawValue), "query": .array(query),
      "name": .string(request.parameters["name"] ?? ""), "agent": .string(request.headers["user-agent"] ?? ""),
    ]
    return .json(try JSON.object(members).encoded())
  }
}
