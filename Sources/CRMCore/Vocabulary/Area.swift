/// A permission area: what a role's read and write scopes are given for. Row-level security knows each by its raw value.
package enum Area: String, CaseIterable, Sendable, Codable {
  case customers, products, sales, marketing, service, finance, purchasing, analytics, admin
}
