import CRMCore
import Foundation

/// What a visitor's browser keeps to be the same visitor next time: sealed, so that nobody can make one or read what is in it.
struct VisitorToken: Sendable {
  let visitor: UUID
  /// The account the visitor talks to.
  let site: UUID
  /// What the visitor says of themselves; a claim, not knowledge.
  let name: String?
  let email: String?
  let expiresAt: Date

  static let lifetime: TimeInterval = 30 * 86_400
  private static let subject = Array("visitor".utf8)

  func sealed(by signer: CursorSigner) throws -> String {
    try signer.seal([visitor.lowercase, site.lowercase, name, email, "\(Int(expiresAt.timeIntervalSince1970))"], for: Self.subject)
  }

  init(visitor: UUID, site: UUID, name: String?, email: String?, expiresAt: Date) {
    self.visitor = visitor
    self.site = site
    self.name = name
    self.email = email
    self.expiresAt = expiresAt
  }

  /// - Throws: `Problem.unauthenticated` for a token that is none, of another site, or too old.
  init(_ request: Request, site: UUID, signer: CursorSigner, now: Date) throws(Problem) {
    let field = request.headers["authorization"].flatMap { $0.lowercased().hasPrefix("bearer ") ? String($0.dropFirst(7)) : nil }
    guard let text = field ?? request.query.first(where: { $0.name == "token" })?.value else { throw .unauthenticated }
    try self.init(sealed: text, site: site, signer: signer, now: now)
  }

  /// - Parameter site: nil for a token of any site.
  init(sealed text: String, site: UUID?, signer: CursorSigner, now: Date) throws(Problem) {
    let values: [String?]
    do { values = try signer.open(text, for: Self.subject) } catch { throw .unauthenticated }
    guard values.count == 5, let visitor = values[0].flatMap(UUID.init(text:)), let of = values[1].flatMap(UUID.init(text:)), site == nil || of == site,
      let end = values[4].flatMap(Double.init),
      end > now.timeIntervalSince1970
    else { throw .unauthenticated }
    self.init(visitor: visitor, site: of, name: values[2], email: values[3], expiresAt: Date(timeIntervalSince1970: end))
  }

  /// Who the visitor is as a sender: the address they gave, or nobody but this browser.
  var sender: String { email ?? "visitor:\(visitor.lowercase)" }
}
