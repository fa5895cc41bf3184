import CRMCore
import Foundation
import Gateway
import MuhatapTestKit
import NIOSSL
import Synchronization
import Testing

/// How many requests a handler was given.
private final class Taken: Sendable {
  let count = Mutex(0)
}

/// HTTPS and HTTP/2, spoken with curl.
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

  @Test func `draining under load finishes every request that was taken by HTTP 2`() async throws {
    let certificate = try await Certificate()
    let tls = try certificate.configuration
    let root = certificate.certificate
    let taken = Taken()
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
      // Each line says what became of one request; curl gives up after the first that finds nobody listening.
      let arguments = [
        "-sS", "--max-time", "60", "--cacert", root, "--http2", "-Z", "--parallel-max", "40", "-o", "/dev/null", "-w",
        "%{http_code} %{exitcode}\\n", "https://localhost:\(server.port)/sleep/[20-3000]",
      ]
      let load = Task { try await Command("curl", arguments).output() }
      try await Task.sleep(for: .milliseconds(700))
      try await server.gateway.drain()
      let outcomes = try await load.value.standardOutput.split(separator: "\n").map(String.init)
      let answered = outcomes.count { $0 == "200 0" }
      #expect(answered > 20)
      // Those that came too late find nobody listening (7), or a connection that takes no more (16); whatever was taken has its answer.
      #expect(answered == taken.count.withLock { $0 }, "\(Set(outcomes))")
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
