/// A permission area: what a role's read and write scopes are given for. Row-level security knows each by its raw value.
package enum Area: String, CaseIterable, Sendable, Codable {
  case customers, products, sales, marketing, service, finance, purchasing, analytics, admin

  /// What an API key may be narrowed to: each area followed by `:read` or `:write`.
  package static let scopes = allCases.flatMap { ["\($0.rawValue):read", "\($0.rawValue):write"] }
}
