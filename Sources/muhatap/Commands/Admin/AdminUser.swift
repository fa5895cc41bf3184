import ArgumentParser
import CRMCore
import Foundation
import Gateway
import PostgresClient

struct AdminUser: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "user", abstract: "Add a user, or change one that is there.",
    discussion: "The first user of a new installation: muhatap admin user you@company.example --name You --department company --role administrator")

  @Argument(help: "The user's e-mail address.") var email: String
  @Option(help: "The name that colleagues say.") var name: String
  @Option(help: "The code of the department the user works in; made when there are no departments yet.") var department: String
  @Option(help: "The code of a role; may be repeated. `administrator` is made when missing.") var role: [String] = []
  @Flag(help: "Read a password from standard input.") var password = false
  @OptionGroup var options: SettingsOptions

  func run() async throws {
    var hash: String?
    if password {
      guard let line = readLine(), line.count >= 12 else { throw CommandRefusal("A password has at least 12 characters.") }
      let passwords = Passwords()
      hash = try await passwords.hash(line)
      try await passwords.shutdown()
    }
    try await options.withPool(.administer) { [hash] pool, _ in
      try await Database(pool: pool).transaction(as: .system("muhatap admin user")) { tx in try await save(in: tx, hash) }
    }
    print("\(email) may sign in.")
  }

  private func save(in tx: PostgresTransaction, _ hash: String?) async throws {
    try await tx.run(
      "INSERT INTO crm.department (code, name) SELECT \(department), \(department) WHERE NOT EXISTS (SELECT FROM crm.department)")
    if role.contains("administrator") {
      try await tx.run(
        """
        WITH made AS (
          INSERT INTO crm.role (code, name) VALUES ('administrator', 'Administrator') ON CONFLICT ON CONSTRAINT role_code_unique DO NOTHING RETURNING id
        )
        INSERT INTO crm.role_permission (role_id, area, read_scope, write_scope)
        SELECT made.id, area, 'all', 'all' FROM made, unnest(\(Area.allCases.map(\.rawValue))::text[]) AS area
        """)
    }
    let users = try await tx.run(
      """
      INSERT INTO crm.app_user (department_id, email, name, password_hash)
      SELECT id, \(email), \(name), \(hash)::text FROM crm.department WHERE code = \(department)
      ON CONFLICT ON CONSTRAINT app_user_email_unique DO UPDATE
      SET name = excluded.name, department_id = excluded.department_id, active = true,
          password_hash = coalesce(excluded.password_hash, crm.app_user.password_hash)
      """)
    guard users == 1 else {
      let codes = try await tx.value([String].self, "SELECT array(SELECT code FROM crm.department ORDER BY code)")
      throw CommandRefusal.unknown("department", department, among: codes)
    }
    for role in role {
      let known = try await tx.value(Int.self, "SELECT count(*)::int FROM crm.role WHERE code = \(role)")
      guard known == 1 else {
        let codes = try await tx.value([String].self, "SELECT array(SELECT code FROM crm.role ORDER BY code)")
        throw CommandRefusal.unknown("role", role, among: codes)
      }
      try await tx.run(
        """
        INSERT INTO crm.user_role (user_id, role_id)
        SELECT u.id, r.id FROM crm.app_user AS u, crm.role AS r WHERE u.email_key = crm.search_key(\(email)) AND r.code = \(role)
        ON CONFLICT ON CONSTRAINT user_role_user_id_role_id_unique DO NOTHING
        """)
    }
  }
}
