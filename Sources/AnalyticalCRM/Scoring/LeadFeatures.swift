import Foundation
import PostgresClient

/// A lead as it was first written down, and what became of it.
struct LeadHistory: RowDecodable {
  enum Outcome: String, PostgresDecodable, Sendable {
    case converted, disqualified, open
  }

  let id: UUID
  let outcome: Outcome
  /// One number a feature, in the order of `LeadFeatures.names`.
  let features: [Double]

  init(row: PostgresRow) throws {
    id = try row.decode("lead_id")
    outcome = try row.decode(Outcome.self, "outcome")
    let source = try row.decode(String.self, "source")
    features =
      LeadFeatures.sources.map { source == $0 ? 1 : 0 } + (try LeadFeatures.marks.map { try row.decode(Bool.self, $0) ? 1 : 0 })
  }
}

/// What is known of a lead when it is first written down. Nothing that is learnt or decided afterwards is among it.
enum LeadFeatures {
  /// `other` is what the rest is compared with.
  static let sources = ["web", "phone", "email", "referral", "fair", "campaign", "partner", "social", "visit"]
  static let marks = [
    "is_company", "has_person", "has_job_title", "has_email", "has_phone", "has_website", "has_tax_number", "has_province", "has_interest", "by_campaign",
  ]
  static let names = sources.map { "source=\($0)" } + marks
}
