import ArgumentParser

struct Config: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "config", abstract: "List every setting with its value and where it comes from.",
    discussion: "A setting comes from --set, the environment, the JSON file named by --config or MUHATAP_CONFIG, or its default, in this order.")

  @OptionGroup var options: SettingsOptions
  @Flag(help: "Leave out what each setting means.") var brief = false

  func run() async throws {
    var reader = try await options.reader()
    _ = Settings(from: &reader, for: .list)
    for entry in reader.entries {
      let value = entry.value.map { entry.isSecret ? "(secret)" : $0 } ?? "(not set)"
      print("\(entry.variable) = \(value)\(entry.source.map { "  [\($0)]" } ?? "")")
      if !brief { print("    \(entry.key), \(entry.type): \(entry.meaning)") }
    }
    let mistakes = reader.allMistakes()
    guard mistakes.isEmpty else { throw SettingsOptions.Mistakes(list: mistakes) }
  }
}
