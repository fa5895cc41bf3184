import Foundation
import Synchronization

/// Takes finished log lines and writes them to a descriptor on a thread of its own, many at a time: a slow reader of the log never
/// holds up a request, and a busy server does not pay a system call for each line. When the reader falls 8 MiB behind, lines are
/// dropped and their number is logged.
package final class LogSink: Sendable {
  private struct State {
    var pending: [UInt8] = []
    var dropped = 0
  }

  private static let capacity = 8 << 20
  private static let urgentSize = 64 << 10

  private let descriptor: Int32
  private let state = Mutex(State())
  private let writing = Mutex(())
  /// Signalled when the first line is waiting.
  private let arrived = DispatchSemaphore(value: 0)
  /// Signalled when lines should not wait for company.
  private let urgent = DispatchSemaphore(value: 0)

  /// - Parameter interval: how long a line may wait for company, in seconds.
  package init(descriptor: Int32 = 1, interval: Double = 0.2) {
    self.descriptor = descriptor
    Thread.detachNewThread { [weak self, arrived, urgent] in
      while true {
        arrived.wait()
        _ = urgent.wait(timeout: .now() + interval)
        guard let self else { return }
        self.flush()
      }
    }
  }

  deinit {
    arrived.signal()
    urgent.signal()
  }

  /// Queues one line; `isUrgent` has it written without waiting for more.
  func append(_ line: [UInt8], isUrgent: Bool) {
    let (wasEmpty, isFull) = state.withLock { state in
      let before = state.pending.count
      if before + line.count > Self.capacity {
        state.dropped += 1
      } else {
        state.pending += line
      }
      return (before == 0, before < Self.urgentSize && state.pending.count >= Self.urgentSize)
    }
    if wasEmpty { arrived.signal() }
    if isUrgent || isFull { urgent.signal() }
  }

  /// Writes all that waits, on the calling thread: for the end of the program.
  package func flush() {
    writing.withLock { _ in
      let (bytes, dropped) = state.withLock { state in
        defer { state = State() }
        return (state.pending, state.dropped)
      }
      write(bytes)
      if dropped > 0 { write(Array("{\"level\":\"warning\",\"message\":\"log lines dropped\",\"count\":\(dropped)}\n".utf8)) }
    }
  }

  private func write(_ bytes: [UInt8]) {
    var rest = bytes[...]
    while !rest.isEmpty {
      let written = rest.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
      if written > 0 {
        rest = rest.dropFirst(written)
      } else if errno != EINTR && errno != EAGAIN {
        return  // Nobody reads the log any more, so there is nowhere left to say so.
      }
    }
  }
}
