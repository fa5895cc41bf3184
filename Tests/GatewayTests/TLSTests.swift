import AsyncHTTPClient
import CRMCore
import Foundation
import Gateway
import MuhatapTestKit
import NIOCore
import NIOHTTP1
import NIOSSL
import Synchronization
import Testing

/// How many requests a handler was given, or a client had answered.
private final class Tally: Sendable {
  let count = Mutex(0)
}

/// HTTPS and HTTP/2, spoken with curl and AsyncHTTPClient.
@Suite struct TLSTests {
  /// A certificate for localhost, made for this test.
  private struct Certificate: ~Copyable {
    let folder: URL
    var certificate: String { folder.appending(path: "certificate.pem").path }
    var key: String { folder.appending(path: "key.pem").path }

    init() async throws {
      folder = FileManager.default.temporaryDirectory.appending(path: "muhatap-tls-\(UUID())")
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      try await Command(
        "openssl",
        [
          "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=localhost",
          "-addext", "subjectAltName=DNS:localhost", "-keyout", folder.appending(path: "key.pem").path, "-out",
          folder.appending(path: "certificate.pem").path,
        ]
      ).run()
    }

    deinit { try? FileManager.default.removeItem(at: folder) }

    var configuration: TLSConfiguration {
      get throws {
        TLSConfiguration.makeServerConfiguration(
          certificateChain: try NIOSSLCertificate.fromPEMFile(certificate).map { .certificate($0) },
          privateKey: .privateKey(try NIOSSLPrivateKey(file: key, format: .pem)))
      }
    }
  }

  private func curl(_ arguments: [String], _ certificate: borrowing Certificate, _ server: BareServer, _ path: String) async throws -> String {
    try await Command(
      "curl", ["-sS", "--max-time", "120", "--cacert", certificate.certificate] + arguments + ["https://localhost:\(server.port)\(path)"]
    ).run()
  }

  @Test func `a client that can speaks HTTP 2, another HTTP 1_1, both by TLS`() async throws {
    let certificate = try await Certificate()
    let tls = try certificate.configuration
    try await BareServer.run({ $0.tls = tls }) { (server) async throws in
      for (option, version) in [("--http2", "2"), ("--http1.1", "1.1")] {
        let answer = try await curl([option, "-w", " %{http_version}", "-D", "-"], certificate, server, "/echo?a=b")
        #expect(answer.hasSuffix(" \(version)"))
        #expect(answer.contains("[\"a\",\"b\"]"))
        #expect(answer.contains("strict-transport-security: max-age="))
        #expect(answer.contains("x-request-id: "))
      }
    }
  }

  @Test func `HTTP 2 takes bodies, streams, problems and HEAD as HTTP 1_1 does`() async throws {
    let certificate = try await Certificate()
    let tls = try certificate.configuration
    try await BareServer.run({ $0.tls = tls }) { (server) async throws in
      let collected = try await curl(["--http2", "-H", "Content-Type: application/json", "-d", #"{"a":1}"#], certificate, server, "/collect")
      #expect(collected == #"{"got":{"a":1}}"#)
      let streamed = try await curl(["--http2"], certificate, server, "/stream/50000")
      #expect(streamed.hasSuffix("{\"line\":49999}\n"))
      let whole = try await curl(["--http2"], certificate, server, "/bytes/3000000")
      #expect(whole.utf8.count == 3_000_002)
      let missing = try await curl(["--http2", "-w", " %{http_code}"], certificate, server, "/nowhere")
      #expect(missing.contains("unknown-route") && missing.hasSuffix(" 404"))
      let head = try await curl(["--http2", "--head"], certificate, server, "/bytes/1000")
      #expect(head.contains("content-length: 1002"))
      let file = certificate.folder.appending(path: "upload").path
      try Data(repeating: 65, count: 5_000_000).write(to: URL(filePath: file))
      let uploaded = try await curl(["--http2", "-T", file, "-X", "POST"], certificate, server, "/upload")
      #expect(uploaded == #"{"bytes":5000000}"#)
      let many = try await curl(
        ["--http2", "-Z", "--parallel-max", "20", "-o", "/dev/null", "-w", "%{http_code}\\n"], certificate, server, "/echo/[1-60]")
      #expect(many.split(separator: "\n").count { $0 == "200" } == 60)
    }
  }

  @Test func `a connection of HTTP 2 answers any number of curl's requests`() async throws {
    let certificate = try await Certificate()
    let tls = try certificate.configuration
    try await BareServer.run({ $0.tls = tls }) { (server) async throws in
      // More than the resets of streams that NIO allows a connection in half a minute.
      let answers = try await curl(
        ["--http2", "-Z", "--parallel-max", "40", "-o", "/dev/null", "-w", "%{http_code} %{num_connects}\\n"], certificate, server, "/sleep/[1-600]"
      ).split(separator: "\n")
      #expect(answers.count == 600 && answers.allSatisfy { $0.hasPrefix("200 ") })
      #expect(answers.count { $0.hasSuffix(" 1") } == 1, "one connection serves them all")
    }
  }

  @Test func `a client that breaks the rules of HTTP 2 is told so and hung up on`() async throws {
    let certificate = try await Certificate()
    let tls = try certificate.configuration
    let root = certificate.certificate
    try await BareServer.run({ $0.tls = tls }) { (server) async throws in
      let heard = try await Command("python3", ["Tests/clients/http2_frames.py", "broken", "\(server.port)", root]).run()
      #expect(heard == "goaway 1\nclosed\n")
    }
  }

  @Test func `a client whose handshake ends while the server closes is sent away, and the server does not wait for it`() async throws {
    let certificate = try await Certificate()
    let tls = try certificate.configuration
    let root = certificate.certificate
    let folder = certificate.folder
    try await BareServer.run({ $0.tls = tls }) { (server) async throws in
      let client = Task {
        try await Command("python3", ["Tests/clients/http2_frames.py", "late", "\(server.port)", root, folder.path]).run()
      }
      while !FileManager.default.fileExists(atPath: folder.appending(path: "connected").path) { try await Task.sleep(for: .milliseconds(20)) }
      let drained = Task {
        let start = ContinuousClock.now
        try await server.gateway.drain()
        return ContinuousClock.now - start
      }
      while (try? server.connect()) != nil { try await Task.sleep(for: .milliseconds(20)) }
      try Data().write(to: folder.appending(path: "closing"))
      let heard = try await client.value
      #expect(heard.hasPrefix("goaway 0\n") && heard.hasSuffix("\nclosed\n"), "\(heard)")
      #expect(try await drained.value < .seconds(40), "the limit is a minute")
    }
  }

  @Test func `draining under load finishes every request that was taken by HTTP 2`() async throws {
    let certificate = try await Certificate()
    let tls = try certificate.configuration
    let root = certificate.certificate
    let taken = Tally()
    let endpoints = BareServer.endpoints.map { endpoint in
      guard endpoint.path == "/sleep/{milliseconds}", case .operation(let sleep) = endpoint.handler else { return endpoint }
      return Endpoint(
        .get, endpoint.path, access: .open, documentation: endpoint.documentation,
        handler: .operation { request in
          taken.count.withLock { $0 += 1 }
          return try await sleep(request)
        })
    }
    try await BareServer.run(
      {
        $0.tls = tls
        $0.eventLoops = 2
        $0.deadlines.drainNotice = .milliseconds(200)
      }, endpoints: endpoints
    ) { (server) async throws in
      var trusting = TLSConfiguration.makeClientConfiguration()
      trusting.trustRoots = .file(root)
      var configuration = HTTPClient.Configuration(tlsConfiguration: trusting, timeout: .init(connect: .seconds(10)))
      configuration.httpVersion = .automatic
      let client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
      let answered = Tally()
      let address = "https://localhost:\(server.port)/sleep"
      try await withThrowingTaskGroup(of: Void.self) { workers in
        for worker in 0..<40 {
          workers.addTask {
            // Until nobody listens any more.
            for turn in 0..<1_000 {
              let request = HTTPClientRequest(url: "\(address)/\(20 + (37 * worker + 11 * turn) % 700)")
              guard let response = try? await client.execute(request, timeout: .seconds(60)), response.status == .ok, response.version == .http2 else { return }
              _ = try await response.body.collect(upTo: 1_024)
              answered.count.withLock { $0 += 1 }
            }
          }
        }
        let start = ContinuousClock.now
        while answered.count.withLock({ $0 }) <= 20, ContinuousClock.now - start < .seconds(60) { try await Task.sleep(for: .milliseconds(20)) }
        try await Task.sleep(for: .milliseconds(500))
        try await server.gateway.drain()
      }
      try await client.shutdown()
      let count = answered.count.withLock { $0 }
      #expect(count > 20)
      #expect(count == taken.count.withLock { $0 }, "whatever was taken has its answer")
    }
  }

  @Test func `a handshake under way at the drain limit is cut off`() async throws {
    let certificate = try await Certificate()
    let tls = try certificate.configuration
    try await BareServer.run({
      $0.tls = tls
      $0.eventLoops = 2
      $0.deadlines.drain = .milliseconds(300)
    }) { (server) async throws in
      let connections = try (0..<4).map { _ in try server.connect() }
      for connection in connections { try await connection.send([0x16, 0x03, 0x01]) }
      try await Task.sleep(for: .milliseconds(100))
      let start = ContinuousClock.now
      try await server.gateway.drain()
      #expect(ContinuousClock.now - start < .seconds(30))
      for connection in connections { _ = try await connection.readToEnd() }
    }
  }

  @Test func `HTTP 2 that is switched off is not offered`() async throws {
    let certificate = try await Certificate()
    let tls = try certificate.configuration
    try await BareServer.run({
      $0.tls = tls
      $0.http2 = false
    }) { (server) async throws in
      let answer = try await curl(["--http2", "-o", "/dev/null", "-w", "%{http_version}"], certificate, server, "/echo")
      #expect(answer == "1.1")
    }
  }

  @Test func `a client that never finishes its handshake is cut off`() async throws {
    let certificate = try await Certificate()
    let tls = try certificate.configuration
    try await BareServer.run({
      $0.tls = tls
      $0.deadlines.headers = .milliseconds(300)
    }) { (server) async throws in
      let connection = try server.connect()
      try await connection.send([0x16, 0x03, 0x01])
      #expect(try await connection.readToEnd().count < 100)
    }
  }
}
