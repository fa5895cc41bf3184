package import CRMCore
package import Foundation

/// What is asked of the registry.
package struct RegistryRequest: Sendable {
  package enum Path: Sendable {
    /// One consent of a sender and brand.
    case consents(sender: String, brand: String)
    /// How the registry has one.
    case status(sender: String, brand: String)
    /// What was said to the registry itself, after a mark.
    case changes(sender: String, brand: String, after: String?)

    /// Below the registry's address.
    package var text: String {
      switch self {
      case .consents(let sender, let brand): "/sps/\(sender)/brands/\(brand)/consents"
      case .status(let sender, let brand): "/sps/\(sender)/brands/\(brand)/consents/status"
      case .changes(let sender, let brand, let after): "/sps/\(sender)/brands/\(brand)/consents/changes?source=IYS\(after.map { "&after=\($0)" } ?? "")"
      }
    }
  }

  package let path: Path
  package let body: JSON?
}

package struct RegistryAnswer: Sendable {
  package let status: Int
  package let body: JSON

  package init(status: Int, body: JSON) {
    self.status = status
    self.body = body
  }
}

/// The registry did not answer; the same is sent again later.
package struct RegistryUnreachable: Error {
  package init() {}
}

/// The registry's answer 422.
package struct RegistryError: Error, Hashable {
  package let codes: [String]

  package init(refusals: [RegistryRefusal]) { codes = refusals.map(\.rawValue) }
  init(codes: [String]) { self.codes = codes }

  package var json: JSON { ["errors": .array(codes.map { ["code": .string($0), "location": [], "message": .string($0)] })] }
}

/// Speaks to the registry: puts consents into it, reads what people said to it.
package struct RegistryClient: Sendable {
  /// Brings a request there and the answer back; throws `RegistryUnreachable` when that does not work.
  package let exchange: @Sendable (RegistryRequest) async throws -> RegistryAnswer

  package init(exchange: @escaping @Sendable (RegistryRequest) async throws -> RegistryAnswer) { self.exchange = exchange }

  /// Puts one consent there. When an earlier answer was lost the registry refuses what it already took; then it is asked how it has it.
  /// - Returns: its transaction, or why it was not taken.
  package func put(_ record: RegistryRecord, sender: String, brand: String) async throws -> Result<String, RegistryError> {
    let answer = try await exchange(.init(path: .consents(sender: sender, brand: brand), body: record.json))
    if answer.status == 200, let transaction = answer.body["transactionId"]?.string { return .success(transaction) }
    guard answer.status == 422 else { throw RegistryUnreachable() }
    let there = try await exchange(.init(path: .status(sender: sender, brand: brand), body: record.json))
    if there.status == 200, let transaction = there.body["transactionId"]?.string, RegistryRecord(json: there.body) == record { return .success(transaction) }
    return .failure(RegistryError(codes: (answer.body["errors"]?.array ?? []).compactMap { $0["code"]?.string }))
  }

  package struct Change: Sendable {
    package let transaction: String
    package let record: RegistryRecord
  }

  /// What was said to the registry itself after a mark, and the mark to go on from.
  package func changes(sender: String, brand: String, after: String?) async throws -> (changes: [Change], after: String?) {
    let answer = try await exchange(.init(path: .changes(sender: sender, brand: brand, after: after), body: nil))
    guard answer.status == 200 else { throw RegistryUnreachable() }
    let changes = (answer.body["list"]?.array ?? []).compactMap { item -> Change? in
      guard let transaction = item["transactionId"]?.string, let record = RegistryRecord(json: item) else { return nil }
      return Change(transaction: transaction, record: record)
    }
    return (changes, answer.body["after"]?.string)
  }
}
