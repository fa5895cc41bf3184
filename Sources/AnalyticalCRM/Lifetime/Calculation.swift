internal import Dispatch
import Synchronization

/// Work of seconds on the processor, such as fitting a model: it has a thread of its own, so that jobs and requests go on meanwhile.
enum Calculation {
  /// One at a time: a second would only make both slower.
  private static let queue = DispatchQueue(label: "muhatap.models", qos: .utility)

  private final class Stop: Sendable {
    let isAsked = Atomic(false)
  }

  /// - Parameter body: calls the function it is given every few milliseconds, which throws `CancellationError` once the task was cancelled.
  static func run<Value: Sendable>(_ body: @Sendable @escaping (_ checkpoint: @escaping @Sendable () throws -> Void) throws -> Value) async throws -> Value {
    let stop = Stop()
    return try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Value, any Error>) in
        queue.async {
          continuation.resume(
            with: Result {
              try body { if stop.isAsked.load(ordering: .relaxed) { throw CancellationError() } }
            })
        }
      }
    } onCancel: {
      stop.isAsked.store(true, ordering: .relaxed)
    }
  }
}
