package import CRMCore
import Foundation
import PostgresClient

extension Database {
  /// The caller that a user would be if they signed in, for commands that act on somebody's behalf.
  ///
  /// - Parameter via: what the change log says of how they came in.
  package func caller(of email: String, via: String = "command") async throws -> Caller {
    let results = try await pool.execute(
      [
        "SELECT u.id, u.name, u.department_id FROM crm.app_user AS u WHERE u.email_key = crm.search_key(\(email)) AND u.active",
        """
        SELECT a.area, a.readable, a.writable
          FROM crm.app_user AS u CROSS JOIN LATERAL crm.access_of(u.id) AS a WHERE u.email_key = crm.search_key(\(email)) AND u.active
        """,
      ], context: Caller.system("find a user").context(reading: [.admin]), deadline: .after(.seconds(10)))
    guard results[0].count == 1 else { throw UnknownUser(email: email) }
    var reach: [Area: Caller.Reach] = [:]
    for row in results[1].rows {
      guard let area = Area(rawValue: try row.decode(String.self, "area")) else { continue }
      reach[area] = Caller.Reach(readable: Set(try row.decode([UUID].self, "readable")), writable: Set(try row.decode([UUID].self, "writable")))
    }
    let user = results[0][0]
    return Caller(
      identity: .user(try user.decode(UUID.self, "id")), name: try user.decode(String.self, "name"),
      departmentID: try user.decode(UUID.self, "department_id"), reach: reach, via: via)
  }
}
