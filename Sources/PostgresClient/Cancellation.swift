internal import CLibPQ
import Foundation

/// The means to ask the server to stop what a connection is doing.
///
/// `@unchecked Sendable`: libpq made it for use from any thread; it is used by one, which frees it.
struct Cancellation: @unchecked Sendable {
  private let pointer: OpaquePointer

  /// - Returns: nil if the connection is already closed.
  init?(_ connection: Connection) {
    guard let pointer = PQgetCancel(connection.pg) else { return nil }
    self.pointer = pointer
  }

  /// Sends the request. libpq opens a connection for it and waits, so it does that on a thread of its own.
  func send() {
    let thread = Thread {
      withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { message in
        // If the server cannot be reached, there is nothing left to stop: the connection itself is closed in any case.
        _ = PQcancel(pointer, message.baseAddress, Int32(message.count))
      }
      PQfreeCancel(pointer)
    }
    thread.name = "postgres-cancel"
    thread.start()
  }
}
