import CRMCore
import Foundation
import Gateway
import Logging
import Testing

/// What the log's lines look like.
@Suite struct LogTests {
  /// Logs by `body` and returns the lines as JSON.
  private func lines(_ body: (Logger) -> Void) throws -> [JSON] {
    let file = FileManager.default.temporaryDirectory.appending(path: "muhatap-log-\(UUID())")
    #expect(FileManager.default.createFile(atPath: file.path, contents: nil))
    defer { try? FileManager.default.removeItem(at: file) }
    let handle = try FileHandle(forWritingTo: file)
    let sink = LogSink(descriptor: handle.fileDescriptor)
    body(
      Logger(label: "te\"st") { label in
        var handler = JSONLogHandler(label: label, sink: sink)
        handler[metadataKey: "common"] = "yes"
        return handler
      })
    sink.flush()
    return try String(contentsOf: file, encoding: .utf8).split(separator: "\n").map { try JSONDecoder().decode(JSON.self, from: Data($0.utf8)) }
  }

  @Test func `each entry is one line of JSON whatever it holds`() throws {
    struct Unusual: Error {}
    let lines = try lines { logger in
      logger.info("quo\"te \\ new\nline \u{1} İ", metadata: ["n": .stringConvertible(7), "list": ["a", "b"], "nested": ["k": "v"]])
      logger.error("second", error: Unusual())
      logger.debug("below the level")
    }
    #expect(lines.count == 2)
    #expect(lines[0]["message"] == "quo\"te \\ new\nline \u{1} İ")
    #expect(lines[0]["logger"] == "te\"st")
    #expect(lines[0]["level"] == "info")
    #expect(lines[0]["n"] == 7)
    #expect(lines[0]["list"] == ["a", "b"])
    #expect(lines[0]["nested"] == ["k": "v"])
    #expect(lines[0]["common"] == "yes")
    #expect(lines[1]["error"]?.string?.contains("Unusual") == true)
    let time = try #require(lines[0]["time"]?.string)
    #expect(abs(try Date(time, strategy: Date.ISO8601FormatStyle(includingFractionalSeconds: true)).timeIntervalSinceNow) < 60)
  }

  @Test func `many threads at once lose no line`() async throws {
    let lines = try lines { logger in
      DispatchQueue.concurrentPerform(iterations: 8) { thread in
        for number in 0..<500 { logger.info("line", metadata: ["thread": .stringConvertible(thread), "number": .stringConvertible(number)]) }
      }
    }
    #expect(lines.count == 4000)
  }

  @Test func `a request is logged once, with its route, status, caller's address and id`() async throws {
    let file = FileManager.default.temporaryDirectory.appending(path: "muhatap-log-\(UUID())")
    #expect(FileManager.default.createFile(atPath: file.path, contents: nil))
    defer { try? FileManager.default.removeItem(at: file) }
    let handle = try FileHandle(forWritingTo: file)
    let sink = LogSink(descriptor: handle.fileDescriptor)
    let logger = Logger(label: "gateway") { JSONLogHandler(label: $0, sink: sink) }
    let id = UUID()
    try await BareServer.run(logger: logger) { (server) async throws in
      _ = try await server.get("/echo/secret-name?token=abc", ["X-Request-Id: \(id)"])
      _ = try await server.get("/fail")
    }
    sink.flush()
    let text = try String(contentsOf: file, encoding: .utf8)
    let entries = try text.split(separator: "\n").map { try JSONDecoder().decode(JSON.self, from: Data($0.utf8)) }
    let requests = entries.compactMap { $0["request"] }
    #expect(requests.count == 2)
    #expect(requests[0]["route"] == "/echo/{name}")
    #expect(requests[0]["status"] == 200)
    #expect(requests[0]["id"]?.string == id.lowercase)
    #expect(requests[0]["client"] == "127.0.0.1")
    #expect(!text.contains("secret-name") && !text.contains("token=abc"))
    // What nobody foresaw is in the log, and only there.
    #expect(entries.contains { $0["message"] == "request failed" && $0["error"]?.string?.contains("Unforeseen") == true })
  }
}
