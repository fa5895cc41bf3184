/// One-shots: settings, statements and the end of the transaction in one flush.
///
/// Between two syncs of a pipeline PostgreSQL keeps one transaction open, so BEGIN and COMMIT need not be sent: what one
/// statement sets locally holds for the next, an error undoes all, and deferred constraints are checked at the sync.
extension ConnectionLoop {
  func start(_ work: OneShot, on connection: Connection) {
    if work.deadline <= now {
      work.complete(.failure(Self.timeout))
      release(connection)
      return
    }
    connection.use = .oneShot(work)
    connection.beginPipeline()
    sendSettings(of: work.context, deadline: work.deadline, readOnly: work.context.readOnly, on: connection)
    for statement in work.statements {
      connection.send(statement.text, statement.binds, step: .statement(.init(name: statement.name)))
    }
    connection.endPipeline()
    // What libpq would not take was not sent whole, so nothing of it can have been committed.
    if connection.pipeline.failure != nil {
      if !work.context.readOnly { work.complete(.failure(Self.lost)) }
      lost(connection)
    }
  }

  func finished(_ work: OneShot, on connection: Connection) {
    if let failure = connection.pipeline.failure {
      if failure.isStalePlan, !work.isReplanned {
        // All of it was rolled back, so it can be run again.
        work.isReplanned = true
        connection.isWorn = true
        connection.forgetPlans()
        start(work, on: connection)
        return
      }
      work.complete(.failure(work.isBeingCancelled ? Self.cancelled : explained(failure, deadline: work.deadline)))
      react(to: failure, on: connection, readOnly: work.context.readOnly)
    } else {
      // A cancel that came too late may have ended the wait for a standby: not to be told as success.
      work.complete(work.isBeingCancelled ? .failure(Self.outcomeUnknown) : .success(connection.pipeline.results))
    }
    if work.isBeingCancelled { discard(connection) } else { release(connection) }
  }

  /// The connection broke under a one-shot. A read is given another connection, once.
  func lost(_ work: OneShot, _ pipeline: Pipeline) {
    if work.context.readOnly, !work.isResent, !isStopping, pipeline.failure.map({ $0.kind == .connection }) ?? true {
      work.isResent = true
      acquire(for: .oneShot(work), lane: work.lane)
    } else if work.context.readOnly || !pipeline.mayHaveCommitted {
      work.complete(.failure(pipeline.failure ?? Self.lost))
    } else {
      work.complete(.failure(Self.outcomeUnknown))
    }
  }

  func cancel(_ work: OneShot) {
    let lane = work.lane.rawValue
    let waiting = lanes[lane].remove { if case .oneShot(let other) = $0 { other === work } else { false } }
    for waiter in waiting { waiter.fail(Self.cancelled) }
    guard waiting.isEmpty, let connection = lanes[lane].connections.first(where: { $0.isRunning(work) }) else { return }
    if work.context.readOnly {
      work.complete(.failure(Self.cancelled))
      cancelAndDiscard(connection)
    } else {
      work.isBeingCancelled = true
      Cancellation(connection)?.send()
    }
  }

  /// Sends the settings of a transaction as one statement that returns one small value.
  func sendSettings(of context: PostgresPool.Context, deadline: Deadline, readOnly: Bool, on connection: Connection) {
    var binds: [Bind] = []
    binds.reserveCapacity(context.settings.count + 1)
    // Never 0, which means no limit, unless that is meant.
    let milliseconds = deadline == .never ? 0 : max(1, deadline.milliseconds(from: now))
    binds.append(.text(String(min(milliseconds, Int64(Int32.max)))))
    for setting in context.settings { binds.append(.text(setting.value)) }
    connection.send(settings.statement(for: context.settings, readOnly: readOnly), binds, step: .silent)
  }
}

extension Connection {
  func isRunning(_ work: OneShot) -> Bool {
    if case .oneShot(let running) = use { running === work } else { false }
  }
}
