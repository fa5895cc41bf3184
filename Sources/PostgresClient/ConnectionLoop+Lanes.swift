internal import CLibPQ
import Logging

/// Where connections come from, who gets them, and where they go.
extension ConnectionLoop {
  /// Gives `waiter` an idle connection of the lane, or a place in its queue.
  func acquire(for waiter: LaneState.Waiter, lane: PostgresPool.Lane) {
    if lanes[lane.rawValue].limit == 0 {
      waiter.fail(PostgresError(.usage, "the lane \(lane) is configured to have no connections"))
    } else if lanes[lane.rawValue].waiting == 0, let connection = lanes[lane.rawValue].idle.popLast() {
      start(waiter, on: connection)
    } else if lanes[lane.rawValue].enqueue(waiter) {
      connectIfNeeded(lane)
    } else {
      waiter.fail(PostgresError(.queueFull, "too many callers wait for a connection already"))
    }
  }

  private func start(_ waiter: LaneState.Waiter, on connection: Connection) {
    switch waiter {
    case .oneShot(let work): start(work, on: connection)
    case .transaction(let session): start(session, on: connection)
    }
  }

  func connectIfNeeded(_ lane: PostgresPool.Lane) {
    while lanes[lane.rawValue].shouldConnect(at: now) {
      lanes[lane.rawValue].connecting += 1
      connector.connect { self.submit(.connected(lane, $0)) }
    }
  }

  func connected(_ lane: PostgresPool.Lane, _ result: Result<Connector.Handle, PostgresError>) {
    switch result {
    case .failure(let error):
      if lanes[lane.rawValue].shouldReport(error, at: now) {
        logger.warning("no connection to PostgreSQL", metadata: ["lane": "\(lane)", "reason": "\(error.message)"])
      }
      lanes[lane.rawValue].connectFailed(error, at: now)
      // What cannot be read today cannot be read tomorrow.
      if error.kind == .usage { lanes[lane.rawValue].remove { _ in true }.forEach { $0.fail(error) } }
    case .success(let handle):
      lanes[lane.rawValue].connectSucceeded()
      guard PQsetnonblocking(handle.pg, 1) == 0, PQenterPipelineMode(handle.pg) == 1 else {
        handle.close()
        return
      }
      logNotices(of: handle)
      let connection = Connection(handle.pg, lane: lane, preparedStatements: configuration.preparedStatements)
      connects += 1
      lanes[lane.rawValue].connections.append(connection)
      release(connection)
    }
  }

  /// Gives a connection to the next in the queue, if it is fit for it.
  func release(_ connection: Connection) {
    connection.use = .idle
    guard connection.isClean, !connection.isWorn, now.nanoseconds - connection.opened.nanoseconds < Self.lifetime else {
      discard(connection)
      return
    }
    if let waiter = lanes[connection.lane.rawValue].dequeue() {
      start(waiter, on: connection)
    } else {
      lanes[connection.lane.rawValue].idle.append(connection)
    }
  }

  /// Closes a connection; the server rolls back what was open on it.
  func discard(_ connection: Connection) {
    guard !connection.isClosed else { return }
    let lane = connection.lane.rawValue
    lanes[lane].connections.removeAll { $0 === connection }
    lanes[lane].idle.removeAll { $0 === connection }
    discards += 1
    connection.close()
  }

  /// Stops what the server is doing for a connection and closes it.
  func cancelAndDiscard(_ connection: Connection) {
    Cancellation(connection)?.send()
    discard(connection)
  }

  /// Lets a connection finish what nobody waits for any more.
  func wind(_ connection: Connection) {
    connection.use = .winding(until: Deadline(nanoseconds: now.nanoseconds + Self.windingTime))
  }

  /// Closes a connection and tells whoever uses it.
  func giveUp(_ connection: Connection, _ error: PostgresError) {
    switch connection.use {
    case .oneShot(let work): work.complete(.failure(work.context.readOnly ? error : Self.outcomeUnknown))
    case .transaction(let session):
      session.end(session.isCommitting && !session.context.readOnly ? Self.outcomeUnknown : error)
    case .idle, .winding: break
    }
    discard(connection)
  }

  /// Closes the idle connections to a host that went down or became a standby.
  func dropIdle(host: String) {
    for lane in lanes.indices {
      for connection in lanes[lane].idle where connection.host == host { discard(connection) }
    }
  }

  /// Draws the consequences that a server's error has for its connection and host.
  func react(to error: PostgresError, on connection: Connection, readOnly: Bool) {
    if error.isStalePlan { connection.isWorn = true }
    if error.sqlState?.hasPrefix("57P0") == true || (error.sqlState == "25006" && !readOnly) {
      connection.isWorn = true
      dropIdle(host: connection.host)
    }
  }

  /// A server's error as its waiter sees it: what `statement_timeout` stopped at the deadline has timed out.
  func explained(_ error: PostgresError, deadline: Deadline) -> PostgresError {
    guard error.sqlState == "57014" else { return error }
    var error = error
    error.kind = deadline.nanoseconds - now.nanoseconds < 5_000_000 ? .timeout : error.kind
    return error
  }
}

// MARK: - Sockets

extension ConnectionLoop {
  /// Takes in what has arrived on a connection's socket and acts on it.
  func serve(_ connection: Connection) {
    if case .idle = connection.use {
      if !connection.consumeInput() { discard(connection) }
      return
    }
    switch connection.mode {
    case .pipeline:
      switch connection.receive() {
      case .pending: break
      case .finished: finished(connection)
      case .lost: lost(connection)
      }
    case .copyStarting, .copyIn, .copyOut, .copyEnding: serveCopy(connection)
    }
  }

  private func finished(_ connection: Connection) {
    switch connection.use {
    case .idle: break
    case .winding: release(connection)
    case .oneShot(let work): finished(work, on: connection)
    case .transaction(let session): finished(session, on: connection)
    }
  }

  /// A connection broke.
  func lost(_ connection: Connection) {
    let failure = connection.pipeline.failure
    logger.info(
      "connection to PostgreSQL lost", metadata: ["host": "\(connection.host)", "sqlState": "\(failure?.sqlState ?? "none")"])
    let use = connection.use
    discard(connection)
    dropIdle(host: connection.host)
    switch use {
    case .idle, .winding: break
    case .oneShot(let work): lost(work, connection.pipeline)
    case .transaction(let session): lost(session, connection.pipeline)
    }
  }
}

extension ConnectionLoop {
  /// Has the server's notices logged instead of printed. The loop outlives its connections.
  func logNotices(of handle: Connector.Handle) {
    PQsetNoticeReceiver(handle.pg, logNotice, Unmanaged.passUnretained(self).toOpaque())
  }
}

private func logNotice(_ loop: UnsafeMutableRawPointer?, _ notice: OpaquePointer?) {
  guard let loop, let notice else { return }
  let error = PostgresError(result: notice, statementName: nil)
  // Its text may hold values.
  Unmanaged<ConnectionLoop>.fromOpaque(loop).takeUnretainedValue().logger.debug(
    "PostgreSQL notice", metadata: ["severity": "\(error.severity ?? "")", "sqlState": "\(error.sqlState ?? "")"])
}
