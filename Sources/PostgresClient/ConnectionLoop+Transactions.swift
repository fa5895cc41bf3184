internal import CLibPQ

/// Interactive transactions: requests of one session are run one after the other on a connection of its own.
extension ConnectionLoop {
  func receive(_ pending: TransactionSession.Pending, from session: TransactionSession) {
    if case .ended(let error) = session.phase {
      if case .rollback = pending.request { pending.completion(.success(.results([]))) } else { pending.completion(.failure(error)) }
      return
    }
    session.queue.append(pending)
    advance(session)
  }

  /// Starts the session's next request if none is under way.
  func advance(_ session: TransactionSession) {
    guard session.current == nil, !session.queue.isEmpty else { return }
    switch session.phase {
    case .ended, .waiting: break
    case .open(let connection):
      session.current = session.queue.removeFirst()
      run(session, on: connection)
    case .unstarted:
      switch session.queue[0].request {
      case .commit, .rollback:
        // Nothing was run, so there is nothing to end.
        session.current = session.queue.removeFirst()
        session.reply(.success(.results([])))
        session.end(Self.over)
      default:
        if isStopping { return session.end(Self.stopped) }
        session.phase = .waiting
        acquire(for: .transaction(session), lane: session.lane)
      }
    }
  }

  static let over = PostgresError(.usage, "the transaction is over; use it only within its body")

  func start(_ session: TransactionSession, on connection: Connection) {
    if session.deadline <= now {
      session.end(Self.timeout)
      release(connection)
      return
    }
    session.phase = .open(connection)
    connection.use = .transaction(session)
    advance(session)
  }

  private func run(_ session: TransactionSession, on connection: Connection) {
    guard let request = session.current?.request else { return }
    switch request {
    case .statements where connection.mode != .pipeline, .commit where connection.mode != .pipeline:
      session.end(PostgresError(.usage, "a COPY was left before its end, so the transaction is rolled back"))
      cancelAndDiscard(connection)
    case .statements(let statements, let name): send(statements, name, session, on: connection)
    case .commit: commit(session, on: connection)
    case .rollback:
      if case .pipeline = connection.mode {
        send("ROLLBACK", on: connection)
      } else {
        // A COPY is under way.
        session.reply(.success(.results([])))
        session.end(Self.over)
        cancelAndDiscard(connection)
      }
    case .copyIn, .copyOut, .copyData, .copyEnd, .copyRead: runCopy(request, session, on: connection)
    }
  }

  /// Sends statements, after BEGIN and the settings if they are the first.
  func send(
    _ statements: [SQL], _ name: Pipeline.StatementName, _ session: TransactionSession, on connection: Connection, restarting: Bool = false
  ) {
    connection.beginPipeline()
    if restarting { connection.send("ROLLBACK", [], step: .silent) }
    if !session.hasBegun {
      connection.send(session.begin.description, [], step: .silent)
      sendSettings(of: session.context, deadline: session.deadline, readOnly: false, on: connection)
    }
    for statement in statements {
      connection.send(
        statement.text, statement.binds, step: .statement(.init(name: statement.name, file: name.file, line: name.line)))
    }
    connection.endPipeline()
    if connection.pipeline.failure != nil { lost(connection) }
  }

  private func send(_ statement: StaticString, on connection: Connection) {
    connection.beginPipeline()
    connection.send(statement.description, [], step: .silent)
    connection.endPipeline()
    if connection.pipeline.failure != nil { lost(connection) }
  }

  private func commit(_ session: TransactionSession, on connection: Connection) {
    if session.deadline <= now {
      session.end(Self.timeout)
      rollBack(connection)
    } else if connection.transactionStatus == PQTRANS_INERROR {
      session.end(session.failure ?? PostgresError(.server, "the transaction had failed", sqlState: "25P02"))
      rollBack(connection)
    } else {
      send("COMMIT", on: connection)
    }
  }

  /// Ends a transaction that nobody waits for any more and takes the connection back.
  private func rollBack(_ connection: Connection) {
    guard case .pipeline = connection.mode else { return cancelAndDiscard(connection) }
    wind(connection)
    send("ROLLBACK", on: connection)
  }

  func finished(_ session: TransactionSession, on connection: Connection) {
    guard let request = session.current?.request else { return }
    let failure = connection.pipeline.failure
    switch request {
    case .statements(let statements, let name):
      if let failure, failure.isStalePlan, !session.hasBegun, !session.isReplanned {
        // It was the first, so nothing is lost by beginning again.
        session.isReplanned = true
        connection.isWorn = true
        connection.forgetPlans()
        send(statements, name, session, on: connection, restarting: true)
        return
      }
      session.hasBegun = true
      answer(session, failure, on: connection)
    case .copyIn, .copyOut:
      // BEGIN and the settings went ahead of the COPY.
      session.hasBegun = true
      if failure == nil { return runCopy(request, session, on: connection) }
      answer(session, failure, on: connection)
    case .commit: committed(session, on: connection)
    case .rollback:
      session.reply(.success(.results([])))
      session.end(Self.over)
      release(connection)
    case .copyData, .copyEnd, .copyRead: break
    }
    advance(session)
  }

  /// Tells the session how its request went.
  func answer(_ session: TransactionSession, _ failure: PostgresError?, on connection: Connection) {
    guard let failure else { return session.reply(.success(.results(connection.pipeline.results))) }
    let error = explained(failure, deadline: session.deadline)
    // "Current transaction is aborted" only follows from the error that matters.
    if failure.sqlState != "25P02" { session.failure = error }
    react(to: failure, on: connection, readOnly: session.context.readOnly)
    session.reply(.failure(error))
  }

  private func committed(_ session: TransactionSession, on connection: Connection) {
    if let failure = connection.pipeline.failure {
      react(to: failure, on: connection, readOnly: session.context.readOnly)
      session.end(failure)
    } else if connection.pipeline.lastTag == "COMMIT" {
      session.reply(.success(.results([])))
      session.end(Self.over)
    } else {
      session.end(session.failure ?? PostgresError(.server, "the transaction had failed", sqlState: "25P02"))
    }
    release(connection)
  }

  func lost(_ session: TransactionSession, _ pipeline: Pipeline) {
    let failure = pipeline.failure
    guard session.isCommitting, !session.context.readOnly else { return session.end(failure ?? Self.lost) }
    if pipeline.lastTag == "COMMIT" {
      session.reply(.success(.results([])))
      session.end(Self.over)
    } else {
      session.end(failure?.severity == "ERROR" ? failure ?? Self.lost : Self.outcomeUnknown)
    }
  }

  func expire(_ session: TransactionSession, on connection: Connection) {
    switch session.current?.request {
    case nil:
      session.end(Self.timeout)
      rollBack(connection)
    case .commit:
      // A COMMIT is never cancelled.
      session.end(Self.outcomeUnknown)
      wind(connection)
    case .rollback:
      session.reply(.success(.results([])))
      session.end(Self.over)
      wind(connection)
    default:
      session.end(Self.timeout)
      cancelAndDiscard(connection)
    }
  }

  func cancel(_ session: TransactionSession) {
    switch session.phase {
    case .ended: break
    case .unstarted: session.end(Self.cancelled)
    case .waiting:
      _ = lanes[session.lane.rawValue].remove { if case .transaction(let other) = $0 { other === session } else { false } }
      session.end(Self.cancelled)
    case .open(let connection):
      switch session.current?.request {
      case .commit, .rollback: break
      case nil:
        session.end(Self.cancelled)
        rollBack(connection)
      default:
        session.end(Self.cancelled)
        cancelAndDiscard(connection)
      }
    }
  }
}
