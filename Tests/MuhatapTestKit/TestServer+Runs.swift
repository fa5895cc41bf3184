package import CRMCore
import Gateway
import Logging

extension TestServer {
  /// Lets a worker do what is in the queue until the run of an analysis is over, and answers with the run as REST shows it.
  package func finish(run id: String, within limit: Duration = .seconds(900)) async throws -> JSON {
    let worker = Worker(
      database: Database(pool: database.worker), handlers: Work.handlers,
      configuration: .init(name: "test-\(id)", concurrency: 1, pause: .milliseconds(100), grace: .seconds(1)),
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    return try await withThrowingTaskGroup(of: JSON?.self) { group in
      group.addTask {
        await worker.run()
        return nil
      }
      group.addTask {
        let deadline = ContinuousClock.now + limit
        while ContinuousClock.now < deadline {
          let answer = try await self.send(.get, "/v1/analysis_runs/\(id)")
          guard answer.status == 200 else { throw Command.Failure(description: answer.text) }
          let run = try answer.json()
          if ["done", "failed"].contains(run["status"]?.string) { return run }
          try await Task.sleep(for: .milliseconds(50))
        }
        throw Command.Failure(description: "the run \(id) did not end within \(limit)")
      }
      defer {
        worker.stop()
        group.cancelAll()
      }
      while let run = try await group.next() {
        if let run { return run }
      }
      throw Command.Failure(description: "the worker ended before the run \(id) did")
    }
  }
}
