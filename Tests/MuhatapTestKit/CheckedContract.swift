import CRMCore
import Synchronization

/// The contract of a running API, kept until an exchange does not fit it: custom fields change the document, so it is read again before
/// anything is complained of.
package final class CheckedContract: Sendable {
  private let contract = Mutex<APIContract?>(nil)
  private let load: @Sendable () async throws -> APIContract

  /// - Parameter load: reads the OpenAPI document as it stands now.
  package init(_ load: @Sendable @escaping () async throws -> APIContract) { self.load = load }

  /// - Throws: `APIContract.Violation` with everything that is not as documented.
  package func check(_ exchange: APIContract.Exchange) async throws {
    if let known = contract.withLock(\.self), known.mistakes(in: exchange).isEmpty { return }
    var mistakes: [String] = []
    // The document may be a moment behind the definition of a custom field.
    let patience = ContinuousClock.now + .seconds(60)
    repeat {
      let fresh = try await load()
      contract.withLock { $0 = fresh }
      mistakes = fresh.mistakes(in: exchange)
      if mistakes.isEmpty { return }
      if !mistakes.contains(where: { $0.contains("custom") }) { break }
      try await Task.sleep(for: .milliseconds(100))
    } while ContinuousClock.now < patience
    throw APIContract.Violation(
      description: "\(exchange.method.rawValue) \(exchange.path) → \(exchange.status): " + mistakes.prefix(8).joined(separator: "; "))
  }
}
