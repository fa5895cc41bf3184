import CRMCore
import Foundation
import NIOCore

/// Something with deadlines of its own that an event loop's clock looks at.
protocol Timed: AnyObject {
  func tick(now: NIODeadline)
  /// Closes the connection at once.
  func cutOff()
}

/// The time of one event loop: it looks at the deadlines of all its connections in one pass, which costs a request nothing,
/// where a timer for each would cost a request two changes of the loop's queue. It also keeps the `Date` field's text and makes request ids.
final class ConnectionClock {
  private let loop: any EventLoop
  private var connections: [ObjectIdentifier: any Timed] = [:]
  /// Connections that are more than one exchange handler: by TLS, where a handshake or several streams of HTTP/2 may be under way.
  private var channels: [ObjectIdentifier: any Channel] = [:]
  private var dateSecond = 0
  private var dateText: [UInt8] = []
  private var random = BufferedRandom()
  private var ticking: RepeatedTask?

  init(loop: any EventLoop) {
    self.loop = loop
  }

  /// Starts looking at deadlines every `interval`.
  func start(interval: TimeAmount) {
    let bound = NIOLoopBound(self, eventLoop: loop)
    ticking = loop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { _ in bound.value.tick() }
  }

  func stop() {
    ticking?.cancel()
    ticking = nil
  }

  func add(_ connection: any Timed) {
    connections[ObjectIdentifier(connection)] = connection
  }

  func remove(_ connection: any Timed) {
    connections[ObjectIdentifier(connection)] = nil
  }

  /// Knows a connection until it is closed.
  func keep(_ channel: any Channel) {
    channels[ObjectIdentifier(channel)] = channel
    let bound = NIOLoopBound(self, eventLoop: loop)
    channel.closeFuture.whenComplete { _ in bound.value.channels[ObjectIdentifier(channel)] = nil }
  }

  func closeAll() {
    for connection in connections.values { connection.cutOff() }
    for channel in channels.values { channel.close(promise: nil) }
  }

  private func tick() {
    let now = NIODeadline.now()
    for connection in connections.values { connection.tick(now: now) }
  }

  /// A new id for a request that brought none.
  func newRequestID() -> UUID { .v7(from: &random) }

  /// Now, as the `Date` field spells it (RFC 9110 §5.6.7): `Sun, 06 Nov 1994 08:49:37 GMT`.
  var date: [UInt8] {
    var now = time(nil)
    if now != dateSecond {
      dateSecond = now
      var parts = tm()
      gmtime_r(&now, &parts)
      let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
      let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
      func two(_ value: Int32) -> String { value < 10 ? "0\(value)" : "\(value)" }
      dateText = Array(
        """
        \(days[Int(parts.tm_wday)]), \(two(parts.tm_mday)) \(months[Int(parts.tm_mon)]) \(parts.tm_year + 1900) \
        \(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec)) GMT
        """.utf8)
    }
    return dateText
  }
}
