import ArgumentParser
import CRMCore
import Gateway
import PostgresClient

struct AdminBILogin: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bi-login", abstract: "Make a PostgreSQL login for a BI tool; its last line of output is the password, which is shown this once.",
    discussion: "Needs the role crm_migrator.")

  enum Scope: String, ExpressibleByArgument, CaseIterable {
    case department, shared, all
  }

  @Argument(help: "The login's name; begins with bi_.") var login: String
  @Option(help: "The code of the department for which it reads.") var department: String
  @Option(help: ArgumentHelp("An area it reads; may be repeated. Without it: customers, products, sales.")) var area: [String] = []
  @Option(help: "How far it reads.") var scope: Scope = .department
  @Flag(help: "Show personal data to it instead of masking them.") var personal = false
  @Option(help: "What it is for.") var note: String?
  @OptionGroup var options: SettingsOptions

  func run() async throws {
    let areas = try area.map { name in
      guard let area = Area(rawValue: name) else {
        throw ValidationError("There is no area \(name). The areas: \(Area.allCases.map(\.rawValue).joined(separator: ", "))")
      }
      return area
    }
    try await options.withPool(.administer) { pool, _ in
      let database = Database(pool: pool)
      let codes = try await database.transaction(as: .system("find a department")) { tx in
        try await tx.value([String].self, "SELECT array(SELECT code FROM crm.department ORDER BY code)")
      }
      guard codes.contains(department) else { throw CommandRefusal.unknown("department", department, among: codes) }
      let password = try await database.makeBILogin(
        BILogin(
          login, department: department, areas: areas.isEmpty ? [.customers, .products, .sales] : areas, scope: scope.rawValue, seesPersonal: personal,
          note: note))
      print(password)
    }
  }
}
