import CRMCore
import PostgresClient

/// Why a command did not do what it was asked, in a sentence for whoever runs it.
struct CommandRefusal: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }

  /// What PostgreSQL refused, in the words that stand beside the rule; nil when the error is not the caller's doing.
  init?(_ error: PostgresError, in pool: PostgresPool) async throws {
    guard error.kind == .server, let state = error.sqlState, state.hasPrefix("23") || state.hasPrefix("CR") else { return nil }
    if state.hasPrefix("CR") {
      self.init(error.message.prefix(1).uppercased() + error.message.dropFirst() + ".")
    } else {
      guard let problem = WriteProblem(catalogue: try await Catalogue.read(from: pool)).problem(for: error) else { return nil }
      self.init(problem.explanation)
    }
  }

  /// A code that names nothing, with the codes that do.
  static func unknown(_ thing: String, _ code: String, among codes: [String]) -> CommandRefusal {
    CommandRefusal("There is no \(thing) \(code). There are: \(codes.joined(separator: ", ")).")
  }
}

extension Problem {
  /// All of it in English, for a terminal.
  var explanation: String {
    ([title.english, detail?.english] + errors.map { "\($0.pointer): \($0.message.english)" }).compactMap { $0 }.joined(separator: "\n")
  }
}
