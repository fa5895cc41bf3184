import CRMCore
import Crypto
import Foundation

/// Contracts by the text of their document. Almost all servers of a test run serve the same document, and reading it takes seconds.
actor ReadContracts {
  static let shared = ReadContracts()
  private var contracts: [SHA256.Digest: Task<APIContract, any Error>] = [:]

  func contract(_ document: Data) async throws -> APIContract {
    let digest = SHA256.hash(data: document)
    let task = contracts[digest] ?? Task { APIContract(document: try JSONDecoder().decode(JSON.self, from: document)) }
    contracts[digest] = task
    return try await task.value
  }
}
