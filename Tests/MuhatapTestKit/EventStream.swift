import AsyncHTTPClient
package import CRMCore
import Foundation
import NIOCore
import NIOHTTP1
import Synchronization

/// A client of server-sent events, as the WHATWG's specification reads them.
package final class EventStream: Sendable {
  package struct Event: Sendable {
    package let id: String?
    /// `message` if the server names none.
    package let type: String
    package let data: JSON

    package var resource: String? { data["resource"]?.string }
    package var recordID: String? { data["id"]?.string }
  }

  package struct Refused: Error, CustomStringConvertible {
    package let status: Int
    package let description: String
  }

  private static let client: HTTPClient = {
    var configuration = HTTPClient.Configuration()
    configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = 500
    return HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
  }()

  private let reading: Task<Void, Never>
  private let arrived: Arrived
  private let last = Mutex<String?>(nil)

  private final class Arrived: Sendable {
    let events = Mutex<[Event]>([])
    let isOver = Mutex(false)
  }

  /// The id of the last event that was read, to go on behind it.
  package var lastID: String? { last.withLock { $0 } }

  /// Connects; throws `Refused` when the answer is no stream.
  package init(_ server: TestServer, _ path: String = "/v1/events", as person: String? = "deniz", after: String? = nil, key: String? = nil) async throws {
    var request = HTTPClientRequest(url: server.address + path)
    if let key { request.headers.add(name: "authorization", value: "Bearer \(key)") }
    if key == nil, let person { request.headers.add(name: "authorization", value: "Bearer \(try await server.key(of: person))") }
    if let after { request.headers.add(name: "last-event-id", value: after) }
    let response = try await Self.client.execute(request, timeout: .hours(1))
    guard response.status == .ok, response.headers.first(name: "content-type") == "text/event-stream" else {
      let body = try await response.body.collect(upTo: 1 << 20)
      throw Refused(status: Int(response.status.code), description: String(buffer: body))
    }
    let arrived = Arrived()
    self.arrived = arrived
    reading = Task {
      var rest: [UInt8] = []
      do {
        for try await piece in response.body {
          rest += piece.readableBytesView
          while let end = rest.firstRange(of: Array("\n\n".utf8)) {
            let event = Self.event(String(decoding: rest[..<end.lowerBound], as: UTF8.self))
            rest.removeSubrange(..<end.upperBound)
            if let event { arrived.events.withLock { $0.append(event) } }
          }
        }
      } catch { /* The connection was cut: it is over either way. */  }
      arrived.isOver.withLock { $0 = true }
    }
  }

  deinit { reading.cancel() }

  package func close() { reading.cancel() }

  private static func event(_ block: String) -> Event? {
    var id: String?
    var type = "message"
    var data: [Substring] = []
    for line in block.split(separator: "\n", omittingEmptySubsequences: true) where !line.hasPrefix(":") {
      let colon = line.firstIndex(of: ":") ?? line.endIndex
      let value = line[colon...].dropFirst().trimmingPrefix(" ")
      switch line[..<colon] {
      case "id": id = String(value)
      case "event": type = String(value)
      case "data": data.append(value)
      default: break
      }
    }
    guard let json = try? JSONDecoder().decode(JSON.self, from: Data(data.joined(separator: "\n").utf8)) else { return nil }
    return Event(id: id, type: type, data: json)
  }

  /// The next event, heartbeats included; nil once the stream has ended. Throws when nothing comes in time, which is long: a transaction of any database of
  /// the server holds the log back.
  package func next(within limit: Duration = .seconds(180)) async throws -> Event? {
    let deadline = ContinuousClock.now + limit
    while ContinuousClock.now < deadline {
      let isOver = arrived.isOver.withLock { $0 }
      let event = arrived.events.withLock { $0.isEmpty ? nil : $0.removeFirst() }
      if let event {
        if let id = event.id { last.withLock { $0 = id } }
        return event
      }
      if isOver { return nil }
      try await Task.sleep(for: .milliseconds(5))
    }
    throw Command.Failure(description: "no event within \(limit)")
  }

  /// The next change; nil once the stream has ended.
  package func nextChange(within limit: Duration = .seconds(180)) async throws -> Event? {
    while let event = try await next(within: limit) { if event.type == "message" { return event } }
    return nil
  }

  /// Changes until one of `record` has come, that one included.
  package func changes(upTo record: String, within limit: Duration = .seconds(180)) async throws -> [Event] {
    var seen: [Event] = []
    while let change = try await nextChange(within: limit) {
      seen.append(change)
      if change.recordID == record { return seen }
    }
    throw Command.Failure(description: "the stream ended before \(record) came")
  }
}
