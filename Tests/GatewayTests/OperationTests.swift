import CRMCore
import Foundation
import Gateway
import MuhatapTestKit
import Testing

/// What operators see: probes, metrics, draining, compression.
@Suite struct OperationTests {
  @Test func `the process lives without a database but is not ready`() async throws {
    try await BareServer.run { (server) async throws in
      #expect(try await server.get("/livez").status == 200)
      #expect(try await server.get("/readyz").status == 503)
    }
  }

  @Test func `with a database the server is ready until it drains`() async throws {
    let database = try await TestDatabase.suite()
    try await BareServer.run({ $0.deadlines.drainNotice = .seconds(15) }, database: Database(pool: database.app)) { (server) async throws in
      #expect(try await server.get("/readyz").status == 200)
      let drained = Task { try await server.gateway.drain() }
      var draining = try await server.get("/readyz")
      let start = ContinuousClock.now
      while draining.status == 200, ContinuousClock.now - start < .seconds(10) { draining = try await server.get("/readyz") }
      #expect(draining.status == 503)
      #expect(draining.json["code"] as? String == "draining")
      let stillServed = try await server.get("/echo")
      #expect(stillServed.status == 200)
      #expect(stillServed["connection"] == "close")
      try await drained.value
      #expect(throws: RawConnection.Failure.self) { try server.connect() }
    }
  }

  @Test func `draining under load fails no request`() async throws {
    try await BareServer.run({ $0.deadlines.drainNotice = .milliseconds(200) }) { (server) async throws in
      let (failures, answered) = try await withThrowingTaskGroup(of: (failed: Int, answered: Int).self) { group in
        for _ in 0..<8 {
          group.addTask {
            var failed = 0
            var answered = 0
            while let connection = try? server.connect() {
              while true {
                try await connection.send("GET /sleep/20 HTTP/1.1\r\nHost: t\r\n\r\n")
                do {
                  let answer = try await connection.answer()
                  answered += 1
                  if answer.status != 200 { failed += 1 }
                  if answer["connection"] == "close" { break }
                } catch {
                  // A connection accepted by the kernel and never by the server, or closed while it was idle: safe to repeat.
                  break
                }
              }
            }
            return (failed, answered)
          }
        }
        try await Task.sleep(for: .milliseconds(500))
        try await server.gateway.drain()
        var total = (failed: 0, answered: 0)
        for try await part in group { total = (total.failed + part.failed, total.answered + part.answered) }
        return total
      }
      #expect(failures == 0)
      #expect(answered > 0)
    }
  }

  @Test func `a request under way at shutdown is finished`() async throws {
    let (started, starting) = AsyncStream.makeStream(of: Void.self)
    let (released, releasing) = AsyncStream.makeStream(of: Void.self)
    let endpoint = Endpoint(
      .get, "/hold", access: .open, documentation: BareServer.documentation("hold"),
      handler: .operation { _ in
        starting.yield()
        for await _ in released {}
        return Response(status: 204)
      })
    try await BareServer.run(endpoints: [endpoint]) { (server) async throws in
      let connection = try server.connect()
      try await connection.send("GET /hold HTTP/1.1\r\nHost: t\r\n\r\n")
      var iterator = started.makeAsyncIterator()
      await iterator.next()
      let drained = Task { try await server.gateway.drain() }
      while (try? server.connect()) != nil { try await Task.sleep(for: .milliseconds(20)) }
      releasing.finish()
      let answer = try await connection.answer()
      #expect(answer.status == 204)
      #expect(answer["connection"] == "close")
      try await drained.value
    }
  }

  @Test func `a request that does not end is cut off at the drain limit`() async throws {
    try await BareServer.run({ $0.deadlines.drain = .milliseconds(800) }) { (server) async throws in
      let stuck = try server.connect()
      try await stuck.send("GET /sleep/50000 HTTP/1.1\r\nHost: t\r\n\r\n")
      try await Task.sleep(for: .milliseconds(200))
      let start = ContinuousClock.now
      try await server.gateway.drain()
      #expect(ContinuousClock.now - start < .seconds(30))
      await #expect(throws: RawConnection.Failure.self) { try await stuck.answer() }
    }
  }

  @Test func `metrics count requests by route and status`() async throws {
    try await BareServer.run { (server) async throws in
      for _ in 0..<3 { _ = try await server.get("/echo/\(UUID())") }
      _ = try await server.get("/nowhere")
      let text = try await server.get("/metrics").text
      #expect(text.contains("muhatap_requests_total{method=\"GET\",route=\"/echo/{name}\",status=\"200\"} 3\n"))
      #expect(text.contains("muhatap_requests_total{method=\"\",route=\"\",status=\"404\"} 1\n"))
      #expect(text.contains("muhatap_request_duration_seconds_bucket{method=\"GET\",route=\"/echo/{name}\",le=\"+Inf\"} 3\n"))
      #expect(text.contains("# TYPE muhatap_requests_in_flight gauge\n"))
      for line in text.split(separator: "\n") where !line.hasPrefix("#") {
        #expect(line.wholeMatch(of: /[a-z_]+(\{[^}]*(\{[a-z_]+\}[^}]*)*\})? [0-9.e+-]+/) != nil, "\(line)")
      }
    }
  }

  @Test func `a large JSON answer is compressed for whoever accepts it`() async throws {
    try await BareServer.run { (server) async throws in
      let plain = try await server.get("/bytes/20000")
      #expect(plain["content-encoding"] == nil)
      let small = try await server.get("/echo", ["Accept-Encoding: gzip"])
      #expect(small["content-encoding"] == nil)
      let refused = try await server.get("/bytes/20000", ["Accept-Encoding: br, gzip;q=0"])
      #expect(refused["content-encoding"] == nil)
      let compressed = try await server.get("/bytes/20000", ["Accept-Encoding: br, gzip;q=0.5"])
      #expect(compressed["content-encoding"] == "gzip")
      #expect(compressed["vary"]?.contains("Accept-Encoding") == true)
      #expect(compressed.body.count < 2000)
      let file = FileManager.default.temporaryDirectory.appending(path: "muhatap-\(UUID()).gz")
      try Data(compressed.body).write(to: file)
      defer { try? FileManager.default.removeItem(at: file) }
      let unpacked = try await Command("gzip", ["-dc", file.path]).run()
      #expect(Array(unpacked.utf8) == plain.body)
    }
  }

  @Test func `a streamed answer is compressed piece by piece for whoever accepts it`() async throws {
    try await BareServer.run { (server) async throws in
      let plain = try await server.get("/stream/30000")
      #expect(plain["content-encoding"] == nil)
      let compressed = try await server.get("/stream/30000", ["Accept-Encoding: gzip"])
      #expect(compressed["content-encoding"] == "gzip")
      #expect(compressed["transfer-encoding"] == "chunked")
      #expect(compressed.body.count < plain.body.count / 3)
      let file = FileManager.default.temporaryDirectory.appending(path: "muhatap-\(UUID()).gz")
      try Data(compressed.body).write(to: file)
      defer { try? FileManager.default.removeItem(at: file) }
      #expect(Array(try await Command("gzip", ["-dc", file.path]).run().utf8) == plain.body)
      let empty = try await server.get("/stream/0", ["Accept-Encoding: gzip"])
      try Data(empty.body).write(to: file)
      #expect(try await Command("gzip", ["-dc", file.path]).run().isEmpty)
      let head = try await server.send("HEAD /stream/30000 HTTP/1.1\r\nHost: t\r\nAccept-Encoding: gzip\r\n\r\n", isHead: true)
      #expect(head["content-encoding"] == "gzip")
    }
  }

  @Test func `metrics are shown to this machine, and elsewhere with the token alone`() async throws {
    let elsewhere = "X-Forwarded-For: 192.0.2.7"
    try await BareServer.run({
      $0.trustsForwardedFor = true
      $0.metricsToken = "a-token"
    }) { (server) async throws in
      let closed = try await server.get("/metrics", [elsewhere])
      #expect(closed.status == 401)
      #expect(closed["www-authenticate"] != nil)
      #expect(try await server.get("/metrics", [elsewhere, "Authorization: Bearer another"]).status == 401)
      #expect(try await server.get("/metrics", [elsewhere, "Authorization: Bearer a-token"]).status == 200)
      #expect(try await server.get("/metrics").status == 200)
    }
    try await BareServer.run({ $0.trustsForwardedFor = true }) { (server) async throws in
      #expect(try await server.get("/metrics", [elsewhere]).status == 401)
      #expect(try await server.get("/metrics", [elsewhere, "Authorization: Bearer "]).status == 401)
    }
  }

  @Test func `the OpenAPI document describes every endpoint and all its references lead somewhere`() async throws {
    try await BareServer.run { (server) async throws in
      let answer = try await server.get("/openapi.json")
      #expect(answer.status == 200)
      let document = try JSONDecoder().decode(JSON.self, from: Data(answer.body))
      #expect(document["openapi"]?.string == "3.1.0")
      let paths = try #require(document["paths"]?.object)
      for path in ["/echo", "/echo/{name}", "/collect", "/v1/sessions", "/v1/me", "/livez", "/openapi.json", "/docs"] {
        #expect(paths[path] != nil, "\(path)")
      }
      func check(_ value: JSON) {
        switch value {
        case .object(let members):
          if let reference = members["$ref"]?.string {
            let target = reference.dropFirst(2).split(separator: "/").reduce(JSON?.some(document)) { $0?[String($1)] }
            #expect(target != nil, "\(reference)")
          }
          members.values.forEach(check)
        case .array(let items): items.forEach(check)
        default: break
        }
      }
      check(document)
    }
  }

  @Test func `the documentation is a page of well-formed HTML in both languages, without scripts or outside assets`() async throws {
    try await BareServer.run { (server) async throws in
      for (language, word) in [("tr", "İçindekiler"), ("en", "Contents")] {
        let answer = try await server.get("/docs", ["Accept-Language: \(language)"])
        #expect(answer.status == 200)
        #expect(answer.text.contains("<html lang=\"\(language)\">"))
        #expect(answer.text.contains(word))
        #expect(answer.text.contains("<code>/echo/{name}</code>"))
        #expect(!answer.text.contains("<script"))
        #expect(!answer.text.contains("src="))
        #expect(!answer.text.contains("http://") && !answer.text.contains("https://"))
        // Without its void elements the page is XML, so an XML parser finds what is not closed or not escaped.
        let xml = answer.text.replacing("<!doctype html>", with: "").replacing(/<meta [^>]*>/, with: "")
        let file = FileManager.default.temporaryDirectory.appending(path: "muhatap-\(UUID()).xml")
        try Data(xml.utf8).write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        try await Command("python3", ["-c", "import sys, xml.dom.minidom; xml.dom.minidom.parse(sys.argv[1])", file.path]).run()
      }
    }
  }
}
