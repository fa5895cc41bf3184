import Foundation
package import Logging
import PostgresClient
import Synchronization

/// Takes jobs from the queue and does them, several at a time, until it is told to stop.
package final class Worker: Sendable {
  package struct Configuration: Sendable {
    /// Names this worker in the queue and the log; unique among those that run.
    package var name: String
    /// How many jobs run at a time.
    package var concurrency: Int
    /// How many jobs that wait for servers of others run at a time beside them. Those of one kind get half of these places, those of one server a third.
    package var waiting: Int
    /// For how long a job is this worker's without a sign of life. It is renewed three times as often.
    package var lease: Duration
    /// How long to sleep at most when nothing is announced.
    package var pause: Duration
    /// How long running jobs may go on after `stop()`; then they are cancelled and given back.
    package var grace: Duration

    package init(
      name: String, concurrency: Int = 2, waiting: Int = 6, lease: Duration = .seconds(30), pause: Duration = .seconds(5), grace: Duration = .seconds(20)
    ) {
      self.name = name
      self.concurrency = concurrency
      self.waiting = waiting
      self.lease = lease
      self.pause = pause
      self.grace = grace
    }
  }

  private enum Ending {
    case lane, grace, other
  }

  private let configuration: Configuration
  private let database: Database
  private let queue: JobQueue
  private let handlers: [String: JobHandler]
  private let schedules: [Schedule]
  private let logger: Logger
  private let alarm = Alarm()
  private let isStopping = Atomic(false)

  package init(database: Database, handlers: [JobHandler], schedules: [Schedule] = [], configuration: Configuration, logger: Logger) {
    self.configuration = configuration
    self.database = database
    self.handlers = Dictionary(handlers.map { ($0.kind, $0) }, uniquingKeysWith: { $1 })
    self.schedules = schedules
    self.logger = logger
    queue = JobQueue(database: database)
  }

  /// Takes no more jobs; `run()` returns when those under way have ended or their grace is over.
  package func stop() {
    isStopping.store(true, ordering: .releasing)
    alarm.ring()
  }

  /// Works until `stop()`, or until the task is cancelled, which gives running jobs back at once.
  package func run() async {
    await withTaskGroup(of: Ending.self) { group in
      group.addTask { await self.listen() }
      group.addTask { await self.keepHouse() }
      group.addTask { await self.awaitGrace() }
      let kinds = handlers.values.filter { !$0.waitsForOthers }.map(\.kind)
      let waiting = handlers.values.filter(\.waitsForOthers).map(\.kind)
      let shares = JobShares(places: configuration.waiting)
      for _ in 0..<configuration.concurrency { group.addTask { await self.work(kinds, nil) } }
      for _ in 0..<configuration.waiting where !waiting.isEmpty { group.addTask { await self.work(waiting, shares) } }
      var lanes = configuration.concurrency + (waiting.isEmpty ? 0 : configuration.waiting)
      for await ending in group {
        switch ending {
        case .lane: lanes -= 1
        case .grace: group.cancelAll()
        case .other: break
        }
        if lanes == 0 { group.cancelAll() }
      }
    }
  }

  private var goesOn: Bool { !isStopping.load(ordering: .acquiring) && !Task.isCancelled }

  private func listen() async -> Ending {
    for await _ in database.pool.notifications(on: ["muhatap_job"]) { alarm.ring() }
    return .other
  }

  private func awaitGrace() async -> Ending {
    while goesOn { await alarm.sleep(for: .seconds(3_600), heard: alarm.rings) }
    do { try await Task.sleep(for: configuration.grace) } catch { return .other }
    return .grace
  }

  /// Schedules, jobs to bury and jobs to forget.
  private func keepHouse() async -> Ending {
    var round = 0
    while goesOn {
      do {
        for schedule in schedules { try await queue.enqueue(schedule, now: .now) }
        try await queue.bury()
        if round % 200 == 0 { try await queue.forget() }
      } catch {
        if goesOn { logger.warning("the queue could not be kept in order; trying again", metadata: ["error": "\(error)"]) }
      }
      round += 1
      let heard = alarm.rings
      guard goesOn else { break }
      await alarm.sleep(for: configuration.pause * 3, heard: heard)
    }
    return .other
  }

  /// - Parameter shares: what each kind and each lane may have of the places; nil for work that shares nothing.
  private func work(_ all: [String], _ shares: JobShares?) async -> Ending {
    while goesOn {
      let heard = alarm.rings
      guard goesOn else { break }
      let exhausted = shares?.exhausted ?? (kinds: [], lanes: [])
      let kinds = all.filter { !exhausted.kinds.contains($0) }
      do {
        if let job = try await queue.take(kinds, except: exhausted.lanes, worker: configuration.name, lease: configuration.lease) {
          if let shares {
            await perform(job, within: shares)
          } else {
            await perform(job)
          }
          continue
        }
        let next = try await queue.timeUntilNext(kinds, except: exhausted.lanes) ?? configuration.pause
        await alarm.sleep(for: max(.milliseconds(20), min(next, configuration.pause)), heard: heard)
      } catch {
        guard goesOn else { break }
        logger.warning("no job could be taken; trying again", metadata: ["error": "\(error)"])
        await alarm.sleep(for: .seconds(1), heard: heard)
      }
    }
    return .lane
  }

  /// Others may have taken the last of its share while it was taken out of the queue; then it goes back.
  private func perform(_ job: Job, within shares: JobShares) async {
    guard shares.enter(job) else { return await outsideOfCancellation { try await self.queue.release(job) } }
    await perform(job)
    shares.leave(job)
    alarm.ring()
  }

  private func perform(_ job: Job) async {
    guard let handler = handlers[job.kind] else { return }
    let lease = JobLease(job: job, database: database)
    var log = logger
    log[metadataKey: "job"] = "\(job.id.lowercase)"
    log[metadataKey: "kind"] = "\(job.kind)"
    log[metadataKey: "attempt"] = "\(job.attempt)"
    do {
      try await withHeartbeat(job, log) { try await handler.run(lease) }
      try await completeIfOpen(lease)
      log.info("job done")
    } catch is JobLease.Lost {
      log.warning("another worker took the job over; what this one did is not kept")
    } catch  where Task.isCancelled {
      log.info("job interrupted; it goes back to the queue")
      await outsideOfCancellation { try await self.queue.release(job) }
    } catch {
      log.error("job failed", metadata: ["error": "\(error)"])
      await outsideOfCancellation { try await self.queue.fail(job, problem: "\(error)", isHopeless: error is HopelessJob) }
    }
  }

  /// Completes a job whose handler had nothing to write together with the completion.
  private func completeIfOpen(_ lease: JobLease) async throws {
    let isOpen = try await database.read(
      as: .system("work on the queue"),
      "SELECT 1 FROM crm.job WHERE id = \(lease.job.id) AND attempt = \(lease.job.attempt) AND status = 'running'")
    if isOpen.count == 1 { try await lease.complete(as: .system("complete a job"), deadline: .after(.seconds(10))) { _ in } }
  }

  /// The queue is told the end of a job also when this task was cancelled. If that fails, the lease runs out by itself.
  private func outsideOfCancellation(_ body: @Sendable @escaping () async throws -> Void) async {
    do {
      try await Task { try await body() }.value
    } catch {
      logger.warning("the queue could not be told how a job ended; its lease will run out", metadata: ["error": "\(error)"])
    }
  }

  /// Runs `body` while renewing the lease; cancels it when the lease is lost.
  private func withHeartbeat(_ job: Job, _ log: Logger, _ body: @Sendable @escaping () async throws -> Void) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await body() }
      group.addTask {
        while true {
          try await Task.sleep(for: self.configuration.lease / 3)
          do {
            if try await !self.queue.renew(job, lease: self.configuration.lease) { throw JobLease.Lost() }
          } catch let error as PostgresError where !Task.isCancelled {
            // A transaction of the job's own may hold its row; nobody can take the job over meanwhile.
            log.debug("lease not renewed", metadata: ["error": "\(error)"])
          }
        }
      }
      defer { group.cancelAll() }
      try await group.next()
    }
  }
}
