package import PostgresClient

/// Does the jobs of one kind.
package struct JobHandler: Sendable {
  package let kind: String
  /// Whether it mostly waits for servers of others: then it is done beside the work of this one, and takes none of its places.
  package let waitsForOthers: Bool
  package let run: @Sendable (JobLease) async throws -> Void

  /// - Parameter run: does the job. What it changes in the database belongs into `JobLease.complete`, which happens exactly once;
  ///   effects outside of the database happen at least once and need a key of their own. A job whose handler returns without
  ///   completing it is completed afterwards.
  package init(_ kind: String, waitsForOthers: Bool = false, run: @escaping @Sendable (JobLease) async throws -> Void) {
    self.kind = kind
    self.waitsForOthers = waitsForOthers
    self.run = run
  }
}

/// The right to do a job, until another worker takes it over.
package struct JobLease: Sendable {
  package let job: Job
  package let database: Database

  package init(job: Job, database: Database) {
    self.job = job
    self.database = database
  }

  /// Another worker holds the job now; nothing of the transaction was kept.
  package struct Lost: Error {}

  /// Does a part of the job in one transaction that is kept only while this lease is the latest one.
  @discardableResult
  package func transaction<Value: Sendable>(
    as caller: Caller, deadline: Deadline, _ body: @Sendable @escaping (PostgresTransaction) async throws -> Value
  ) async throws -> Value {
    try await fenced {
      try await database.transaction(as: caller, request: job.id, lane: .jobs, deadline: deadline) { tx in
        try await tx.run("SELECT crm.hold_job(\(job.id), \(job.attempt))")
        return try await body(tx)
      }
    }
  }

  /// Does the job, or its last part, in the same transaction that marks it done: both happen, or neither.
  @discardableResult package func complete<Value: Sendable>(
    as caller: Caller, deadline: Deadline, _ body: @Sendable @escaping (PostgresTransaction) async throws -> Value
  ) async throws -> Value {
    try await fenced {
      try await database.transaction(as: caller, request: job.id, lane: .jobs, deadline: deadline) { tx in
        let value = try await body(tx)
        try await tx.run("SELECT crm.complete_job(\(job.id), \(job.attempt))")
        return value
      }
    }
  }

  private func fenced<Value: Sendable>(_ body: () async throws -> Value) async throws -> Value {
    do {
      return try await body()
    } catch let error as PostgresError where error.sqlState == "CR002" {
      throw Lost()
    }
  }
}

/// The job cannot be done however often it is tried: it is given up at once.
package struct HopelessJob: Error, CustomStringConvertible {
  package let description: String
  package init(_ description: String) { self.description = description }
}
