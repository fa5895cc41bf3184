package import CRMCore
import Crypto
import Foundation

/// What is asked of the registry.
package struct RegistryRequest: Sendable {
  package enum Path: Sendable {
    /// One consent of a sender and brand.
    case consents(sender: String, brand: String)
    /// Many at once, which it works through by itself.
    case batch(sender: String, brand: String)
    /// What came of such a batch.
    case batchResult(sender: String, brand: String, request: String)
    /// How the registry has one.
    case status(sender: String, brand: String)
    /// What was said to the registry itself, after a mark.
    case changes(sender: String, brand: String, after: String?)

    /// Below the registry's address.
    package var text: String {
      switch self {
      case .consents(let sender, let brand): "/sps/\(sender)/brands/\(brand)/consents"
      case .batch(let sender, let brand): "/sps/\(sender)/brands/\(brand)/consents/request"
      case .batchResult(let sender, let brand, let request): "/sps/\(sender)/brands/\(brand)/consents/request/\(request.percentEncoded)"
      case .status(let sender, let brand): "/sps/\(sender)/brands/\(brand)/consents/status"
      case .changes(let sender, let brand, let after):
        "/sps/\(sender)/brands/\(brand)/consents/changes?source=IYS\(after.map { "&after=\($0.percentEncoded)" } ?? "")"
      }
    }
  }

  package let path: Path
  package let body: JSON?

  package init(path: Path, body: JSON?) {
    self.path = path
    self.body = body
  }
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
package struct RegistryUnreachable: Error, CustomStringConvertible {
  /// What was wrong, without secrets and addresses of people.
  package let description: String

  package init(_ description: String = "the registry did not answer") { self.description = description }
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
    guard answer.status == 422 else { throw RegistryUnreachable("the registry answered \(answer.status) to a consent") }
    return try await settled(record, refusedBy: Self.codes(answer.body["errors"]), sender: sender, brand: brand)
  }

  /// What a refusal of the registry means: nothing, when it has exactly this record.
  package func settled(_ record: RegistryRecord, refusedBy codes: [String], sender: String, brand: String) async throws -> Result<String, RegistryError> {
    if let there = try await status(of: record, sender: sender, brand: brand), there.record == record { return .success(there.transaction) }
    return .failure(RegistryError(codes: codes))
  }

  /// How the registry has an address; nil when it has nothing of it.
  package func status(of record: RegistryRecord, sender: String, brand: String) async throws -> Change? {
    let question: JSON = ["recipient": .string(record.recipient), "recipientType": .string(record.recipientType), "type": .string(record.type)]
    let answer = try await exchange(.init(path: .status(sender: sender, brand: brand), body: question))
    if answer.status == 404 || answer.status == 422 { return nil }
    guard answer.status == 200 else { throw RegistryUnreachable("the registry answered \(answer.status) to a question") }
    guard let there = RegistryRecord(json: answer.body) else { return nil }
    return Change(transaction: answer.body["transactionId"]?.string ?? Self.name(of: there, brand), record: there)
  }

  /// What stands for the transaction of a record where the registry does not tell it: the same for the same record.
  private static func name(of record: RegistryRecord, _ brand: String) -> String {
    let parts = [brand, record.recipient, record.recipientType, record.type, record.status, RegistryRecord.text(record.consentDate)]
    return "record-" + SHA256.hash(data: Data(parts.joined(separator: "\n").utf8)).hexadecimal
  }

  private static func codes(_ errors: JSON?) -> [String] { (errors?.array ?? []).compactMap { $0["code"]?.string } }

  /// Many consents that the registry works through by itself.
  package struct Batch: Sendable {
    /// What the registry calls it.
    package let request: String
    /// What it calls each record, in the order they were given; nil where it did not say.
    package let names: [String?]
  }

  /// Puts many consents there at once. There is one at most for each recipient, recipient type and type.
  /// - Returns: nil when the registry does not take them together.
  package func putTogether(_ records: [RegistryRecord], sender: String, brand: String) async throws -> Batch? {
    let answer = try await exchange(.init(path: .batch(sender: sender, brand: brand), body: .array(records.map(\.json))))
    if answer.status == 422 { return nil }
    guard answer.status == 200 || answer.status == 202, let request = answer.body["requestId"]?.string, !request.isEmpty, request.count <= 200 else {
      throw RegistryUnreachable("the registry answered \(answer.status) to a batch")
    }
    func key(_ item: JSON) -> [String?] { [item["recipient"]?.string, item["recipientType"]?.string, item["type"]?.string] }
    var names: [[String?]: String] = [:]
    for item in answer.body["subRequests"]?.array ?? [] {
      names[key(item)] = item["subRequestId"]?.string ?? item["subrequestId"]?.string
    }
    return Batch(request: request, names: records.map { names[key($0.json)].flatMap { $0.count <= 200 ? $0 : nil } })
  }

  /// What came of a record in a batch; those that the registry has not come to are not among them.
  package struct BatchAnswer: Sendable {
    package let name: String
    package let outcome: Result<String, RegistryError>
  }

  /// What came of a batch so far.
  package func results(of request: String, sender: String, brand: String) async throws -> [BatchAnswer] {
    let answer = try await exchange(.init(path: .batchResult(sender: sender, brand: brand, request: request), body: nil))
    guard answer.status == 200, let items = answer.body.array else { throw RegistryUnreachable("the registry answered \(answer.status) about a batch") }
    return items.compactMap { item in
      guard let name = item["subRequestId"]?.string ?? item["subrequestId"]?.string else { return nil }
      switch item["status"]?.string {
      case "success": return BatchAnswer(name: name, outcome: .success(item["transactionId"]?.string ?? name))
      case "failure":
        let codes = item["error"].map { $0.array == nil ? [$0] : $0.array ?? [] } ?? []
        return BatchAnswer(name: name, outcome: .failure(RegistryError(codes: Self.codes(.array(codes)))))
      default: return nil
      }
    }
  }

  package struct Change: Sendable {
    package let transaction: String
    package let record: RegistryRecord
  }

  /// What was said to the registry itself after a mark, and the mark to go on from.
  package func changes(sender: String, brand: String, after: String?) async throws -> (changes: [Change], after: String?) {
    let answer = try await exchange(.init(path: .changes(sender: sender, brand: brand, after: after), body: nil))
    guard answer.status == 200 else { throw RegistryUnreachable("the registry answered \(answer.status) about its changes") }
    let changes = (answer.body["list"]?.array ?? []).compactMap { item -> Change? in
      guard let transaction = item["transactionId"]?.string, let record = RegistryRecord(json: item) else { return nil }
      return Change(transaction: transaction, record: record)
    }
    return (changes, answer.body["after"]?.string)
  }
}
