package import CRMCore
package import Foundation

/// What is asked of the registry.
package struct RegistryRequest: Sendable {
  package enum Path: Sendable {
    /// One consent of a sender and brand.
    case consents(sender: String, brand: String)
    /// Many consents, answered one by one in their order.
    case batch(sender: String, brand: String)
    /// What was said to the registry itself, after a mark.
    case changes(sender: String, brand: String, after: String?)

    /// Below the registry's address.
    package var text: String {
      switch self {
      case .consents(let sender, let brand): "/sps/\(sender)/brands/\(brand)/consents"
      case .batch(let sender, let brand): "/sps/\(sender)/brands/\(brand)/consents/request"
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

  /// - Returns: for each record its transaction, or why it was not taken.
  package func put(_ records: [RegistryRecord], sender: String, brand: String) async throws -> [Result<String, RegistryError>] {
    let answer = try await exchange(.init(path: .batch(sender: sender, brand: brand), body: .array(records.map(\.json))))
    guard answer.status == 200, let items = answer.body.array, items.count == records.count else { throw RegistryUnreachable() }
    return items.map { item in
      if let transaction = item["transactionId"]?.string { return .success(transaction) }
      return .failure(RegistryError(codes: (item["errors"]?.array ?? []).compactMap { $0["code"]?.string }))
    }
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
