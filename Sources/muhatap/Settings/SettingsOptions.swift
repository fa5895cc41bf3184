import ArgumentParser
import Foundation

/// The flags with which every command takes its configuration.
struct SettingsOptions: ParsableArguments {
  /// Everything that is wrong with the configuration, at once.
  struct Mistakes: Error, CustomStringConvertible {
    let list: [String]
    var description: String { "The configuration needs your attention:\n" + list.map { "  " + $0 }.joined(separator: "\n") }
  }

  @Option(name: .customLong("config"), help: ArgumentHelp("A JSON file with settings; see `muhatap config`.", valueName: "file"))
  var file: String?

  @Option(name: .customLong("set"), help: ArgumentHelp("Sets a key, over environment and file; may be repeated.", valueName: "key=value"))
  var assignments: [String] = []

  /// The configuration for one kind of work.
  func settings(for purpose: Settings.Purpose) async throws -> Settings {
    var reader = try await reader()
    let settings = Settings(from: &reader, for: purpose)
    let mistakes = reader.allMistakes()
    guard mistakes.isEmpty else { throw Mistakes(list: mistakes) }
    return settings
  }

  func reader() async throws -> SettingsReader {
    try await SettingsReader(flags: assignments, environment: ProcessInfo.processInfo.environment, file: file)
  }
}
