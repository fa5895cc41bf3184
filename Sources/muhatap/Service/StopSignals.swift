@preconcurrency import Dispatch
import Foundation
import Synchronization

/// SIGTERM and SIGINT, as something to wait for. Once made, neither ends the program by itself.
final class StopSignals: Sendable {
  private final class Count: Sendable {
    let value = Atomic(0)
  }

  private let arrived: AsyncStream<Void>
  private let sources: [any DispatchSourceSignal]

  init() {
    let (stream, continuation) = AsyncStream.makeStream(of: Void.self)
    arrived = stream
    let interrupts = Count()
    sources = [SIGTERM, SIGINT].map { number in
      signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number)
      source.setEventHandler {
        // Someone who presses Ctrl-C twice does not want to wait.
        if number == SIGINT, interrupts.value.wrappingAdd(1, ordering: .relaxed).newValue > 1 { _exit(130) }
        continuation.yield()
      }
      source.resume()
      return source
    }
  }

  /// Returns when the program was asked to stop.
  func wait() async {
    for await _ in arrived { return }
  }
}
