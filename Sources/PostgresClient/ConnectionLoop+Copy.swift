/// COPY within an interactive transaction, with back-pressure both ways: a write is answered when the socket has taken it,
/// and the socket is read only while a reader waits.
extension ConnectionLoop {
  func runCopy(_ request: TransactionSession.Request, _ session: TransactionSession, on connection: Connection) {
    switch request {
    case .copyIn(let sql), .copyOut(let sql):
      if !session.hasBegun {
        send([], .init(), session, on: connection)
      } else if !connection.beginCopy(sql.text) {
        lost(connection)
      }
    case .copyData(let bytes):
      guard case .copyIn = connection.mode else { return refuse(session) }
      if !connection.putCopy(bytes) { lost(connection) } else if !connection.wantsWrite { finishRequest(.results([]), session) }
    case .copyEnd(let isAborted):
      guard case .copyIn = connection.mode else { return refuse(session) }
      if !connection.putCopyEnd(isAborted: isAborted) { lost(connection) }
    case .copyRead:
      switch connection.mode {
      case .copyOut: readCopy(session, on: connection)
      case .copyEnding: endCopy(session, on: connection)
      case .pipeline: finishRequest(.data(nil), session)
      default: refuse(session)
      }
    case .statements, .commit, .rollback: break
    }
  }

  private func finishRequest(_ reply: TransactionSession.Reply, _ session: TransactionSession) {
    session.reply(.success(reply))
    advance(session)
  }

  private func refuse(_ session: TransactionSession) {
    session.reply(.failure(PostgresError(.usage, "no COPY is under way")))
    advance(session)
  }

  /// Acts on a socket that is ready while a COPY is under way.
  func serveCopy(_ connection: Connection) {
    guard connection.consumeInput() else { return lost(connection) }
    guard case .transaction(let session) = connection.use else { return discard(connection) }
    switch connection.mode {
    case .pipeline: break
    case .copyStarting:
      switch connection.copyStarted() {
      case nil: break
      case true?: finishRequest(.results([]), session)
      case false?: endCopy(session, on: connection)
      }
    case .copyIn:
      if case .copyData = session.current?.request, !connection.wantsWrite { finishRequest(.results([]), session) }
    case .copyOut: readCopy(session, on: connection)
    case .copyEnding: endCopy(session, on: connection)
    }
  }

  private func readCopy(_ session: TransactionSession, on connection: Connection) {
    guard case .copyRead = session.current?.request else { return }
    let (bytes, isAtEnd) = connection.getCopy()
    connection.isReadingCopy = bytes.isEmpty && !isAtEnd
    if !bytes.isEmpty {
      finishRequest(.data(bytes), session)
    } else if isAtEnd {
      endCopy(session, on: connection)
    }
  }

  private func endCopy(_ session: TransactionSession, on connection: Connection) {
    switch connection.receiveCopyEnd() {
    case .pending: break
    case .lost: lost(connection)
    case .finished:
      if case .copyRead = session.current?.request, connection.pipeline.failure == nil {
        finishRequest(.data(nil), session)
      } else {
        answer(session, connection.pipeline.failure, on: connection)
        advance(session)
      }
    }
  }
}
