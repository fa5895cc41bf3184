import Foundation
import PostgresClient

extension Caller {
  /// The user who asked for an import, with what they may do now, not then.
  static func importing(_ id: UUID, as user: UUID?, in database: Database) async throws -> Caller {
    let via = "import:\(id.lowercase)"
    guard let user else { return Caller(identity: .system(reason: "import"), name: "system", via: via) }
    guard let caller = try await current(user, via: via, in: database) else {
      throw Problem.forbidden(
        Phrase("The user who asked for the import is no longer active.", tr: "İçe aktarmayı isteyen kullanıcı artık etkin değil."))
    }
    return caller
  }

  /// The same caller, whose writes the change log counts to an import.
  func importing(_ id: UUID) -> Caller {
    Caller(identity: identity, name: name, departmentID: departmentID, reach: reach, scopes: scopes, via: "import:\(id.lowercase)")
  }
}
