import CRMCore
import Crypto
import CryptoExtras
import Foundation
import NIOPosix
import Synchronization

/// What deriving a key from a password costs: memory is 128 · blocks · 2^logRounds bytes, 128 MiB by default.
package struct PasswordCost: Sendable, Hashable {
  package var logRounds: Int
  package var blocks: Int
  package var lanes: Int

  package init(logRounds: Int = 17, blocks: Int = 8, lanes: Int = 1) {
    self.logRounds = logRounds
    self.blocks = blocks
    self.lanes = lanes
  }
}

/// Hashes and checks passwords with scrypt, two at a time on threads of their own: each takes a good part of a second and 128 MiB.
package final class Passwords: Sendable {
  /// A stored hash: `scrypt$ln=17,r=8,p=1$<salt>$<key>`, the last two in Base64.
  private struct Hash {
    let cost: PasswordCost
    let salt: [UInt8]
    let key: [UInt8]

    init(cost: PasswordCost, salt: [UInt8], key: [UInt8]) {
      self.cost = cost
      self.salt = salt
      self.key = key
    }

    init?(_ text: String) {
      let parts = text.split(separator: "$", omittingEmptySubsequences: false)
      guard parts.count == 4, parts[0] == "scrypt", let salt = Data(base64Encoded: String(parts[2])), let key = Data(base64Encoded: String(parts[3]))
      else { return nil }
      var values: [Substring: Int] = [:]
      for item in parts[1].split(separator: ",") {
        let pair = item.split(separator: "=")
        if pair.count == 2 { values[pair[0]] = Int(pair[1]) }
      }
      guard let logRounds = values["ln"], let blocks = values["r"], let lanes = values["p"], (1...20).contains(logRounds),
        (1...32).contains(blocks), (1...16).contains(lanes), key.count == 32
      else { return nil }
      self.init(cost: PasswordCost(logRounds: logRounds, blocks: blocks, lanes: lanes), salt: Array(salt), key: Array(key))
    }

    var text: String {
      "scrypt$ln=\(cost.logRounds),r=\(cost.blocks),p=\(cost.lanes)$\(Data(salt).base64EncodedString())$\(Data(key).base64EncodedString())"
    }
  }

  /// Checks that may wait for one of the two threads; more are told that the server is busy.
  private static let queueLimit = 32

  private let cost: PasswordCost
  private let threads: NIOThreadPool
  private let waiting = Mutex(0)
  /// What a password is compared with when there is no such user, so that both take equally long.
  private let nobody: Hash

  package init(cost: PasswordCost = PasswordCost()) {
    self.cost = cost
    threads = NIOThreadPool(numberOfThreads: 2)
    threads.start()
    nobody = Hash(cost: cost, salt: Self.random(16), key: Self.random(32))
  }

  /// What is stored of a password.
  package func hash(_ password: String) async throws -> String {
    let salt = Self.random(16)
    let cost = cost
    let key = try await run { try Self.derive(password, salt, cost) }
    return Hash(cost: cost, salt: salt, key: key).text
  }

  /// Whether a password is the stored one; false, after the same time, when nothing is stored.
  package func verify(_ password: String, against stored: String?) async throws -> Bool {
    let known = stored.flatMap(Hash.init)
    let hash = known ?? nobody
    let key = try await run { try Self.derive(password, hash.salt, hash.cost) }
    // Every byte is compared, whatever the first ones say.
    let difference = zip(key, hash.key).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) }
    return difference == 0 && known != nil
  }

  package func shutdown() async throws { try await threads.shutdownGracefully() }

  private func run(_ work: @escaping @Sendable () throws -> [UInt8]) async throws -> [UInt8] {
    let isFull = waiting.withLock { count in
      if count >= Self.queueLimit { return true }
      count += 1
      return false
    }
    if isFull { throw Problem.busy }
    defer { waiting.withLock { $0 -= 1 } }
    return try await threads.runIfActive(work)
  }

  private static func derive(_ password: String, _ salt: [UInt8], _ cost: PasswordCost) throws -> [UInt8] {
    let key = try KDF.Scrypt.deriveKey(
      from: Array(password.precomposedStringWithCompatibilityMapping.utf8), salt: salt, outputByteCount: 32, rounds: 1 << cost.logRounds,
      blockSize: cost.blocks, parallelism: cost.lanes)
    return key.withUnsafeBytes { Array($0) }
  }

  private static func random(_ count: Int) -> [UInt8] {
    SymmetricKey(size: SymmetricKeySize(bitCount: count * 8)).withUnsafeBytes { Array($0) }
  }
}
