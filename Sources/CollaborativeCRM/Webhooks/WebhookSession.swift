import CRMCore
import Foundation
import PostgresClient

/// The time during which one worker has a webhook to itself: makes messages of what has changed since, and sends those that are due.
struct WebhookSession: Sendable {
  private static let lease = 120
  private static let length = Duration.seconds(45)
  /// Messages that may wait at once; the change log keeps the rest.
  static let waiting = 1_000
  private static let page = 500
  /// Messages under way at once, each about another record.
  private static let width = 8

  let id: UUID
  let url: String
  let resources: [String]?
  let owner: UUID
  let department: UUID
  let audience: UUID
  let secrets: [[UInt8]]
  let sender: WebhookSender
  private let isRested: Bool

  /// - Returns: nil when another worker has it.
  static func begin(_ id: UUID, of sender: WebhookSender) async throws -> WebhookSession? {
    try await sender.database.transaction(as: WebhookSender.caller, lane: .jobs, deadline: .after(.seconds(60))) { tx in
      let found = try await tx.result(
        """
        UPDATE crm.webhook_state AS s SET leased_until = now() + make_interval(secs => \(Self.lease)) FROM crm.webhook AS w
        WHERE s.webhook_id = \(id) AND w.id = s.webhook_id AND w.is_active AND coalesce(s.leased_until < now(), true)
        RETURNING w.url, w.resources, w.owner_id, w.department_id, w.audience, s.secret,
          CASE WHEN s.previous_until > now() THEN s.previous_secret END AS previous, s.failures >= \(RetrySchedule.breaksAt) AS rested
        """)
      guard found.count == 1 else { return nil }
      let row = found[0]
      let resources = try row.decode([String].self, "resources")
      let previous = try row.decode([UInt8]?.self, "previous")
      return WebhookSession(
        id: id, url: try row.decode(String.self, "url"), resources: resources.isEmpty ? nil : resources, owner: try row.decode(UUID.self, "owner_id"),
        department: try row.decode(UUID.self, "department_id"), audience: try row.decode(UUID.self, "audience"),
        secrets: [try row.decode([UInt8].self, "secret")] + [previous].compactMap(\.self), sender: sender, isRested: try row.decode(Bool.self, "rested"))
    }
  }

  func end() async throws {
    try await sender.database.transaction(as: WebhookSender.caller, lane: .jobs, deadline: .after(.seconds(60))) { tx in
      _ = try await tx.run("UPDATE crm.webhook_state SET leased_until = NULL WHERE webhook_id = \(id)")
    }
  }

  func run() async throws {
    guard let caller = try await Caller.current(owner, via: "webhook", in: sender.database) else {
      try await disable("owner_left")
      return
    }
    let visibility = try await RowVisibility.read(from: sender.database)
    let start = ContinuousClock.now
    var post: WebhookPost?
    // A receiver that was given rest is asked with one message first.
    var width = isRested ? 1 : Self.width
    do {
      while !Task.isCancelled, ContinuousClock.now - start < Self.length {
        let made = try await makeMessages(caller, visibility)
        let due = try await dueMessages(width)
        if due.isEmpty, !made { break }
        guard !due.isEmpty else { continue }
        let receiver: WebhookPost
        if let post { receiver = post } else { receiver = await WebhookPost.begin(url, sender.configuration) }
        post = receiver
        guard try await send(due, to: receiver, caller, visibility) else { break }
        width = Self.width
      }
    } catch {
      try await post?.end()
      throw error
    }
    try await post?.end()
  }

  /// Makes messages of the next changes the owner may see. Says whether there is more.
  private func makeMessages(_ caller: Caller, _ visibility: RowVisibility) async throws -> Bool {
    let state = try await sender.database.read(
      as: WebhookSender.caller, lane: .jobs, deadline: .after(.seconds(60)),
      """
      SELECT s.xid::text AS xid, s.seq::text AS seq, (SELECT count(*) FROM crm.webhook_delivery AS d WHERE d.webhook_id = s.webhook_id AND d.state = 'pending') AS waiting
      FROM crm.webhook_state AS s WHERE s.webhook_id = \(id)
      """)
    guard state.count == 1, try state[0].decode(Int.self, "waiting") < Self.waiting,
      let place = ChangePosition(xid: try state[0].decode(String.self, "xid"), sequence: try state[0].decode(String.self, "seq"))
    else { return false }
    let results = try await sender.database.pool.execute(
      [
        ChangePosition.horizon,
        "SELECT \(LiveChange.columns) FROM crm.changes_told_after(\(place.arguments), \(Self.page), \(resources)) c ORDER BY c.xid, c.seq",
      ],
      context: caller.context(reading: Set(Area.allCases)), lane: .jobs, deadline: .after(.seconds(60)))
    guard let horizon = UInt64(try results[0][0].decode(String.self, at: 0)) else { throw PostgresError(.decoding, "the horizon is no transaction") }
    let changes = try (0..<results[1].count).map { try LiveChange(results[1], $0) }
    let decided = try await visibility.readable(changes, by: caller, in: sender.database)
    let shown = changes.filter { visibility.shows($0, to: caller, decided: decided) }
    let isLast = changes.count < Self.page
    let last = changes.last?.position ?? place
    let reached = isLast ? max(last, ChangePosition(before: horizon)) : last
    guard reached > place else { return false }
    try await sender.database.transaction(as: WebhookSender.caller, lane: .jobs, deadline: .after(.seconds(60))) { tx in
      // Somebody may have asked for a replay meanwhile: then this was for nothing.
      let moved = try await tx.run(
        "UPDATE crm.webhook_state AS s SET (xid, seq) = (\(reached.arguments)) WHERE s.webhook_id = \(id) AND (s.xid, s.seq) = (\(place.arguments))")
      guard moved == 1, !shown.isEmpty else { return }
      try await tx.run(
        """
        INSERT INTO crm.webhook_delivery (webhook_id, xid, seq, resource, record_id, op, department_id, owner_id, audience)
        SELECT \(id), c.xid::xid8, c.seq, c.resource, c.record_id, c.op, \(department), \(owner), \(audience)
        FROM unnest(\(shown.map { "\($0.position.xid)" })::text[], \(shown.map(\.position.sequence))::bigint[], \(shown.map(\.resource))::text[],
          \(shown.map(\.rowID))::uuid[], \(shown.map(\.operation))::text[]) AS c (xid, seq, resource, record_id, op)
        ON CONFLICT ON CONSTRAINT webhook_delivery_xid_primary DO NOTHING
        """)
    }
    return !isLast
  }

  struct Message: Sendable {
    let position: ChangePosition
    let resource: String
    let attempts: Int
    var id: String { "msg_\(position.xid)_\(position.sequence)" }
  }

  /// Due messages, none of them behind another one about the same record.
  private func dueMessages(_ width: Int) async throws -> [Message] {
    let found = try await sender.database.read(
      as: WebhookSender.caller, lane: .jobs, deadline: .after(.seconds(60)),
      """
      SELECT d.xid::text AS xid, d.seq, d.resource, d.attempts FROM (
        SELECT DISTINCT ON (p.record_id) p.xid, p.seq, p.resource, p.attempts, p.next_attempt_at FROM crm.webhook_delivery AS p
        WHERE p.webhook_id = \(id) AND p.state = 'pending' ORDER BY p.record_id, p.xid, p.seq
      ) AS d WHERE d.next_attempt_at <= now() ORDER BY d.xid, d.seq LIMIT \(width)
      """)
    return try found.rows.map { row in
      guard let xid = UInt64(try row.decode(String.self, "xid")) else { throw PostgresError(.decoding, "a message's place is no transaction") }
      return Message(
        position: ChangePosition(xid: xid, sequence: try row.decode(Int64.self, "seq")), resource: try row.decode(String.self, "resource"),
        attempts: try row.decode(Int.self, "attempts"))
    }
  }

  /// Sends messages about different records at once. Says whether the receiver may be sent more.
  private func send(_ messages: [Message], to post: WebhookPost, _ caller: Caller, _ visibility: RowVisibility) async throws -> Bool {
    try await withThrowingTaskGroup(of: Bool.self) { group in
      for message in messages { group.addTask { try await self.send(message, to: post, caller, visibility) } }
      var goesOn = true
      for try await isWell in group where !isWell { goesOn = false }
      return goesOn
    }
  }

  private func send(_ message: Message, to post: WebhookPost, _ caller: Caller, _ visibility: RowVisibility) async throws -> Bool {
    guard let body = try await body(of: message, caller, visibility) else {
      try await note(message, state: "withheld", status: nil, problem: nil)
      return true
    }
    let timestamp = Int(Date().timeIntervalSince1970)
    let signature = WebhookSignature.sign(id: message.id, timestamp: timestamp, body: body, secrets: secrets)
    let answer = await post.send(body, id: message.id, timestamp: timestamp, signature: signature)
    switch answer {
    case .answered(let status) where (200..<300).contains(status):
      try await note(message, state: "delivered", status: status, problem: nil)
      return true
    case .answered(410):
      try await note(message, state: "failed", status: 410, problem: "gone")
      try await disable("gone")
      return false
    case .answered(let status):
      return try await retry(message, status: status, problem: (300..<400).contains(status) ? "redirects are not followed" : "status \(status)")
    case .failed(let problem):
      return try await retry(message, status: nil, problem: problem)
    }
  }

  /// The message as it is sent: what the owner may see of the change now.
  private func body(of message: Message, _ caller: Caller, _ visibility: RowVisibility) async throws -> [UInt8]? {
    let before = ChangePosition(xid: message.position.xid, sequence: message.position.sequence - 1)
    let found = try await sender.database.read(
      as: caller, lane: .jobs, deadline: .after(.seconds(60)),
      "SELECT \(LiveChange.columns) FROM crm.changes_told_after(\(before.arguments), 1, \([message.resource])) c")
    guard found.count == 1 else { return nil }
    let change = try LiveChange(found, 0)
    guard change.position == message.position else { return nil }
    let decided = try await visibility.readable([change], by: caller, in: sender.database)
    guard visibility.shows(change, to: caller, decided: decided) else { return nil }
    var json = JSONWriter(capacity: change.json.count + 128)
    json.beginObject()
    json.key("type")
    json.string("\(change.resource).\(change.operation)")
    json.key("timestamp")
    json.writeValue(found, 0, 0)
    json.key("data")
    json.raw(change.json)
    json.endObject()
    return json.take()
  }

  // MARK: - What became of it

  private func note(_ message: Message, state: String, status: Int?, problem: String?) async throws {
    try await sender.database.transaction(as: WebhookSender.caller, lane: .jobs, deadline: .after(.seconds(60))) { tx in
      try await tx.run(
        """
        UPDATE crm.webhook_delivery AS d SET state = \(state), attempts = attempts + 1, last_status = \(status), last_problem = \(problem), last_attempt_at = now()
        WHERE d.webhook_id = \(id) AND d.xid = \("\(message.position.xid)")::xid8 AND d.seq = \(message.position.sequence)
        """)
      if state == "delivered" {
        try await tx.run("UPDATE crm.webhook_state SET failures = 0, closed_until = NULL, last_success_at = now() WHERE webhook_id = \(id)")
      }
    }
  }

  private func retry(_ message: Message, status: Int?, problem: String) async throws -> Bool {
    let wait = RetrySchedule.wait(after: message.attempts + 1, jitter: .random(in: 0...1))
    return try await sender.database.transaction(as: WebhookSender.caller, lane: .jobs, deadline: .after(.seconds(60))) { tx in
      try await tx.run(
        """
        UPDATE crm.webhook_delivery AS d SET attempts = attempts + 1, last_status = \(status), last_problem = \(String(problem.prefix(500))), last_attempt_at = now(),
          state = CASE WHEN \(wait)::float8 IS NULL THEN 'failed' ELSE 'pending' END, next_attempt_at = now() + make_interval(secs => coalesce(\(wait)::float8, 0))
        WHERE d.webhook_id = \(id) AND d.xid = \("\(message.position.xid)")::xid8 AND d.seq = \(message.position.sequence)
        """)
      let failures = try await tx.value(Int.self, "UPDATE crm.webhook_state SET failures = failures + 1 WHERE webhook_id = \(id) RETURNING failures")
      guard let rest = RetrySchedule.rest(after: failures, jitter: .random(in: 0...1)) else { return true }
      try await tx.run("UPDATE crm.webhook_state SET closed_until = now() + make_interval(secs => \(rest)) WHERE webhook_id = \(id)")
      return false
    }
  }

  private func disable(_ reason: String) async throws {
    try await sender.database.transaction(as: WebhookSender.caller, lane: .jobs, deadline: .after(.seconds(60))) { tx in
      _ = try await tx.run("UPDATE crm.webhook SET is_active = false, disabled_why = \(reason) WHERE id = \(id) AND is_active")
    }
  }
}
