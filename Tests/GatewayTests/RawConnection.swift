import Foundation
import Synchronization

/// A client that sends exactly the bytes it is given, well-formed or not. Its blocking calls run on threads of their own.
final class RawConnection: Sendable {
  struct Failure: Error, CustomStringConvertible {
    let description: String
  }

  struct Answer: Sendable {
    let status: Int
    let headers: [(name: String, value: String)]
    let body: [UInt8]

    subscript(name: String) -> String? { headers.first { $0.name == name.lowercased() }?.value }
    var text: String { String(decoding: body, as: UTF8.self) }
    var json: [String: Any] { (try? JSONSerialization.jsonObject(with: Data(body))) as? [String: Any] ?? [:] }
  }

  private let descriptor: Int32
  private let received = Mutex<[UInt8]>([])
  private let isClosed = Mutex(false)

  /// - Parameter receiveBuffer: bytes the kernel may hold for this client; small for one that does not read.
  init(port: Int, receiveBuffer: Int32? = nil) throws {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    if var size = receiveBuffer { setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size)) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = UInt16(port).bigEndian
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    let connected = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
    }
    guard connected == 0 else { throw Failure(description: "connect: \(errno)") }
  }

  deinit { close() }

  func close() {
    isClosed.withLock { closed in
      if !closed { Foundation.close(descriptor) }
      closed = true
    }
  }

  func send(_ text: String) async throws { try await send(Array(text.utf8)) }

  /// Sends as much as the server takes; a connection that it closed meanwhile is no failure.
  func send(_ bytes: [UInt8]) async throws {
    try await Self.blocking { [descriptor] in
      var rest = bytes[...]
      while !rest.isEmpty {
        let count = rest.withUnsafeBytes { Foundation.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
        if count <= 0 { return }
        rest = rest.dropFirst(count)
      }
    }
  }

  /// The next answer. `isHead`: it has no body whatever it says.
  func answer(isHead: Bool = false, within seconds: Double = 180) async throws -> Answer {
    try await Self.blocking { [self] in
      let end = Date().addingTimeInterval(seconds)
      while true {
        if let answer = try received.withLock({ try Self.parse(&$0, isHead: isHead, atEnd: false) }) { return answer }
        guard try fill(until: end) else {
          if let answer = try received.withLock({ try Self.parse(&$0, isHead: isHead, atEnd: true) }) { return answer }
          throw Failure(description: "closed after “\(received.withLock { String(decoding: $0.prefix(200), as: UTF8.self) })”")
        }
      }
    }
  }

  /// The first bytes, as soon as `length` finds out how many of what has come belong together.
  func take(within seconds: Double = 180, _ length: @escaping @Sendable ([UInt8]) -> Int?) async throws -> [UInt8] {
    try await Self.blocking { [self] in
      let end = Date().addingTimeInterval(seconds)
      while true {
        let taken = received.withLock { bytes -> [UInt8]? in
          guard let count = length(bytes) else { return nil }
          defer { bytes = Array(bytes.dropFirst(count)) }
          return Array(bytes.prefix(count))
        }
        if let taken { return taken }
        guard try fill(until: end) else { throw Failure(description: "closed") }
      }
    }
  }

  /// All bytes until the server closes the connection.
  func readToEnd(within seconds: Double = 180) async throws -> [UInt8] {
    try await Self.blocking { [self] in
      let end = Date().addingTimeInterval(seconds)
      while try fill(until: end) {}
      return received.withLock { $0 }
    }
  }

  /// Reads once more. False at the end of the connection; throws when nothing comes in time.
  private func fill(until end: Date) throws -> Bool {
    var poller = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    let left = end.timeIntervalSinceNow
    guard left > 0, poll(&poller, 1, Int32(left * 1000) + 1) > 0 else { throw Failure(description: "nothing came in time") }
    var buffer = [UInt8](repeating: 0, count: 65536)
    let count = recv(descriptor, &buffer, buffer.count, 0)
    if count <= 0 { return false }
    received.withLock { $0 += buffer[..<count] }
    return true
  }

  private static func blocking<T: Sendable>(_ work: @escaping @Sendable () throws -> T) async throws -> T {
    try await withCheckedThrowingContinuation { continuation in
      // Not a dispatch queue: its threads are the ones that tasks run on.
      Thread.detachNewThread { continuation.resume(with: Result { try work() }) }
    }
  }

  private static func parse(_ bytes: inout [UInt8], isHead: Bool, atEnd: Bool) throws -> Answer? {
    guard let headEnd = bytes.firstRange(of: Array("\r\n\r\n".utf8)) else { return nil }
    let lines = String(decoding: bytes[..<headEnd.lowerBound], as: UTF8.self).components(separatedBy: "\r\n")
    let parts = lines[0].split(separator: " ")
    guard parts.count >= 2, parts[0] == "HTTP/1.1", let status = Int(parts[1]) else { throw Failure(description: "no status line: \(lines[0])") }
    let headers = lines.dropFirst().map { line -> (name: String, value: String) in
      let colon = line.firstIndex(of: ":") ?? line.endIndex
      return (line[..<colon].lowercased(), line[colon...].dropFirst().trimmingCharacters(in: .whitespaces))
    }
    func value(_ name: String) -> String? { headers.first { $0.name == name }?.value }
    var rest = bytes[headEnd.upperBound...]
    let body: [UInt8]
    if isHead || status == 204 || status == 304 || status == 100 {
      body = []
    } else if value("transfer-encoding") == "chunked" {
      guard let (chunks, end) = dechunk(rest) else { return nil }
      body = chunks
      rest = rest[end...]
    } else if let length = value("content-length").flatMap({ Int($0) }) {
      guard rest.count >= length else { return nil }
      body = Array(rest.prefix(length))
      rest = rest.dropFirst(length)
    } else {
      guard atEnd else { return nil }
      body = Array(rest)
      rest = []
    }
    bytes = Array(rest)
    return Answer(status: status, headers: headers, body: body)
  }

  private static func dechunk(_ bytes: ArraySlice<UInt8>) -> ([UInt8], Int)? {
    var body: [UInt8] = []
    var position = bytes.startIndex
    while true {
      guard let lineEnd = bytes[position...].firstRange(of: Array("\r\n".utf8)),
        let size = Int(String(decoding: bytes[position..<lineEnd.lowerBound], as: UTF8.self), radix: 16)
      else { return nil }
      let start = lineEnd.upperBound
      guard bytes.endIndex >= start + size + 2 else { return nil }
      body += bytes[start..<(start + size)]
      position = start + size + 2
      if size == 0 { return (body, position) }
    }
  }
}
