import Foundation
import Logging
import PostgresClient
import Synchronization

/// How the feed reads the log.
extension LiveFeed {
  private static let batch = 1_000
  private static let page = 500
  /// Clients that are read for at once: those who come back all together must not take the database from the others.
  private static let readers = 4
  /// Resources whose changes decide what people may see.
  private static let rights: Set<String> = [
    "departments", "users", "roles", "role_permissions", "user_roles", "share_rules", "api_keys", "sessions",
  ]

  /// Reads until the task is cancelled.
  /// - Parameter forget: makes whoever remembers callers look them up anew.
  package func run(forget: @escaping @Sendable () -> Void) async {
    await withTaskGroup(of: Void.self) { group in
      group.addTask { await self.follow(forget) }
      group.addTask { await self.serveBacklog() }
      group.addTask { await self.reviewRegularly() }
      await group.waitForAll()
    }
  }

  private func follow(_ forget: @escaping @Sendable () -> Void) async {
    var bell = arrivals.stream.makeAsyncIterator()
    while !Task.isCancelled {
      if count == 0 {
        rest()
        guard await bell.next() != nil else { return }
        continue
      }
      do {
        if try await read(forget) { continue }
        try await Task.sleep(for: limits.interval)
      } catch {
        if Task.isCancelled { return }
        logger.warning("the change log could not be read; trying again", metadata: ["error": "\(error)"])
        do { try await Task.sleep(for: .seconds(1)) } catch { return }
      }
    }
  }

  /// Forgets everything when nobody listens.
  private func rest() {
    state.withLock { state in
      guard state.clients.isEmpty else { return }
      state.batches = []
      state.memory = 0
      state.start = nil
      state.head = nil
      state.visibility = nil
    }
  }

  /// Reads one batch and tells everybody. Says whether more is waiting.
  private func read(_ forget: @Sendable () -> Void) async throws -> Bool {
    guard let head = state.withLock({ $0.head }) else {
      try await begin()
      return true
    }
    let result = try await database.read(
      as: .system("follow changes"),
      "SELECT \(LiveChange.columns) FROM crm.changes_told_after(\(head.arguments), \(Self.batch), NULL) c ORDER BY c.xid, c.seq")
    guard result.count > 0 else { return false }
    let changes = try (0..<result.count).map { try LiveChange(result, $0, signer: signer) }
    if changes.contains(where: { Self.rights.contains($0.resource) }) {
      forget()
      review()
    }
    let asked = state.withLock { state in changes.filter { state.visibility?.needsDecision($0) ?? true } }
    var decided: [Int: Set<ChangePosition>] = [:]
    if !asked.isEmpty, let visibility = state.withLock({ $0.visibility }) {
      let audiences = state.withLock { state in
        Dictionary(state.groups.values.filter { $0.wish.content == nil }.map { ($0.audience, $0.caller) }, uniquingKeysWith: { first, _ in first })
      }
      for (audience, caller) in audiences { decided[audience] = try await visibility.readable(asked, by: caller, in: database) }
    }
    publish(changes, decided: decided, needsDecisions: !asked.isEmpty)
    return result.count == Self.batch
  }

  /// Begins at the place before which the log is complete now.
  private func begin() async throws {
    let visibility = try await RowVisibility.read(from: database)
    let place = try await horizon()
    let wakes = state.withLock { state in
      state.visibility = visibility
      state.start = place
      state.head = place
      return state.clients.values.map(\.wake)
    }
    for wake in wakes { wake() }
  }

  private func horizon() async throws -> ChangePosition {
    let result = try await database.read(as: .system("follow changes"), areas: [], ChangePosition.horizon)
    return ChangePosition(before: try Self.horizon(result))
  }

  private static func horizon(_ result: PostgresResult) throws -> UInt64 {
    guard let xid = UInt64(try result[0].decode(String.self, at: 0)) else { throw PostgresError(.decoding, "the horizon is no transaction") }
    return xid
  }

  private func publish(_ changes: [LiveChange], decided: [Int: Set<ChangePosition>], needsDecisions: Bool) {
    let wakes = state.withLock { state -> [@Sendable () -> Void] in
      let batch = ChangeBatch(changes: changes, decided: decided, needsDecisions: needsDecisions)
      state.batches.append(batch)
      state.nextBatch += 1
      state.memory += batch.size
      state.head = batch.last
      while state.memory > limits.memory, state.batches.count > 1 {
        let oldest = state.batches.removeFirst()
        state.memory -= oldest.size
        state.start = oldest.last
      }
      // Clients that keep up have taken the older ones; nobody else needs what they looked like.
      let old = state.batches.count - 8
      if old >= 0 { state.batches[old].written = [:] }
      return state.clients.values.map(\.wake)
    }
    for wake in wakes { wake() }
  }

  // MARK: - Clients that are behind

  /// Reads for the clients that are behind, in the order they fell behind, a few at a time.
  private func serveBacklog() async {
    await withTaskGroup(of: Void.self) { group in
      var atWork = 0
      for await id in backlog.stream {
        if atWork == Self.readers { await group.next() } else { atWork += 1 }
        group.addTask { await self.catchUp(id) }
      }
    }
  }

  /// Reads one page for a client from the database and decides as in memory: the log's own policy does not know records opened one by one. The client is live once nothing is between its place and memory.
  private func catchUp(_ id: Int) async {
    guard let (client, group) = state.withLock({ state in state.clients[id].flatMap { client in state.groups[client.group].map { (client, $0) } } }) else {
      return
    }
    do {
      let found = try await page(for: client, group)
      let wake = state.withLock { state -> (@Sendable () -> Void)? in
        guard var now = state.clients[id], case .catchingUp = now.phase else { return nil }
        if now.review != nil || now.group != client.group {
          // Rights changed meanwhile: what was read with the old ones is dropped.
          now.phase = .behind
        } else {
          now.pending += found.bytes
          now.position = found.position
          now.phase = found.isLast ? .live : .behind
          now.next = 0
        }
        state.clients[id] = now
        return now.wake
      }
      wake?()
    } catch {
      if Task.isCancelled { return }
      logger.warning("a client could not be read for; trying again", metadata: ["error": "\(error)"])
      state.withLock { $0.clients[id]?.phase = .behind }
      do { try await Task.sleep(for: .seconds(1)) } catch { return }
      client.wake()
    }
  }

  private func page(for client: Client, _ group: LiveGroup) async throws -> (bytes: [UInt8], position: ChangePosition, isLast: Bool) {
    guard let place = client.position else {
      let now = try await horizon()
      return (client.form.notice("heartbeat", cursor: try now.sealed(by: signer)), now, true)
    }
    let only = client.wish.resources.map { $0.sorted() }
    let results = try await database.pool.execute(
      [
        // First: whatever was complete then is seen by the statement after it.
        ChangePosition.horizon,
        """
        SELECT \(LiveChange.columns) FROM crm.changes_told_after(\(place.arguments), \(Self.page), \(only)) c ORDER BY c.xid, c.seq
        """,
      ], context: Caller.system("follow changes").context(reading: Set(Area.allCases)), deadline: .after(.seconds(10)))
    let horizon = ChangePosition(before: try Self.horizon(results[0]))
    let changes = try (0..<results[1].count).map { try LiveChange(results[1], $0, signer: signer) }
    let visibility: RowVisibility
    if let known = state.withLock({ $0.visibility }) { visibility = known } else { visibility = try await RowVisibility.read(from: database) }
    let decided = client.wish.content == nil ? try await visibility.readable(changes, by: group.caller, in: database) : []
    let bytes = group.write(changes, decided: decided, visibility: visibility, after: place)
    let isLast = changes.count < Self.page
    let last = changes.last?.position ?? place
    return (bytes, isLast ? max(last, horizon) : last, isLast)
  }

  // MARK: - Rights

  /// Asks for all clients, one after another, whether they still may listen. They are told of changes meanwhile, because nothing says that there is a reason to ask.
  private func reviewRegularly() async {
    while !Task.isCancelled {
      do { try await Task.sleep(for: limits.review) } catch { return }
      for id in state.withLock({ Array($0.clients.keys) }) { await reviewQuietly(id) }
    }
  }

  private func reviewQuietly(_ id: Int) async {
    guard let (reviews, reviewer) = state.withLock({ state in state.clients[id]?.wish.reviewer.map { (state.reviews, $0) } }) else { return }
    let result: Result<Caller, Problem>
    do { result = .success(try await reviewer()) } catch let problem as Problem where problem.status < 500 { result = .failure(problem) } catch {
      logger.warning("a client's rights could not be looked up; it is asked again", metadata: ["error": "\(error)"])
      return
    }
    let wake = state.withLock { state -> (@Sendable () -> Void)? in
      // What was found before rights changed says nothing any more.
      guard state.reviews == reviews, let client = state.clients[id], client.review == nil else { return nil }
      let group = client.group
      let wake = Self.settle(id, result, in: &state)
      if case .success = result, state.clients[id]?.group == group { return nil }
      return wake
    }
    wake?()
  }

  /// Rights changed: nobody is told anything until it is known again what they may see.
  package func review() {
    let asked = state.withLock { state -> [(Int, Int, @Sendable () async throws -> Caller)] in
      state.reviews += 1
      var asked: [(Int, Int, @Sendable () async throws -> Caller)] = []
      for (id, client) in state.clients {
        guard let reviewer = client.wish.reviewer else { continue }
        state.clients[id]?.review = state.reviews
        asked.append((id, state.reviews, reviewer))
      }
      return asked
    }
    for (id, number, reviewer) in asked { Task { await self.review(id, number, reviewer) } }
  }

  private func review(_ id: Int, _ number: Int, _ reviewer: @Sendable () async throws -> Caller) async {
    while true {
      do {
        let caller = try await reviewer()
        reviewed(id, number, .success(caller))
        return
      } catch let problem as Problem where problem.status < 500 {
        reviewed(id, number, .failure(problem))
        return
      } catch {
        logger.warning("a client's rights could not be looked up; it waits", metadata: ["error": "\(error)"])
        guard state.withLock({ $0.clients[id]?.review == number }) else { return }
        do { try await Task.sleep(for: .seconds(1)) } catch { return }
      }
    }
  }

  private func reviewed(_ id: Int, _ number: Int, _ result: Result<Caller, Problem>) {
    let wake = state.withLock { state -> (@Sendable () -> Void)? in
      guard state.clients[id]?.review == number else { return nil }
      return Self.settle(id, result, in: &state)
    }
    wake?()
  }

  private static func settle(_ id: Int, _ result: Result<Caller, Problem>, in state: inout State) -> (@Sendable () -> Void)? {
    guard var client = state.clients[id] else { return nil }
    client.review = nil
    switch result {
    case .success(let caller):
      if client.wish.content == nil { client.group = regroup(client, caller, in: &state) }
    case .failure:
      client.pending = []
      client.phase = .ended(.unauthorized)
    }
    state.clients[id] = client
    return client.wake
  }

  /// Everybody is told to go on elsewhere, and nobody new is taken.
  package func close() {
    let wakes = state.withLock { state in
      state.isClosed = true
      for id in state.clients.keys { state.clients[id]?.phase = .ended(.shutdown) }
      return state.clients.values.map(\.wake)
    }
    for wake in wakes { wake() }
  }
}
