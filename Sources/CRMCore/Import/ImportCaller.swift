import Foundation
import PostgresClient

extension Caller {
  /// The user who asked for an import, with what they may do now, not then.
  static func importing(_ id: UUID, as user: UUID?, in database: Database) async throws -> Caller {
    let via = "import:\(id.lowercase)"
    guard let user else { return Caller(identity: .system(reason: "import"), name: "system", via: via) }
    let result = try await database.read(
      as: .system("look up who imports"),
      """
      SELECT a.area, a.readable, a.writable, u.name, u.department_id FROM crm.access_of(\(user)) a JOIN crm.app_user u ON u.id = \(user)
      """)
    var reach: [Area: Reach] = [:]
    for row in result.rows {
      guard let area = Area(rawValue: try row.decode(String.self, "area")) else { continue }
      reach[area] = Reach(readable: Set(try row.decode([UUID].self, "readable")), writable: Set(try row.decode([UUID].self, "writable")))
    }
    guard result.count > 0 else {
      throw Problem.forbidden(
        Phrase("The user who asked for the import is no longer active.", tr: "İçe aktarmayı isteyen kullanıcı artık etkin değil."))
    }
    return Caller(
      identity: .user(user), name: try result[0].decode(String.self, "name"),
      departmentID: try result[0].decode(UUID.self, "department_id"), reach: reach,
      via: via)
  }

  /// The same caller, whose writes the change log counts to an import.
  func importing(_ id: UUID) -> Caller {
    Caller(identity: identity, name: name, departmentID: departmentID, reach: reach, scopes: scopes, via: "import:\(id.lowercase)")
  }
}
