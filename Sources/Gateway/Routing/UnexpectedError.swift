package import CRMCore
import PostgresClient

extension Problem {
  /// What a person is told of an error that reached the gateway. Constraint violations were already turned into problems where the
  /// statement stands; whatever is left is either a condition of the moment or a defect, which is logged and not described.
  package init(describing error: any Error) {
    self =
      switch error {
      case let problem as Problem: problem
      case let error as PostgresError: Problem(describing: error)
      case is CancellationError: .timeout
      default: .unexpected
      }
  }

  private init(describing error: PostgresError) {
    self =
      switch error.kind {
      case .timeout, .cancelled: .timeout
      case .queueFull: .busy
      case .outcomeUnknown: .outcomeUnknown
      case .connection: .databaseUnavailable
      case .encoding: .unstorableText
      case .decoding, .rowCount, .usage: .unexpected
      case .server: Problem(sqlState: error.sqlState ?? "")
      }
  }

  private init(sqlState: String) {
    self =
      switch sqlState {
      case "57014", "55P03", "25P03": .timeout
      case "40001", "40P01": .busy
      case _ where sqlState.hasPrefix("53") || sqlState.hasPrefix("57P") || sqlState.hasPrefix("08") || sqlState == "25006":
        .databaseUnavailable
      default: .unexpected
      }
  }

  static let unstorableText = Problem.badRequest(
    "unstorable-value",
    Phrase(
      "A value cannot be stored: text may not hold the character U+0000, and numbers must be finite.",
      tr: "Bir değer saklanamıyor: metin U+0000 karakteri içeremez, sayılar sonlu olmalıdır."))

  static let databaseUnavailable = Problem(
    503, "database-unavailable",
    Phrase("The database cannot be reached right now. Try again shortly.", tr: "Veritabanına şu anda ulaşılamıyor. Kısa süre sonra yeniden deneyin."),
    retryAfter: 2)
}
