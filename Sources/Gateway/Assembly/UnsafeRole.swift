package import PostgresClient

/// The database's role is one that row-level security does not bind: serving with it would show everybody everything.
package struct UnsafeRole: Error, CustomStringConvertible {
  let role: String
  let reason: String

  package var description: String {
    "The database role \(role) \(reason), so row-level security would not hold. Connect as crm_app (see sql/bootstrap.sql)."
  }

  /// Throws when the pool's role is a superuser, bypasses row-level security, or owns the tables.
  package static func refuse(in pool: PostgresPool) async throws {
    let results = try await pool.execute(
      [
        """
        SELECT r.rolname::text AS role,
               CASE WHEN r.rolsuper THEN 'is a superuser'
                    WHEN r.rolbypassrls THEN 'bypasses row-level security'
                    WHEN pg_has_role(r.oid, 'crm_owner', 'MEMBER') THEN 'is a member of crm_owner'
               END AS reason
          FROM pg_roles AS r WHERE r.rolname = current_user
        """
      ], context: PostgresPool.Context(readOnly: true), lane: .health, deadline: .after(.seconds(10)))
    for row in results[0].rows {
      if let reason = try row.decode(String?.self, "reason") { throw UnsafeRole(role: try row.decode(String.self, "role"), reason: reason) }
    }
  }
}
