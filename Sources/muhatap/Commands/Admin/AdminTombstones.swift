import ArgumentParser
import CRMCore
import Foundation
import PostgresClient

struct AdminTombstones: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tombstones", abstract: "Keep who was erased erased, also after a restore.",
    discussion:
      "A backup from before an erasure has the person in it. Keep the output of `export` where backups are kept, and run `apply` after every restore, before the gateway is started.",
    subcommands: [Export.self, Apply.self])

  struct Export: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "export", abstract: "Print all tombstones, one JSON object a line: hashes and ids, no personal data.")

    @OptionGroup var options: SettingsOptions

    func run() async throws {
      try await options.withPool(.administer) { pool, _ in
        let lines = try await Database(pool: pool).transaction(as: .system("muhatap admin tombstones")) { tx in
          try await tx.result("SELECT l FROM crm.tombstone_lines() AS l").rows.map { try $0.decode(JSONText.self, at: 0).text }
        }
        for line in lines { print(line) }
      }
    }
  }

  struct Apply: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "apply", abstract: "Add the tombstones of a file, then erase again whoever is back.")

    @Argument(help: "The file that `export` printed; without it only the tombstones of the database itself are applied.") var file: String?
    @OptionGroup var options: SettingsOptions

    func run() async throws {
      var lines: [String] = []
      if let file {
        guard let text = try? String(contentsOfFile: file, encoding: .utf8) else { throw ValidationError("The file cannot be read.") }
        lines = text.split(separator: "\n").map(String.init)
      }
      let array = JSONText("[" + lines.joined(separator: ",") + "]")
      try await options.withPool(.administer) { pool, _ in
        let (taken, erased) = try await Database(pool: pool).transaction(as: .system("muhatap admin tombstones"), deadline: .after(.seconds(3_600))) { tx in
          let taken = try await tx.value(Int.self, "SELECT crm.take_tombstones(\(array)::jsonb)")
          return (taken, try await tx.value(Int.self, "SELECT crm.reapply_tombstones(now())"))
        }
        print("\(taken) tombstones were added; \(erased) persons were erased again.")
      }
    }
  }
}
