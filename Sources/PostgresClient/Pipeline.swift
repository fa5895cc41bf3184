internal import CLibPQ

/// One flush of statements on a connection and what has come back of it so far.
struct Pipeline {
  enum Step {
    /// A statement is prepared under a name; its text.
    case prepare(String)
    /// A statement whose result nobody asked for: BEGIN, the settings, COMMIT.
    case silent
    /// A statement of the caller's, with its name for errors.
    case statement(StatementName)
    case sync
  }

  /// What the statement is called in an error, put together only when there is one.
  struct StatementName {
    var name: StaticString?
    var file: StaticString?
    var line: UInt = 0

    var text: String? {
      if let name { return "\(name)" }
      return file.map { "\($0):\(line)" }
    }
  }

  private var steps: [Step] = []
  private var position = 0
  private(set) var results: [PostgresResult] = []
  /// The first thing that went wrong.
  private(set) var failure: PostgresError?
  /// Whether it went wrong after all statements had been answered.
  private(set) var failedAtEnd = false
  /// The command tag of the last silent statement: tells a COMMIT from the ROLLBACK that it becomes in a failed transaction.
  private(set) var lastTag = ""

  var isFinished: Bool { position == steps.count }

  /// Whether the transaction may have been committed although its end was not seen: it broke after the last statement, or without a word.
  var mayHaveCommitted: Bool {
    guard let failure else { return true }
    return failure.sqlState == nil || (failedAtEnd && failure.severity != "ERROR")
  }

  mutating func clear() {
    steps.removeAll(keepingCapacity: true)
    position = 0
    results = []
    failure = nil
    failedAtEnd = false
    lastTag = ""
  }

  mutating func expect(_ step: Step) { steps.append(step) }

  mutating func take(_ result: PostgresResult) { results.append(result) }

  mutating func fail(_ error: PostgresError) { failure = failure ?? error }

  /// Takes over one result from libpq.
  mutating func receive(_ result: OpaquePointer, _ prepared: inout PreparedStatements) {
    guard position < steps.count else {
      PQclear(result)
      return
    }
    let status = PQresultStatus(result)
    let step = steps[position]
    if case .sync = step {
      // An error here was found at the end of the transaction: a deferred constraint, a serialization failure.
      if status == PGRES_PIPELINE_SYNC {
        position += 1
      } else if status == PGRES_FATAL_ERROR {
        failedAtEnd = failure == nil
        fail(PostgresError(result: result, statementName: nil))
      }
      PQclear(result)
      return
    }
    position += 1
    switch status {
    case PGRES_COMMAND_OK, PGRES_TUPLES_OK, PGRES_EMPTY_QUERY:
      switch step {
      case .statement:
        results.append(PostgresResult(result))
        return
      case .silent: lastTag = PQcmdStatus(result).map { String(cString: $0) } ?? ""
      case .prepare, .sync: break
      }
    case PGRES_FATAL_ERROR, PGRES_PIPELINE_ABORTED:
      if case .prepare(let text) = step { prepared.forget(text) }
      if status == PGRES_FATAL_ERROR {
        var name: StatementName?
        switch (step, position < steps.count ? steps[position] : nil) {
        case (.statement(let own), _): name = own
        case (.prepare, .statement(let next)): name = next
        default: break
        }
        fail(PostgresError(result: result, statementName: name?.text))
      }
    default:
      fail(PostgresError(.usage, "the statement cannot run in a pipeline; use copyIn or copyOut for COPY"))
    }
    PQclear(result)
  }
}
