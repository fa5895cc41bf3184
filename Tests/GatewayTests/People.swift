import CRMCore
import Foundation
import Gateway
import MuhatapTestKit
import PostgresClient

/// Departments, roles and people to sign in as, in a database of a test.
struct People {
  /// A cheap password cost: what is tested here is not how long guessing takes.
  static let passwords = Passwords(cost: PasswordCost(logRounds: 10))
  static let password = "doğru at pil zımba"

  let database: TestDatabase
  let department: UUID

  init(in database: TestDatabase) async throws {
    self.database = database
    department = try await database.admin.transaction(context: .init(readOnly: false), deadline: .after(.seconds(60))) { tx in
      try await tx.value(
        UUID.self,
        """
        INSERT INTO crm.department (code, name) VALUES ('d' || replace(gen_random_uuid()::text, '-', ''), 'Satış') RETURNING id
        """)
    }
  }

  /// A person with a role that reads and writes sales in the own department.
  func add(_ name: String, active: Bool = true) async throws -> (id: UUID, email: String) {
    let email = "\(name).\(UUID().uuidString.prefix(8).lowercased())@example.com"
    let hash = try await Self.passwords.hash(Self.password)
    let department = department
    let id = try await database.admin.transaction(context: .init(readOnly: false), deadline: .after(.seconds(60))) { tx in
      let user = try await tx.value(
        UUID.self,
        """
        INSERT INTO crm.app_user (department_id, email, name, password_hash, active)
        VALUES (\(department), \(email), \(name), \(hash), \(active)) RETURNING id
        """)
      let role = try await tx.value(
        UUID.self, "INSERT INTO crm.role (code, name) VALUES ('r' || replace(gen_random_uuid()::text, '-', ''), 'Seller') RETURNING id")
      try await tx.run(
        "INSERT INTO crm.role_permission (role_id, area, read_scope, write_scope) VALUES (\(role), 'sales', 'department', 'department')")
      try await tx.run("INSERT INTO crm.user_role (user_id, role_id) VALUES (\(user), \(role))")
      return user
    }
    return (id, email)
  }

  /// A key of theirs, made as an administrator's command would.
  func key(of user: UUID, scopes: [String]? = nil, expiresIn seconds: Double? = nil) async throws -> String {
    let credential = Credential(.apiKey)
    try await run(
      """
      INSERT INTO crm.api_key (user_id, name, prefix, key_hash, scopes, expires_at)
      VALUES (\(user), 'test', \(credential.prefix), \(credential.hash), \(scopes), now() + make_interval(secs => \(seconds)))
      """)
    return credential.token
  }

  func run(_ sql: SQL) async throws {
    try await database.admin.transaction(context: .init(readOnly: false), deadline: .after(.seconds(60))) { tx in
      _ = try await tx.run(sql)
    }
  }

  /// A server on this database whose answers say who the caller is.
  func serve<T>(_ configure: (inout GatewayConfiguration) -> Void = { _ in }, _ body: (BareServer) async throws -> T) async throws -> T {
    try await BareServer.run(
      {
        $0.authentication.password = PasswordCost(logRounds: 10)
        configure(&$0)
      }, database: Database(pool: database.app), endpoints: Self.endpoints, body)
  }

  private static let endpoints: [Endpoint] = [
    Endpoint(.get, "/whoami", access: .signedIn, documentation: BareServer.documentation("whoami"), handler: .immediate(describe)),
    Endpoint(.get, "/sales", access: .read(.sales), documentation: BareServer.documentation("sales"), handler: .immediate(describe)),
    Endpoint(.post, "/sales", access: .write(.sales), documentation: BareServer.documentation("sell"), handler: .immediate(describe)),
    Endpoint(.get, "/finance", access: .read(.finance), documentation: BareServer.documentation("finance"), handler: .immediate(describe)),
  ]

  private static let describe: @Sendable (Request) throws -> Response = { request in
    .json(try JSON.object(["user": .string(request.caller.userID?.lowercase ?? ""), "name": .string(request.caller.name)]).encoded())
  }
}

extension BareServer {
  func get(_ target: String, as token: String) async throws -> RawConnection.Answer {
    try await get(target, ["Authorization: Bearer \(token)"])
  }

  /// Asks until an address answers with a status; false after two minutes.
  func status(of target: String, as token: String, becomes status: Int) async throws -> Bool {
    let start = ContinuousClock.now
    while ContinuousClock.now - start < .seconds(120) {
      if try await get(target, as: token).status == status { return true }
      try await Task.sleep(for: .milliseconds(50))
    }
    return false
  }
}
