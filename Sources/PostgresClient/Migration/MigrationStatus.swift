package import Foundation

/// How a database stands to the migrations on disk.
package struct MigrationStatus: Sendable {
  package enum State: Sendable, Hashable {
    case applied(at: Date)
    case pending
    /// A migration outside of a transaction that was interrupted after so many of its statements; running again goes on from there.
    case interrupted(statementsDone: Int)
    /// The file was changed after it was applied.
    case edited
    /// Applied, but there is no such file: the database is newer than the program, or a file was deleted.
    case missing
  }

  package struct Migration: Sendable {
    package let number: Int
    package let name: String
    package let state: State
  }

  package enum Current: Sendable, Hashable {
    case fresh
    /// `sql/current` is to be rebuilt.
    case stale
    /// There is nothing in `sql/current`.
    case none
  }

  /// Whether someone else is migrating at this moment.
  package let isRunning: Bool
  package let migrations: [Migration]
  package let current: Current

  /// Whether the database is what the program expects.
  package var isUpToDate: Bool {
    current != .stale && migrations.allSatisfy { if case .applied = $0.state { true } else { false } }
  }

  /// Whether running would be refused.
  package var isRefused: Bool {
    migrations.contains { $0.state == .edited || $0.state == .missing }
  }

  /// The state in sentences, one a line, each with what to do.
  package var explanation: [String] {
    var lines: [String] = []
    let applied = migrations.count { if case .applied = $0.state { true } else { false } }
    lines.append("\(applied) of \(migrations.count) migrations are applied.")
    for migration in migrations {
      switch migration.state {
      case .applied: break
      case .pending: lines.append("\(migration.name) is to be applied.")
      case .interrupted(let done):
        lines.append("\(migration.name) was interrupted after \(done) of its statements; running again goes on from there.")
      case .edited:
        lines.append("\(migration.name) was changed after it was applied. Restore the file and write the change as a new migration.")
      case .missing:
        lines.append("\(migration.name) is applied but there is no such file. Run a version of the program that has it.")
      }
    }
    if current == .stale { lines.append("The schemas of sql/current are to be rebuilt.") }
    if isRunning { lines.append("Someone is migrating this database at this moment.") }
    if isUpToDate { lines.append("There is nothing to do.") }
    return lines
  }
}
