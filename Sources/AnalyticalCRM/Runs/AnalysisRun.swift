package import CRMCore
import Foundation
import PostgresClient

extension Concept {
  /// What was computed, as of when, by which method, and what came of it.
  static let analysisRuns = Concept(resources: [.analysisRuns, .observationKinds, .customerObservations])
}

extension Resource {
  /// One run of an analysis. Asked for by the operations of the analyses; computed by a worker.
  package static let analysisRuns = Resource("analysis_runs", singular: "analysis_run", table: "crm.analysis_run", area: .analytics, order: "-created_at")

  /// What the company observes of its customers beyond orders; each kind is a metric.
  package static let observationKinds = Resource(
    "observation_kinds", singular: "observation_kind", table: "crm.observation_kind", area: .analytics,
    create: ["code", "name_en", "name_tr", "unit", "aggregate", "direction", "active"],
    change: ["name_en", "name_tr", "unit", "aggregate", "direction", "active"],
    search: ["name_en", "name_tr"], order: "code")

  /// A number observed of a customer: an investment, a share in costs, a satisfaction score, a coupon redeemed.
  package static let customerObservations = Resource(
    "customer_observations", singular: "customer_observation", table: "crm.customer_observation", area: .customers,
    create: ["customer_id", "kind", "observed_at", "value", "currency", "note", "department_id", "owner_id", "visibility"],
    change: ["kind", "observed_at", "value", "currency", "note", "department_id", "owner_id", "visibility"], deletable: true, expand: ["customer"])
}

extension JSON {
  /// The same as PostgreSQL stores it.
  var stored: JSONText { get throws { JSONText(String(decoding: try encoded(), as: UTF8.self)) } }
}

/// A run that a worker is computing. It becomes visible whole: what it writes for each customer is read only through runs that are done.
struct AnalysisRun: RowDecodable, Sendable {
  let id: UUID
  /// The value model or segment it is a run of.
  let subjectID: UUID?
  let modelVersion: Int
  /// Facts at this instant or later do not count.
  let asOf: Date
  let parameters: JSON
  let departmentID: UUID?

  init(row: PostgresRow) throws {
    id = try row.decode("id")
    subjectID = try row.decode("subject_id")
    modelVersion = try row.decode("model_version")
    asOf = try row.decode("as_of")
    parameters = try JSONDecoder().decode(JSON.self, from: Data(try row.decode(JSONText.self, "parameters").text.utf8))
    departmentID = try row.decode("department_id")
  }

  /// Asks for a run: writes it down and puts the job `analysis.<kind>` into the queue, which only happens if the transaction does.
  /// - Parameter jobKind: defaults to `analysis.` and the kind.
  static func request(
    kind: String, subject: UUID? = nil, method: String, modelVersion: Int = 1, asOf: Date?, parameters: JSON = [:], department: UUID? = nil,
    in tx: PostgresTransaction
  ) async throws -> UUID {
    let id = try await tx.value(
      UUID.self,
      """
      INSERT INTO crm.analysis_run (kind, subject_id, method, model_version, as_of, parameters, department_id)
      VALUES (\(kind), \(subject), \(method), \(modelVersion), coalesce(\(asOf), now()), \(try parameters.stored), \(department)) RETURNING id
      """)
    try await tx.run("SELECT crm.enqueue(\("analysis.\(kind)"), jsonb_build_object('run_id', \(id)::uuid), key => \("analysis:\(id)"))")
    return id
  }
}

extension JobHandler {
  /// A worker's part of an analysis. `compute` runs in one transaction of the system and answers with the population and the result for the whole; the run is marked
  /// done in the same transaction, so that readers see the last run until the new one is there. A `Problem` it throws is why the run failed.
  /// - Parameter deadline: seconds the computing may take.
  static func analysis(
    _ kind: String, deadline seconds: Int = 600,
    compute: @Sendable @escaping (AnalysisRun, PostgresTransaction, AnalysisProgress) async throws -> (population: Int, result: JSON)
  ) -> JobHandler {
    JobHandler("analysis.\(kind)") { lease in
      guard let id = lease.job.payload["run_id"]?.string.flatMap(UUID.init(uuidString:)) else { throw HopelessJob("run_id is not an id") }
      let caller = Caller.system("compute \(kind)")
      try await lease.transaction(as: caller, deadline: .after(.seconds(30))) { tx in
        try await tx.run("UPDATE crm.analysis_run SET status = 'running', started_at = clock_timestamp(), progress = 0 WHERE id = \(id) AND status <> 'done'")
      }
      do {
        try await lease.complete(as: caller, deadline: .after(.seconds(seconds))) { tx in
          guard
            let run = try await tx.first(
              AnalysisRun.self,
              "SELECT id, subject_id, model_version, as_of, parameters, department_id FROM crm.analysis_run WHERE id = \(id) AND status = 'running'")
          else { return }
          let answer = try await compute(run, tx, AnalysisProgress(run: id, lease: lease))
          try await tx.run(
            """
            UPDATE crm.analysis_run SET status = 'done', progress = 100, population = \(answer.population), result = \(try answer.result.stored), finished_at = clock_timestamp()
             WHERE id = \(id)
            """)
        }
      } catch let problem as Problem {
        @Sendable func words(_ language: Language) -> String { [problem.title, problem.detail].compactMap { $0?.text(in: language) }.joined(separator: " ") }
        try await lease.complete(as: caller, deadline: .after(.seconds(30))) { tx in
          try await tx.run(
            """
            UPDATE crm.analysis_run SET status = 'failed', finished_at = clock_timestamp(),
                   problem = jsonb_build_object('code', \(problem.code)::text, 'en', \(words(.english))::text, 'tr', \(words(.turkish))::text)
             WHERE id = \(id)
            """)
        }
      }
    }
  }
}

/// Tells how far a run is, outside of the transaction that computes it.
struct AnalysisProgress: Sendable {
  let run: UUID
  let lease: JobLease

  /// - Parameter percent: 1 to 99.
  func reached(_ percent: Int) async throws {
    try await lease.transaction(as: .system("tell how far an analysis is"), deadline: .after(.seconds(10))) { tx in
      try await tx.run("UPDATE crm.analysis_run SET progress = \(min(max(percent, 1), 99)) WHERE id = \(run) AND status = 'running'")
    }
  }
}
