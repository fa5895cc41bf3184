import CRMCore
import PostgresClient

/// What a survey measures.
enum SurveyKind: String, Sendable, CaseIterable {
  /// Would you recommend us? (Reichheld 2003)
  case nps
  /// How content are you?
  case csat
  /// It was easy. (Dixon et al. 2010)
  case ces
  /// Questions without a score.
  case form

  /// The scores it takes; nil for forms.
  var scale: ClosedRange<Int>? {
    switch self {
    case .nps: 0...10
    case .csat: 1...5
    case .ces: 1...7
    case .form: nil
    }
  }

  /// The kind in the column `kind` of a row. The database knows no other kinds.
  init(of row: PostgresRow) throws {
    let name = try row.decode(String.self, "kind")
    guard let kind = SurveyKind(rawValue: name) else { throw UnknownKind(name: name) }
    self = kind
  }

  struct UnknownKind: Error { let name: String }
}
