import CRMCore
import Foundation
import Logging
import MuhatapTestKit
import PostgresClient
import Synchronization
import Testing

/// What a handler was seen to do.
private final class Tally: Sendable {
  private let counts = Mutex<[String: Int]>([:])
  func add(_ name: String) -> Int {
    counts.withLock {
      $0[name, default: 0] += 1; return $0[name, default: 0]
    }
  }
  subscript(name: String) -> Int { counts.withLock { $0[name] ?? 0 } }
}

@Suite("Jobs")
struct WorkerTests {
  private let system = Caller.system("test")

  private func worker(
    _ database: Database, _ handlers: [JobHandler], schedules: [Schedule] = [], lease: Duration = .seconds(60), pause: Duration = .seconds(1),
    grace: Duration = .seconds(60)
  ) -> Worker {
    Worker(
      database: database, handlers: handlers, schedules: schedules,
      configuration: .init(name: "test-\(UUID().uuidString.prefix(8))", concurrency: 2, lease: lease, pause: pause, grace: grace),
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
  }

  private func enqueue(_ database: Database, _ kind: String, key: String? = nil, attempts: Int = 5) async throws -> UUID? {
    try await database.transaction(as: system) { tx in
      let id = try await JobQueue.enqueue(kind, payload: ["n": 1], key: key, in: tx)
      if let id { try await tx.run("UPDATE crm.job SET attempt_limit = \(attempts) WHERE id = \(id)") }
      return id
    }
  }

  private struct WaitedInVain: Error {}

  private struct State: RowDecodable {
    let status: String
    let attempt: Int
    let problem: String?
    init(row: PostgresRow) throws {
      status = try row.decode(String.self, "status")
      attempt = try row.decode(Int.self, "attempt")
      problem = try row.decode(String?.self, "last_problem")
    }
  }

  private func state(_ database: Database, _ id: UUID?) async throws -> State {
    let result = try await database.read(as: system, "SELECT status, attempt, last_problem FROM crm.job WHERE id = \(id)")
    return try State(row: result[0])
  }

  private func wait(_ seconds: Double = 180, until condition: () async throws -> Bool) async throws {
    let deadline = Deadline.after(.milliseconds(seconds * 1_000))
    while try await !condition() {
      guard !deadline.hasPassed else { throw WaitedInVain() }
      try await Task.sleep(for: .milliseconds(20))
    }
  }

  @Test("work that waits for a server which hangs holds up neither what waits for another, nor another kind of it, nor work of this one")
  func lanes() async throws {
    let database = Database(pool: try await TestDatabase.clone().worker)
    let tally = Tally()
    @Sendable func done(_ lease: JobLease) async throws {
      try await lease.complete(as: .system("test"), deadline: .after(.seconds(60))) { _ in }
    }
    @Sendable func waiting(_ kind: String) -> JobHandler {
      JobHandler(kind, waitsForOthers: true) { lease in
        if lease.job.lane == "hangs" {
          _ = tally.add("hanging")
          while tally["free"] == 0 { try await Task.sleep(for: .milliseconds(20)) }
        }
        try await done(lease)
        _ = tally.add("\(kind) \(lease.job.lane ?? "")")
      }
    }
    try await database.transaction(as: system) { tx in
      for _ in 0..<20 {
        try await tx.run(
          "INSERT INTO crm.job (kind, lane, run_at) VALUES ('outward', 'hangs', now() - interval '1 hour'), ('inward', 'hangs', now() - interval '1 hour')")
        try await tx.run("INSERT INTO crm.job (kind, lane) VALUES ('outward', 'answers')")
      }
      try await tx.run("INSERT INTO crm.job (kind, lane) VALUES ('inward', 'answers')")
      try await tx.run("INSERT INTO crm.job (kind) VALUES ('plain'), ('plain')")
    }
    let plain = JobHandler("plain") { lease in
      try await done(lease)
      _ = tally.add("plain")
    }
    let worker = worker(database, [waiting("outward"), waiting("inward"), plain])
    async let running: Void = worker.run()
    do {
      try await wait { tally["outward answers"] == 20 && tally["inward answers"] == 1 && tally["plain"] == 2 }
      #expect((1...2).contains(tally["hanging"]))
    } catch {
      _ = tally.add("free")
      worker.stop()
      await running
      throw error
    }
    _ = tally.add("free")
    try await wait { tally["outward hangs"] == 20 && tally["inward hangs"] == 20 }
    worker.stop()
    await running
  }

  @Test("a job is done once and wakes an idle worker at once")
  func wakes() async throws {
    let database = Database(pool: try await TestDatabase.suite().worker)
    let tally = Tally()
    let worker = worker(
      database,
      [
        JobHandler("wakes") { lease in
          try await lease.complete(as: .system("test"), deadline: .after(.seconds(60))) { _ in }
          _ = tally.add("done")
        }
      ], pause: .seconds(600))
    async let running: Void = worker.run()
    try await Task.sleep(for: .milliseconds(300))
    let began = ContinuousClock.now
    let id = try await enqueue(database, "wakes")
    try await wait { tally["done"] == 1 }
    #expect(ContinuousClock.now - began < .seconds(60), "the pause is ten minutes: only a notification is quicker")
    worker.stop()
    await running
    #expect(try await state(database, id).status == "done")
    #expect(tally["done"] == 1)
  }

  @Test("a key makes one job of two requests")
  func key() async throws {
    let database = Database(pool: try await TestDatabase.suite().worker)
    #expect(try await enqueue(database, "keyed", key: "only-one") != nil)
    #expect(try await enqueue(database, "keyed", key: "only-one") == nil)
  }

  @Test("a job that nobody signed in asks for is not queued")
  func anonymous() async throws {
    let database = Database(pool: try await TestDatabase.suite().app)
    let id = try await database.transaction(as: .anonymous) { tx in try await JobQueue.enqueue("anonymous", in: tx) }
    #expect(id == nil)
  }

  @Test("a failed job is tried again later, and kept as dead with its last problem after the last attempt")
  func retries() async throws {
    let database = Database(pool: try await TestDatabase.suite().worker)
    let tally = Tally()
    let handler = JobHandler("failing") { _ in throw HopelessJobOnce(number: tally.add("tried")) }
    let first = worker(database, [handler])
    let id = try await enqueue(database, "failing", attempts: 2)
    async let failing: Void = first.run()
    try await wait { tally["tried"] == 1 }
    // Nobody tries again while it is looked at.
    first.stop()
    await failing
    try await wait { try await state(database, id).status == "queued" }
    let due = try await database.read(as: system, "SELECT run_at > started_at + interval '1 second' AS later FROM crm.job WHERE id = \(id)")
    #expect(try due[0].decode(Bool.self, "later"))
    try await database.transaction(as: system) { tx in _ = try await tx.run("UPDATE crm.job SET run_at = now() WHERE id = \(id)") }
    let worker = worker(database, [handler])
    async let running: Void = worker.run()
    try await wait { try await state(database, id).status == "dead" }
    worker.stop()
    await running
    let end = try await state(database, id)
    #expect(end.attempt == 2)
    #expect(end.problem?.contains("number: 2") == true)
  }

  private struct HopelessJobOnce: Error { let number: Int }

  @Test("a hopeless job is given up at once")
  func hopeless() async throws {
    let database = Database(pool: try await TestDatabase.suite().worker)
    let worker = worker(database, [JobHandler("hopeless") { _ in throw HopelessJob("there is no such import") }])
    let id = try await enqueue(database, "hopeless")
    async let running: Void = worker.run()
    try await wait { try await state(database, id).status == "dead" }
    worker.stop()
    await running
    #expect(try await state(database, id).attempt == 1)
  }

  @Test("a vanished worker's job is taken over, and its late completion is refused with all that belongs to it")
  func takeover() async throws {
    let database = Database(pool: try await TestDatabase.suite().worker)
    let queue = JobQueue(database: database)
    let id = try await enqueue(database, "takeover")
    let first = try #require(try await queue.take(["takeover"], worker: "vanished", lease: .seconds(600)))
    #expect(try await queue.take(["takeover"], worker: "impatient", lease: .seconds(600)) == nil)
    try await database.transaction(as: system) { tx in
      _ = try await tx.run("UPDATE crm.job SET leased_until = now() - interval '1 second' WHERE id = \(id)")
    }
    let second = try #require(try await queue.take(["takeover"], worker: "successor", lease: .seconds(600)))
    #expect(second.id == id && second.attempt == 2)
    let code = "late_\(UUID().uuidString.prefix(8).lowercased())"
    await #expect(throws: JobLease.Lost.self) {
      try await JobLease(job: first, database: database).complete(as: .system("test"), deadline: .after(.seconds(60))) { tx in
        try await tx.run("INSERT INTO crm.department (code, name) VALUES (\(code), 'Late')")
      }
    }
    #expect(try await database.read(as: system, "SELECT 1 FROM crm.department WHERE code = \(code)").count == 0)
    #expect(try await queue.renew(first, lease: .seconds(600)) == false)
    try await JobLease(job: second, database: database).complete(as: .system("test"), deadline: .after(.seconds(60))) { tx in
      try await tx.run("INSERT INTO crm.department (code, name) VALUES (\(code), 'In time')")
    }
    #expect(try await database.read(as: system, "SELECT 1 FROM crm.department WHERE code = \(code)").count == 1)
    #expect(try await state(database, id).status == "done")
  }

  @Test("a job whose worker vanished in its last attempt is buried")
  func buried() async throws {
    let database = Database(pool: try await TestDatabase.suite().worker)
    let queue = JobQueue(database: database)
    let id = try await enqueue(database, "buried", attempts: 1)
    _ = try #require(try await queue.take(["buried"], worker: "vanished", lease: .milliseconds(50)))
    try await Task.sleep(for: .milliseconds(100))
    #expect(try await queue.take(["buried"], worker: "other", lease: .seconds(5)) == nil)
    try await queue.bury()
    let end = try await state(database, id)
    #expect(end.status == "dead" && end.problem?.isEmpty == false)
  }

  @Test("a lease is renewed while the job runs longer than it")
  func heartbeat() async throws {
    let database = Database(pool: try await TestDatabase.suite().worker)
    let tally = Tally()
    let handler = JobHandler("long") { lease in
      _ = tally.add("began")
      try await Task.sleep(for: .seconds(20))
      try await lease.complete(as: .system("test"), deadline: .after(.seconds(60))) { _ in }
    }
    // Renewed after a third of it, so that a busy machine has ten seconds to come to that.
    let one = worker(database, [handler], lease: .seconds(15))
    let other = worker(database, [handler], lease: .seconds(15))
    let id = try await enqueue(database, "long")
    async let first: Void = one.run()
    async let second: Void = other.run()
    try await wait { try await state(database, id).status == "done" }
    one.stop()
    other.stop()
    _ = await (first, second)
    #expect(tally["began"] == 1)
    #expect(try await state(database, id).attempt == 1)
  }

  @Test("many workers do every one of many jobs exactly once")
  func exactlyOnce() async throws {
    let database = Database(pool: try await TestDatabase.suite().worker)
    let tally = Tally()
    let handler = JobHandler("counted") { lease in
      try await lease.complete(as: .system("test"), deadline: .after(.seconds(60))) { _ in }
      _ = tally.add(lease.job.id.lowercase)
      _ = tally.add("all")
    }
    var ids: [UUID] = []
    for _ in 0..<60 { ids.append(try #require(try await enqueue(database, "counted"))) }
    let workers = (0..<3).map { _ in worker(database, [handler]) }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for worker in workers { group.addTask { await worker.run() } }
      try await wait(300) { tally["all"] == 60 }
      for worker in workers { worker.stop() }
      try await group.waitForAll()
    }
    for id in ids { #expect(tally[id.lowercase] == 1) }
  }

  @Test("stopping lets a job end, and gives it back when its grace is over")
  func stops() async throws {
    let database = Database(pool: try await TestDatabase.suite().worker)
    let tally = Tally()
    let worker = worker(
      database,
      [
        JobHandler("endless") { _ in
          _ = tally.add("began")
          try await Task.sleep(for: .seconds(60))
        }
      ], grace: .milliseconds(200))
    let id = try await enqueue(database, "endless", attempts: 1)
    async let running: Void = worker.run()
    try await wait { tally["began"] == 1 }
    worker.stop()
    await running
    let end = try await state(database, id)
    #expect(end.status == "queued", "an interrupted attempt does not count")
  }

  @Test("an occurrence of a schedule is queued once by however many workers")
  func schedule() async throws {
    let database = Database(pool: try await TestDatabase.suite().worker)
    let tally = Tally()
    let handler = JobHandler("nightly") { _ in _ = tally.add("ran") }
    let schedule = Schedule("nightly-test", kind: "nightly", .every(.seconds(86_400 * 365)))
    let workers = (0..<2).map { _ in worker(database, [handler], schedules: [schedule]) }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for worker in workers { group.addTask { await worker.run() } }
      try await wait { tally["ran"] > 0 }
      try await Task.sleep(for: .seconds(2))
      for worker in workers { worker.stop() }
    }
    #expect(tally["ran"] == 1)
  }
}
