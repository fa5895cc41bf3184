import Foundation
package import Logging
import PostgresClient
import Synchronization

/// The change log as it grows, told to many at once: one reader a process, whose latest batches are kept in memory for all clients. A client is nothing but a
/// place in the log; whoever is further behind than memory goes, or comes back with an old cursor, is read for from the database.
package final class LiveFeed: Sendable {
  package struct Limits: Sendable {
    /// Clients at once.
    package var clients = 5_000
    /// Clients of one user at once.
    package var clientsPerCaller = 100
    /// Bytes of changes kept in memory.
    package var memory = 16 << 20
    /// How often the log is looked at while somebody listens. No NOTIFY wakes the reader: one a transaction would make all commits wait for each other.
    package var interval: Duration = .milliseconds(60)
    /// How often it is asked whether clients still may listen: credentials and shares end without anything being changed.
    package var review: Duration = .seconds(5)

    package init() {}
  }

  enum Phase {
    /// Follows the batches in memory.
    case live
    /// Is to be read for from the database.
    case behind
    /// Is being read for.
    case catchingUp
    case ended(LiveEnding)
  }

  struct Client {
    var group: Int
    let wish: LiveWish
    let form: LiveForm
    /// Everything up to here was handed out; nil while it is not known where now is.
    var position: ChangePosition?
    var phase = Phase.behind
    /// Rights changed, and what they are now is not known yet: nothing is handed out meanwhile.
    var review: Int?
    var pending: [UInt8] = []
    /// The batch it takes next, while live.
    var next = 0
    let identity: Caller.Identity
    let wake: @Sendable () -> Void
  }

  struct State {
    var clients: [Int: Client] = [:]
    var perCaller: [Caller.Identity: Int] = [:]
    var groups: [Int: LiveGroup] = [:]
    var groupsByKey: [LiveGroup.Key: Int] = [:]
    var audiences: [LiveAudience: Int] = [:]
    var lastID = 0
    var batches: [ChangeBatch] = []
    var nextBatch = 0
    var memory = 0
    /// The log is in memory from behind this place on; nil while nobody reads it.
    var start: ChangePosition?
    var head: ChangePosition?
    var visibility: RowVisibility?
    var reviews = 0
    var isClosed = false
  }

  let database: Database
  let signer: CursorSigner
  let resources: Set<String>
  let limits: Limits
  let logger: Logger
  let state = Mutex(State())
  /// Rings when somebody begins to listen.
  let arrivals = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
  /// Clients to be read for from the database.
  let backlog = AsyncStream.makeStream(of: Int.self)
  private static let pieceSize = 96 << 10

  /// - Parameters:
  ///   - signer: seals cursors, as those of all gateways.
  ///   - resources: what clients may ask for by name.
  package init(database: Database, signer: CursorSigner, resources: Set<String>, limits: Limits = Limits(), logger: Logger) {
    self.database = database
    self.signer = signer
    self.resources = resources
    self.limits = limits
    self.logger = logger
  }

  /// - Parameters:
  ///   - wake: called from anywhere when there may be something to take; it must be quick.
  /// - Throws: a problem when too many listen already.
  package func subscribe(_ wish: LiveWish, as caller: Caller, form: LiveForm, wake: @escaping @Sendable () -> Void) throws(Problem) -> LiveSubscription {
    let result = state.withLock { state -> Result<Int, Problem> in
      if state.isClosed || state.clients.count >= limits.clients { return .failure(.busy) }
      if state.perCaller[caller.identity, default: 0] >= limits.clientsPerCaller, !caller.isSystem {
        return .failure(.tooManyListeners(limits.clientsPerCaller))
      }
      state.lastID += 1
      let id = state.lastID
      state.perCaller[caller.identity, default: 0] += 1
      let group = Self.join(wish, caller, form, alone: wish.content == nil ? nil : id, in: &state)
      state.clients[id] = Client(group: group, wish: wish, form: form, position: wish.after, identity: caller.identity, wake: wake)
      return .success(id)
    }
    let id = try result.get()
    arrivals.continuation.yield()
    return LiveSubscription(id: id, feed: self)
  }

  private static func join(_ wish: LiveWish, _ caller: Caller, _ form: LiveForm, alone: Int?, in state: inout State) -> Int {
    let audience = LiveAudience(caller)
    let audienceID = state.audiences[audience] ?? state.lastID
    state.audiences[audience] = audienceID
    let key = LiveGroup.Key(audience: audienceID, resources: wish.resources, record: wish.record?.lowercase, form: form, alone: alone)
    let id = state.groupsByKey[key] ?? state.lastID
    state.groupsByKey[key] = id
    state.groups[id, default: LiveGroup(key: key, audience: audienceID, caller: caller, wish: wish, form: form)].members += 1
    return id
  }

  private static func part(_ id: Int, in state: inout State) {
    guard var group = state.groups[id] else { return }
    group.members -= 1
    guard group.members == 0 else {
      state.groups[id] = group
      return
    }
    state.groups[id] = nil
    state.groupsByKey[group.key] = nil
    if !state.groups.values.contains(where: { $0.audience == group.audience }) { state.audiences[LiveAudience(group.caller)] = nil }
  }

  /// Moves a client to the group of what it may see now.
  static func regroup(_ client: Client, _ caller: Caller, in state: inout State) -> Int {
    state.lastID += 1
    let group = join(client.wish, caller, client.form, alone: nil, in: &state)
    part(client.group, in: &state)
    return group
  }

  func leave(_ id: Int) {
    state.withLock { state in
      guard let client = state.clients.removeValue(forKey: id) else { return }
      let left = state.perCaller[client.identity, default: 1] - 1
      state.perCaller[client.identity] = left > 0 ? left : nil
      Self.part(client.group, in: &state)
    }
  }

  /// How many listen.
  package var count: Int { state.withLock { $0.clients.count } }

  // MARK: - Taking

  func take(for id: Int) -> LiveSubscription.Taken {
    let (taken, isBehind) = state.withLock { state -> (LiveSubscription.Taken, Bool) in
      guard var client = state.clients[id] else { return (.ended([]), false) }
      defer { if state.clients[id] != nil { state.clients[id] = client } }
      if case .ended(let reason) = client.phase {
        return (.ended(client.form.notice("end", cursor: client.position.flatMap { try? $0.sealed(by: signer) }, reason: reason.rawValue)), false)
      }
      if client.review != nil { return (.nothing, false) }
      if !client.pending.isEmpty {
        defer { client.pending = [] }
        return (.bytes(client.pending), false)
      }
      switch client.phase {
      case .catchingUp, .ended: return (.nothing, false)
      case .behind:
        client.phase = .catchingUp
        return (.nothing, true)
      case .live:
        let bytes = Self.advance(&client, in: &state)
        if bytes.isEmpty, case .behind = client.phase {
          client.phase = .catchingUp
          return (.nothing, true)
        }
        return (bytes.isEmpty ? .nothing : .bytes(bytes), false)
      }
    }
    if isBehind { backlog.continuation.yield(id) }
    return taken
  }

  /// Moves a client on through the batches in memory, and says what it sees on the way.
  private static func advance(_ client: inout Client, in state: inout State) -> [UInt8] {
    guard let place = client.position, let start = state.start, place >= start, let visibility = state.visibility, let group = state.groups[client.group] else {
      client.phase = .behind
      return []
    }
    var bytes: [UInt8] = []
    let first = state.nextBatch - state.batches.count
    client.next = max(client.next, first)
    while client.next < state.nextBatch, bytes.count < pieceSize {
      let index = client.next - first
      let batch = state.batches[index]
      let last = batch.last
      if let position = client.position, position >= last {
        client.next += 1
        continue
      }
      let decided = batch.decided[group.audience]
      if batch.needsDecisions, decided == nil, client.wish.content == nil {
        client.phase = .behind
        return bytes
      }
      let isWhole = client.position.map { $0 < batch.changes[0].position } ?? true
      if isWhole, let written = batch.written[client.group] {
        bytes += written
      } else {
        let written = group.write(batch.changes, decided: decided ?? [], visibility: visibility, after: client.position)
        if isWhole { state.batches[index].written[client.group] = written }
        bytes += written
      }
      client.position = last
      client.next += 1
    }
    return bytes
  }

  func heartbeat(for id: Int) -> [UInt8] {
    state.withLock { state in
      guard let client = state.clients[id] else { return [] }
      // What is still pending stands behind the place that was handed out.
      let place = client.pending.isEmpty ? client.position : nil
      return client.form.notice("heartbeat", cursor: place.flatMap { try? $0.sealed(by: signer) })
    }
  }
}

extension Problem {
  static func tooManyListeners(_ limit: Int) -> Problem {
    Problem(
      429, "too-many-connections",
      Phrase(
        "You already follow changes on \(limit) connections. Close one first.",
        tr: "Değişiklikleri zaten \(limit) bağlantıdan izliyorsunuz. Önce birini kapatın."),
      retryAfter: 30)
  }
}
