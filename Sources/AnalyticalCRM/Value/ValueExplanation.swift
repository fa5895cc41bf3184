import CRMCore
import Foundation

/// One key of a customer's value.
struct ValuePart: Sendable {
  let metric, label, unit, direction, normalisation: String
  /// What was measured; nil where nothing was.
  let raw: Double?
  /// 0 to 1.
  let normalised: Double
  let coefficient: Double
  /// Points of the score.
  let contribution: Double
  /// Points the key can give at most.
  let most: Double
  /// Whether everybody is equal in it, so that it says nothing.
  let isConstant: Bool
}

/// Says in one sentence why a customer is worth what it is.
struct ValueExplanation: Sendable {
  let rank: Int?
  let population: Int
  let tier: String?
  /// Currency of amounts.
  let currency: String
  /// scored, inactive, prospect or suspect.
  let group: String
  let parts: [ValuePart]

  /// The two keys that give most, and the one that leaves most to be gained if that is a point or more.
  func sentence(in language: Language) -> String {
    guard let rank, let tier else { return Self.unscored(group).text(in: language) }
    let giving = parts.filter { $0.contribution > 0 }.sorted { ($0.contribution, $1.label) > ($1.contribution, $0.label) }.prefix(2)
    let lacking = parts.filter { !$0.isConstant && $0.most - $0.contribution >= 1 }.max {
      ($0.most - $0.contribution, $1.label) < ($1.most - $1.contribution, $0.label)
    }
    let reasons = giving.map { described($0, language) }
    switch language {
    case .english:
      let why = reasons.isEmpty ? "" : ", above all by \(reasons.joined(separator: " and "))"
      let but = lacking.map { "; most is to be gained in \(described($0, language))" } ?? ""
      return "Number \(rank) of \(population) (\(tier))\(why)\(but)."
    case .turkish:
      let why = reasons.isEmpty ? "" : ", en çok \(reasons.joined(separator: " ve ")) ile"
      let but = lacking.map { "; en çok kazanılabilecek yer \(described($0, language))" } ?? ""
      return "\(population) müşteri arasında \(rank). sırada (\(tier))\(why)\(but)."
    }
  }

  private static func unscored(_ group: String) -> Phrase {
    switch group {
    case "inactive":
      Phrase("Bought nothing in the time the model looks at, so it has no score.", tr: "Modelin baktığı sürede alışveriş yapmadı; bu yüzden puanı yok.")
    case "suspect": Phrase("Known by name only; it has bought nothing yet.", tr: "Yalnızca adı biliniyor; henüz alışveriş yapmadı.")
    default: Phrase("May become a customer; it has bought nothing yet.", tr: "Müşteri olabilir; henüz alışveriş yapmadı.")
    }
  }

  /// Such as: revenue (2,415.56 USD, 33.5 of 45 points).
  private func described(_ part: ValuePart, _ language: Language) -> String {
    let label = part.label.lowercased(with: Locale(identifier: language == .turkish ? "tr_TR" : "en_GB"))
    let points = "\(written(part.contribution, 1, language))/\(written(part.most, 1, language))"
    let measured = part.raw.map { "\(value($0, part, language)), " } ?? ""
    return language == .turkish ? "\(label) (\(measured)\(points) puan)" : "\(label) (\(measured)\(points) points)"
  }

  private func value(_ raw: Double, _ part: ValuePart, _ language: Language) -> String {
    switch part.unit {
    case "currency": "\(written(raw, 2, language)) \(currency)"
    case "days": "\(written(raw, 0, language)) \(language == .turkish ? "gün" : "days")"
    default: written(raw, raw == raw.rounded() ? 0 : 2, language)
    }
  }

  private func written(_ number: Double, _ decimals: Int, _ language: Language) -> String { Decimal(number).written(in: language, decimals: decimals) }
}
