package import CRMCore
import Foundation
package import Logging
import PostgresClient

/// Keeps values and segments true while people work: follows the change log and, for the customers it names and no others, scores them again and holds them against
/// every dynamic segment. Several may run; they take turns.
package struct LiveFollower: Sendable {
  private let database: Database
  private let resources: [Resource]
  private let logger: Logger

  /// Changes taken in at a time.
  static let batch = 5_000
  /// How long to wait when there was nothing.
  private static let pause = Duration.milliseconds(150)

  /// - Parameter resources: every declared resource: definitions may name any of them.
  package init(database: Database, resources: [Resource], logger: Logger) {
    self.database = database
    self.resources = resources
    self.logger = logger
  }

  /// Follows until the task is cancelled.
  package func run() async {
    var model: Model?
    while !Task.isCancelled {
      do {
        let known: Model
        if let model { known = model } else { known = try await readModel() }
        model = known
        if try await step(known) { continue }
        try await Task.sleep(for: Self.pause)
      } catch {
        if Task.isCancelled { return }
        logger.warning("the change log could not be followed; trying again", metadata: ["error": "\(error)"])
        model = nil
        do { try await Task.sleep(for: .seconds(1)) } catch { return }
      }
    }
  }

  /// Takes in everything that can be taken in now. For tests and for whoever wants to wait for it.
  package func catchUp() async throws {
    let model = try await readModel()
    while try await step(model) {}
  }

  private func readModel() async throws -> Model { try Model(resources: resources, catalogue: try await Catalogue.read(from: database.pool)) }

  /// One batch in one transaction. Says whether there was one.
  private func step(_ model: Model) async throws -> Bool {
    guard try await LiveBatch.isWaiting(database) else { return false }
    let fields = CustomFieldCache()
    try await fields.reload(from: database)
    let compiler = QueryCompiler(model: model, customFields: fields.current)
    do {
      return try await database.transaction(as: .system("follow changes"), lane: .jobs, deadline: .after(.seconds(120)), retries: true) { tx in
        try await LiveBatch.take(Self.batch, compiler, in: tx)
      }
    } catch let failure as LiveBatch.SegmentFailure {
      // A definition that PostgreSQL refuses must not stop the others: it is set aside until it is mended, and the batch is taken again.
      logger.warning("a segment cannot be evaluated", metadata: ["segment": "\(failure.segment)", "error": "\(failure.cause)"])
      try await database.transaction(as: .system("set a segment aside")) { tx in
        try await SegmentMembership.note(
          Problem(
            422, "segment-failed",
            Phrase("The definition could not be evaluated; check its values.", tr: "Tanım değerlendirilemedi; değerlerini gözden geçirin.")),
          of: failure.segment, in: tx)
      }
      return true
    }
  }
}
