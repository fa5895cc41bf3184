import CRMCore
import Foundation
import Logging
import PostgresClient
import Synchronization

/// Who was heard of lately, by a request or by an open live connection, written down every half minute: presences lapse by it.
final class SignsOfLife: Sendable {
  private struct Heard {
    var people: Set<UUID> = []
    var connected: Set<UUID> = []
  }

  private let heard = Mutex(Heard())

  func note(_ user: UUID, isConnected: Bool = false) {
    heard.withLock { heard in
      if isConnected { heard.connected.insert(user) } else { heard.people.insert(user) }
    }
  }

  /// Writes until the task is cancelled. What a loss of the database or an end of the process loses is heard of again half a minute later.
  func run(writingTo database: Database, every interval: Duration, logger: Logger) async {
    while !Task.isCancelled {
      do {
        try await Task.sleep(for: interval)
        let news = heard.withLock { heard in
          defer { heard = Heard() }
          return heard
        }
        if news.people.isEmpty, news.connected.isEmpty { continue }
        _ = try await database.transaction(as: .system("note who was heard of")) { tx in
          try await tx.run("SELECT crm.hear_of(\(Array(news.people)), \(Array(news.connected)), now())")
        }
      } catch is CancellationError {
        return
      } catch {
        if Task.isCancelled { return }
        logger.warning("who was heard of could not be written down", metadata: ["error": "\(error)"])
      }
    }
  }
}
