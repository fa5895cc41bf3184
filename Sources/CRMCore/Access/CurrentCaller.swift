package import Foundation
import PostgresClient

extension Caller {
  /// A user with what they may do now, for what runs on their behalf without their signing in: an import, a calendar's address.
  /// - Parameter via: what the change log says of how they came in.
  /// - Returns: nil if there is no such user, or they are no longer active.
  package static func current(_ user: UUID, via: String, in database: Database) async throws -> Caller? {
    let result = try await database.read(
      as: .system("look up a user"), areas: [.admin],
      """
      SELECT a.area, a.readable, a.writable, u.name, u.department_id, crm.shared_with(u.id) AS shared FROM crm.access_of(\(user)) a JOIN crm.app_user u ON u.id = \(user)
      """)
    guard result.count > 0 else { return nil }
    var reach: [Area: Reach] = [:]
    for row in result.rows {
      guard let area = Area(rawValue: try row.decode(String.self, "area")) else { continue }
      reach[area] = Reach(readable: Set(try row.decode([UUID].self, "readable")), writable: Set(try row.decode([UUID].self, "writable")))
    }
    return Caller(
      identity: .user(user), name: try result[0].decode(String.self, "name"), departmentID: try result[0].decode(UUID.self, "department_id"), reach: reach,
      shared: try result[0].decode([UUID].self, "shared"), via: via)
  }
}
