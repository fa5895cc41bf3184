import CRMCore
import Crypto
import Foundation
import Logging
import PostgresClient
import Synchronization

/// Knows callers by their credentials. Who somebody is and what they may is computed once and kept until the database says that
/// something changed (`muhatap_access`), at most for `cacheFor`.
final class Authenticator: Sendable {
  typealias Completion = @Sendable (Result<Caller, Problem>) -> Void

  private struct Entry {
    let caller: Caller
    let until: Deadline
  }

  private struct State {
    var entries: [SHA256Digest: Entry] = [:]
    var waiting: [SHA256Digest: [Completion]] = [:]
    /// Counts the times that everything was forgotten, so that what was looked up before is not kept after.
    var generation = 0
  }

  private static let capacity = 50_000
  /// Credentials looked up at once. A flood of invented ones must not take the database from those who are known.
  private static let lookUpLimit = 64

  private let lookup: CallerLookup
  private let signs: SignsOfLife
  private let cacheFor: Duration
  private let logger: Logger
  private let state = Mutex(State())

  init(lookup: CallerLookup, signs: SignsOfLife, cacheFor: Duration, logger: Logger) {
    self.lookup = lookup
    self.signs = signs
    self.cacheFor = cacheFor
    self.logger = logger
  }

  /// The caller, if known already; nil if `lookUp` has to be asked.
  func known(authorization: String?) throws(Problem) -> Caller? {
    guard let authorization else { throw .unauthenticated }
    let key = Self.key(authorization)
    let now = Deadline.now
    let caller = state.withLock { state -> Caller? in
      guard let entry = state.entries[key] else { return nil }
      if entry.until > now { return entry.caller }
      state.entries[key] = nil
      return nil
    }
    if let user = caller?.userID { signs.note(user) }
    return caller
  }

  /// Finds out who the caller is. However many ask for one credential at once, it is looked up once.
  func lookUp(authorization: String?, completion: @escaping Completion) {
    guard let authorization, let token = bearerToken(authorization) else {
      completion(.failure(.unauthenticated))
      return
    }
    let key = Self.key(authorization)
    let (isFirst, isFull, generation) = state.withLock { state in
      let isFirst = state.waiting[key] == nil
      let isFull = isFirst && state.waiting.count >= Self.lookUpLimit
      if !isFull { state.waiting[key, default: []].append(completion) }
      return (isFirst, isFull, state.generation)
    }
    if isFull { completion(.failure(.busy)) }
    guard isFirst, !isFull else { return }
    Task {
      let result = await find(token)
      let waiting = state.withLock { state in
        if case .success(let found) = result, state.generation == generation {
          if state.entries.count >= Self.capacity { state.entries.removeAll() }
          let until = min(Deadline.after(cacheFor), found.until ?? .never)
          state.entries[key] = Entry(caller: found.caller, until: until)
        }
        return state.waiting.removeValue(forKey: key) ?? []
      }
      if case .success(let found) = result, let user = found.caller.userID { signs.note(user) }
      for completion in waiting { completion(result.map(\.caller)) }
    }
  }

  private func find(_ token: String) async -> Result<CallerLookup.Found, Problem> {
    do {
      return .success(try await lookup.find(token))
    } catch {
      let problem = Problem(describing: error)
      if problem.status >= 500 { logger.warning("caller not looked up", metadata: ["error": "\(String(reflecting: error))"]) }
      return .failure(problem)
    }
  }

  /// Forgets everybody at every notification that something changed, and whenever one may have been missed. Runs until cancelled.
  /// - Parameter forgotten: told each time afterwards.
  func listen(to notifications: AsyncStream<PostgresNotification>, forgotten: @Sendable () -> Void = {}) async {
    for await _ in notifications {
      forget()
      forgotten()
    }
  }

  /// The caller, from memory or from the database.
  func caller(authorization: String?) async throws -> Caller {
    if let caller = try known(authorization: authorization) { return caller }
    return try await withCheckedContinuation { continuation in
      lookUp(authorization: authorization) { continuation.resume(returning: $0) }
    }.get()
  }

  func forget() {
    state.withLock { state in
      state.entries.removeAll(keepingCapacity: true)
      state.generation += 1
    }
  }

  /// Credentials are kept as hashes here too.
  private static func key(_ authorization: String) -> SHA256Digest {
    var hasher = SHA256()
    var text = authorization
    text.withUTF8 { hasher.update(bufferPointer: UnsafeRawBufferPointer($0)) }
    return hasher.finalize()
  }
}
