/// The passwords and keys of channel accounts, out of the configuration. They are here and never in rows, logs or answers.
package struct ChannelSecrets: Sendable, CustomStringConvertible {
  private let secrets: [String: [String: String]]

  /// - Parameter secrets: by the code of an account, its secrets by their names.
  package init(_ secrets: [String: [String: String]] = [:]) { self.secrets = secrets }

  /// A secret of an account, such as `password`.
  package func secret(_ name: String, ofAccount code: String) -> String? { secrets[code]?[name] }

  /// Says nothing, so that no secret gets into a log.
  package var description: String { "ChannelSecrets" }
}
