internal import CLibPQ

/// One connection to the server. Belongs to the connection loop and is touched only by whoever has the loop's turn.
final class Connection {
  /// What the connection is being used for.
  enum Use {
    case idle
    case oneShot(OneShot)
    case transaction(TransactionSession)
    /// Nobody waits any more: it finishes what it was doing and becomes idle, or is closed at the deadline.
    case winding(until: Deadline)
  }

  /// What libpq is doing.
  enum Mode {
    case pipeline
    case copyStarting
    case copyIn
    case copyOut
    case copyEnding
  }

  enum Progress {
    case pending
    case finished
    case lost
  }

  let pg: OpaquePointer
  let lane: PostgresPool.Lane
  /// Host and port, to know the connections that go down with it.
  let host: String
  let opened: Deadline
  var use: Use = .idle
  private(set) var mode: Mode = .pipeline
  var pipeline = Pipeline()
  /// Whether libpq holds bytes that the socket would not take yet.
  private(set) var wantsWrite = false
  private(set) var prepared: PreparedStatements
  private let isPreparing: Bool
  /// Whether it shall be replaced when it is next idle.
  var isWorn = false
  private(set) var isClosed = false
  /// Whether a COPY waits for its reader or for the socket.
  var isReadingCopy = false

  init(_ pg: OpaquePointer, lane: PostgresPool.Lane, preparedStatements: Int) {
    self.pg = pg
    self.lane = lane
    host = Self.text(PQhost(pg)) + ":" + Self.text(PQport(pg))
    opened = .now
    prepared = PreparedStatements(capacity: preparedStatements)
    isPreparing = preparedStatements > 0
  }

  private static func text(_ pointer: UnsafePointer<CChar>?) -> String { pointer.map { String(cString: $0) } ?? "" }
  private static func text(_ pointer: UnsafeMutablePointer<CChar>?) -> String { pointer.map { String(cString: $0) } ?? "" }

  var socket: Int32 { PQsocket(pg) }
  var transactionStatus: PGTransactionStatusType { PQtransactionStatus(pg) }

  /// Whether it may be used by someone else: alive, outside of a transaction, nothing outstanding.
  var isClean: Bool {
    PQstatus(pg) == CONNECTION_OK && transactionStatus == PQTRANS_IDLE && pipeline.isFinished && !wantsWrite && isInPipeline
  }

  private var isInPipeline: Bool {
    if case .pipeline = mode { PQpipelineStatus(pg) == PQ_PIPELINE_ON } else { false }
  }

  /// Whether to read from the socket: not while the reader of a COPY is behind.
  var wantsRead: Bool { if case .copyOut = mode { isReadingCopy } else { true } }

  /// When what it does takes too long.
  var due: Deadline? {
    switch use {
    case .idle: nil
    case .winding(let until): until
    case .oneShot(let work): work.deadline.adding(ConnectionLoop.grace)
    case .transaction(let session): session.deadline.adding(session.current == nil ? 0 : ConnectionLoop.grace)
    }
  }

  func close() {
    isClosed = true
    PQfinish(pg)
  }
}

// MARK: - Pipelines

extension Connection {
  /// Begins a pipeline. If no transaction is open, statements that have become too many are first deallocated in one of their own.
  func beginPipeline() {
    pipeline.clear()
    guard isPreparing, transactionStatus == PQTRANS_IDLE, let first = prepared.evict() else { return }
    var victim: String? = first
    while let name = victim {
      if PQsendQueryParams(pg, "DEALLOCATE \(name)", 0, nil, nil, nil, nil, 0) == 1 { pipeline.expect(.silent) } else { failSending() }
      victim = prepared.evict()
    }
    if PQpipelineSync(pg) == 1 { pipeline.expect(.sync) } else { failSending() }
  }

  /// Queues one statement.
  func send(_ text: String, _ binds: [Bind], step: Pipeline.Step) {
    guard isPreparing else {
      let sent = Self.withParameters(binds) { PQsendQueryParams(pg, text, Int32(binds.count), nil, $0, nil, nil, 0) }
      if sent == 1 { pipeline.expect(step) } else { failSending() }
      return
    }
    let (name, isNew) = prepared.name(for: text)
    if isNew {
      guard PQsendPrepare(pg, name, text, 0, nil) == 1 else {
        prepared.forget(text)
        return failSending()
      }
      pipeline.expect(.prepare(text))
    }
    let sent = Self.withParameters(binds) { PQsendQueryPrepared(pg, name, Int32(binds.count), $0, nil, nil, 0) }
    if sent == 1 { pipeline.expect(step) } else { failSending() }
  }

  /// Ends the pipeline, and with it the transaction unless BEGIN opened one, and sends all of it.
  func endPipeline() {
    if PQpipelineSync(pg) == 1 { pipeline.expect(.sync) } else { failSending() }
    flush()
  }

  private func failSending() { pipeline.fail(PostgresError(.connection, "the connection to the server was lost")) }

  /// Forgets how statements were prepared, after a table was altered under them.
  func forgetPlans() { prepared.forgetAll() }

  func flush() { wantsWrite = PQflush(pg) == 1 }

  /// Lays the parameters out for libpq: zero-terminated, on the stack while they are small.
  private static func withParameters(_ binds: [Bind], _ body: (UnsafePointer<UnsafePointer<CChar>?>?) -> Int32) -> Int32 {
    if binds.isEmpty { return body(nil) }
    var size = 1
    for case .text(let text) in binds { size += text.utf8.count + 1 }
    return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: size) { bytes in
      withUnsafeTemporaryAllocation(of: UnsafePointer<CChar>?.self, capacity: binds.count) { pointers in
        var end = 0
        for (index, bind) in binds.enumerated() {
          guard case .text(var text) = bind, let base = bytes.baseAddress else {
            pointers.initializeElement(at: index, to: nil)
            continue
          }
          let start = base + end
          end += text.withUTF8 { utf8 in
            if let from = utf8.baseAddress { start.update(from: from, count: utf8.count) }
            start[utf8.count] = 0
            return utf8.count + 1
          }
          pointers.initializeElement(at: index, to: UnsafeRawPointer(start).assumingMemoryBound(to: CChar.self))
        }
        return body(UnsafePointer(pointers.baseAddress))
      }
    }
  }

  /// Takes in what the socket holds.
  func receive() -> Progress {
    let isAlive = PQconsumeInput(pg) == 1
    if wantsWrite { flush() }
    while !pipeline.isFinished, PQisBusy(pg) == 0 {
      guard let result = PQgetResult(pg) else {
        // nil stands between two statements; twice in a row it means that nothing will follow.
        guard PQstatus(pg) == CONNECTION_OK, PQisBusy(pg) == 0, let next = PQgetResult(pg) else { break }
        pipeline.receive(next, &prepared)
        continue
      }
      pipeline.receive(result, &prepared)
    }
    if !isAlive || PQstatus(pg) != CONNECTION_OK { return .lost }
    return pipeline.isFinished ? .finished : .pending
  }
}

// MARK: - COPY

extension Connection {
  /// Sends a COPY statement. libpq forbids COPY in pipeline mode, so that is left until `endCopy`.
  func beginCopy(_ text: String) -> Bool {
    pipeline.clear()
    guard PQexitPipelineMode(pg) == 1, PQsendQueryParams(pg, text, 0, nil, nil, nil, nil, 0) == 1 else { return false }
    mode = .copyStarting
    flush()
    return true
  }

  /// The server's answer to the COPY statement: whether data can flow.
  /// - Returns: nil while it has not answered.
  func copyStarted() -> Bool? {
    guard PQisBusy(pg) == 0, let result = PQgetResult(pg) else { return nil }
    defer { PQclear(result) }
    switch PQresultStatus(result) {
    case PGRES_COPY_IN: mode = .copyIn
    case PGRES_COPY_OUT: mode = .copyOut
    case PGRES_FATAL_ERROR:
      pipeline.fail(PostgresError(result: result, statementName: nil))
      mode = .copyEnding
      return false
    default:
      pipeline.fail(PostgresError(.usage, "the statement is no COPY between the client and a table"))
      mode = .copyEnding
      return false
    }
    return true
  }

  /// Queues data of a COPY into the server.
  func putCopy(_ bytes: [UInt8]) -> Bool {
    let sent = bytes.withUnsafeBytes { PQputCopyData(pg, $0.baseAddress?.assumingMemoryBound(to: CChar.self), Int32($0.count)) }
    flush()
    return sent == 1
  }

  /// Ends a COPY into the server; with `isAborted` all of it is refused.
  func putCopyEnd(isAborted: Bool) -> Bool {
    let sent = isAborted ? PQputCopyEnd(pg, "given up by the client") : PQputCopyEnd(pg, nil)
    mode = .copyEnding
    flush()
    return sent == 1
  }

  /// What has arrived of a COPY out of the server.
  /// - Returns: `bytes` whole rows, about 64 KiB of them at most; `isAtEnd` when no more will come.
  func getCopy() -> (bytes: [UInt8], isAtEnd: Bool) {
    var bytes: [UInt8] = []
    while bytes.count < 65_536 {
      var row: UnsafeMutablePointer<CChar>?
      let count = PQgetCopyData(pg, &row, 1)
      guard count > 0, let row else {
        if count < 0 { mode = .copyEnding }
        return (bytes, count < 0)
      }
      bytes.append(contentsOf: UnsafeRawBufferPointer(start: row, count: Int(count)))
      PQfreemem(row)
    }
    return (bytes, false)
  }

  /// Takes in the end of a COPY; the connection is then in pipeline mode again.
  func receiveCopyEnd() -> Progress {
    while PQisBusy(pg) == 0 {
      guard let result = PQgetResult(pg) else {
        guard PQstatus(pg) == CONNECTION_OK, PQenterPipelineMode(pg) == 1 else { return .lost }
        mode = .pipeline
        return .finished
      }
      if PQresultStatus(result) == PGRES_FATAL_ERROR {
        pipeline.fail(PostgresError(result: result, statementName: nil))
        PQclear(result)
      } else {
        pipeline.take(PostgresResult(result))
      }
    }
    return PQstatus(pg) == CONNECTION_OK ? .pending : .lost
  }

  /// Reads from the socket without taking results apart.
  func consumeInput() -> Bool {
    let isAlive = PQconsumeInput(pg) == 1 && PQstatus(pg) == CONNECTION_OK
    if wantsWrite { flush() }
    return isAlive
  }
}
