import ArgumentParser
import CRMCore
import Gateway

struct AdminAPIKey: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "api-key", abstract: "Make an API key for a user; its last line of output is the key, which is shown this once.")

  @Option(help: "The user's e-mail address.") var user: String
  @Option(help: "What the key is for.") var name: String
  @Option(help: ArgumentHelp("Narrows the key to this; may be repeated.", valueName: "area:read|area:write")) var scope: [String] = []
  @Option(help: ArgumentHelp("Days until it stops working; without it, it works until it is revoked.", valueName: "days")) var expires: Int?
  @OptionGroup var options: SettingsOptions

  func validate() throws {
    let known = Set(Area.scopes)
    if let wrong = scope.first(where: { !known.contains($0) }) {
      throw ValidationError("There is no scope \(wrong). The scopes: \(known.sorted().joined(separator: ", "))")
    }
  }

  func run() async throws {
    try await options.withPool(.administer) { pool, _ in
      let key = try await Database(pool: pool).makeAPIKey(
        for: user, name: name, scopes: scope.isEmpty ? nil : scope, lifetime: expires.map { .seconds($0 * 86_400) })
      print(key.token)
    }
  }
}
