import CRMCore
import Foundation
import PostgresClient

/// Finds in the database whose a credential is and what they may.
struct CallerLookup: Sendable {
  struct Found: Sendable {
    let caller: Caller
    /// When the credential ends, or the first of the shares that count in it, if any does.
    let until: Deadline?
  }

  let database: Database
  let issuer: TokenIssuer?
  /// How long a look-up may take.
  let patience: Duration

  /// - Throws: `Problem.unauthenticated` for a credential that is unknown, revoked or expired.
  func find(_ token: String) async throws -> Found {
    switch Credential.kind(of: token) {
    case .apiKey: return try await find(apiKey: Credential.hash(of: token))
    case .session: return try await find(session: Credential.hash(of: token))
    case .portal: return try await find(portal: Credential.hash(of: token))
    case nil:
      guard let issuer else { throw Problem.unauthenticated }
      let claims = try await issuer.verify(token)
      return try await find(claims)
    }
  }

  private func find(apiKey hash: [UInt8]) async throws -> Found {
    let results = try await run([
      """
      SELECT u.id, u.name, u.department_id, crm.shared_with(u.id) AS shared, k.id AS key_id, k.scopes,
        extract(epoch FROM least(k.expires_at, crm.shares_end_at(u.id)) - now())::float8 AS seconds,
        k.last_used_on IS DISTINCT FROM (now() AT TIME ZONE 'UTC')::date AS first_today
      FROM crm.api_key AS k JOIN crm.app_user AS u ON u.id = k.user_id
      WHERE k.key_hash = \(hash) AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now()) AND u.active
      """,
      """
      SELECT a.area, a.readable, a.writable FROM crm.api_key AS k CROSS JOIN LATERAL crm.access_of(k.user_id) AS a WHERE k.key_hash = \(hash)
      """,
    ])
    guard results[0].count == 1 else { throw Problem.unauthenticated }
    if try results[0][0].decode(Bool.self, "first_today") {
      try await noteUse(of: results[0][0].decode(UUID.self, "key_id"))
    }
    return try found(results, scopes: results[0][0].decode([String]?.self, "scopes"))
  }

  private func find(session hash: [UInt8]) async throws -> Found {
    let results = try await run([
      """
      SELECT u.id, u.name, u.department_id, crm.shared_with(u.id) AS shared,
        extract(epoch FROM least(s.expires_at, crm.shares_end_at(u.id)) - now())::float8 AS seconds
      FROM crm.session AS s JOIN crm.app_user AS u ON u.id = s.user_id
      WHERE s.token_hash = \(hash) AND s.revoked_at IS NULL AND s.expires_at > now() AND u.active
      """,
      """
      SELECT a.area, a.readable, a.writable FROM crm.session AS s CROSS JOIN LATERAL crm.access_of(s.user_id) AS a WHERE s.token_hash = \(hash)
      """,
    ])
    guard results[0].count == 1 else { throw Problem.unauthenticated }
    return try found(results, scopes: nil)
  }

  private func find(portal hash: [UInt8]) async throws -> Found {
    let result = try await database.read(
      as: .system("authentication"), areas: [.admin, .customers], deadline: .after(patience),
      """
      SELECT a.customer_id, a.contact_id, a.whole_organisation, a.id, c.name, extract(epoch FROM s.expires_at - now())::float8 AS seconds
        FROM crm.portal_session s JOIN crm.portal_access a ON a.customer_id = s.customer_id AND a.id = s.access_id JOIN crm.customer c ON c.id = a.customer_id
       WHERE s.token_hash = \(hash) AND s.revoked_at IS NULL AND s.expires_at > now() AND a.revoked_at IS NULL
      """)
    guard let row = result.rows.first else { throw Problem.unauthenticated }
    let visitor = Caller.PortalVisitor(
      customerID: try row.decode("customer_id"), contactID: try row.decode("contact_id"), seesOrganisation: try row.decode("whole_organisation"),
      accessID: try row.decode("id"))
    return Found(
      caller: Caller(identity: .customer(visitor), name: try row.decode("name"), via: "portal:\(visitor.accessID.lowercase)"),
      until: .after(.seconds(max(try row.decode(Double.self, "seconds"), 0))))
  }

  /// The user that an issuer's token names: by issuer and subject, or, the first time, by a verified e-mail address.
  private func find(_ claims: TokenClaims) async throws -> Found {
    let user = try await userID(of: claims)
    let results = try await run([
      """
      SELECT u.id, u.name, u.department_id, crm.shared_with(u.id) AS shared,
        least(\(claims.exp - Date().timeIntervalSince1970)::float8, extract(epoch FROM crm.shares_end_at(u.id) - now())::float8) AS seconds
      FROM crm.app_user AS u WHERE u.id = \(user) AND u.active
      """,
      "SELECT a.area, a.readable, a.writable FROM crm.access_of(\(user)) AS a",
    ])
    guard results[0].count == 1 else { throw Problem.unauthenticated }
    return try found(results, scopes: nil)
  }

  private func userID(of claims: TokenClaims) async throws -> UUID {
    let known = try await run([
      "SELECT i.user_id FROM crm.user_identity AS i WHERE i.issuer = \(claims.iss) AND i.subject = \(claims.sub)"
    ])
    if known[0].count == 1 { return try known[0][0].decode(at: 0) }
    guard claims.email_verified == true, let email = claims.email else { throw Problem.unauthenticated }
    // The key folds more than letter case, so two mailboxes may share one: the address itself has to be the same too.
    return try await database.transaction(as: .system("authentication"), deadline: .after(patience)) { tx in
      let users = try await tx.result(
        """
        INSERT INTO crm.user_identity (user_id, issuer, subject)
        SELECT u.id, \(claims.iss), \(claims.sub) FROM crm.app_user AS u
        WHERE u.email_key = crm.search_key(\(email)) AND lower(u.email) = lower(\(email)) AND u.active AND u.kind = 'person'
        ON CONFLICT ON CONSTRAINT user_identity_issuer_subject_unique DO UPDATE SET issuer = excluded.issuer
        RETURNING user_id
        """)
      guard users.count == 1 else { throw Problem.unauthenticated }
      return try users[0].decode(at: 0)
    }
  }

  private func run(_ statements: [SQL]) async throws -> [PostgresResult] {
    try await database.pool.execute(
      statements, context: Caller.system("authentication").context(reading: [.admin]), deadline: .after(patience))
  }

  private func noteUse(of key: UUID) async throws {
    try await database.transaction(as: .system("authentication"), deadline: .after(patience)) { tx in
      _ = try await tx.run("UPDATE crm.api_key SET last_used_on = (now() AT TIME ZONE 'UTC')::date WHERE id = \(key)")
    }
  }

  private func found(_ results: [PostgresResult], scopes: [String]?) throws -> Found {
    let user = results[0][0]
    let scopes = scopes.map(Set.init)
    var reach: [Area: Caller.Reach] = [:]
    for row in results[1].rows {
      guard let area = Area(rawValue: try row.decode(String.self, "area")) else { continue }
      let mayWrite = scopes?.contains("\(area.rawValue):write") ?? true
      let mayRead = mayWrite || scopes?.contains("\(area.rawValue):read") ?? true
      reach[area] = Caller.Reach(
        readable: mayRead ? Set(try row.decode([UUID].self, "readable")) : [],
        writable: mayWrite ? Set(try row.decode([UUID].self, "writable")) : [])
    }
    let seconds = try user.decode(Double?.self, "seconds")
    return Found(
      caller: Caller(
        identity: .user(try user.decode(UUID.self, "id")), name: try user.decode(String.self, "name"),
        departmentID: try user.decode(UUID.self, "department_id"), reach: reach,
        // A key that was narrowed writes where it says and nowhere else.
        shared: scopes == nil ? try user.decode([UUID].self, "shared") : [], scopes: scopes),
      until: seconds.map { .after(.seconds(max($0, 0))) })
  }
}
