import CRMCore
package import PostgresClient

/// The company of `make demo` and of the tests: its departments, the people in them, what each may do, and what departments share.
package enum DemoCompany {
  package struct Department: Sendable {
    package let code: String
    package let name: String
    package let parent: String?
  }

  package struct Person: Sendable {
    package let name: String
    package let email: String
    package let department: String
    package let role: String
    /// Why one would sign in as this person, in a line for the demo.
    package let note: String
  }

  struct Role {
    let code: String
    let name: String
    /// Read and write scope by area; areas left out are closed.
    let scopes: [Area: (read: String, write: String)]
    /// The largest discount on a quote without asking, in percent; nil for a role that does not sell.
    var discountCap: Int?
  }

  package static let departments = [
    Department(code: "company", name: "Çarşı Market", parent: nil),
    Department(code: "sales", name: "Satış", parent: "company"),
    Department(code: "sales_corporate", name: "Kurumsal Satış", parent: "sales"),
    Department(code: "marketing", name: "Pazarlama", parent: "company"),
    Department(code: "service", name: "Müşteri Hizmetleri", parent: "company"),
    Department(code: "finance", name: "Finans", parent: "company"),
    Department(code: "purchasing", name: "Satın Alma", parent: "company"),
  ]

  package static let people = [
    Person(
      name: "Deniz Aydın", email: "deniz@carsi.example", department: "company", role: "administrator",
      note: "administrator: sees and changes everything"),
    Person(
      name: "Ayşe Yılmaz", email: "ayse@carsi.example", department: "sales", role: "sales_manager",
      note: "sales manager: customers and all orders of sales"),
    Person(
      name: "Mehmet Demir", email: "mehmet@carsi.example", department: "sales", role: "sales_rep",
      note: "sales: reads sales, changes only what is his"),
    Person(
      name: "Gül Işık", email: "gul@carsi.example", department: "sales_corporate", role: "sales_manager",
      note: "corporate sales: not the orders of the stores"),
    Person(
      name: "Elif Kaya", email: "elif@carsi.example", department: "marketing", role: "marketer",
      note: "marketing: customers, and orders that sales shares"),
    Person(
      name: "Can Şahin", email: "can@carsi.example", department: "marketing", role: "marketer",
      note: "marketing"),
    Person(
      name: "Zeynep Çelik", email: "zeynep@carsi.example", department: "service", role: "service_agent",
      note: "service: orders that sales shares, read only"),
    Person(
      name: "Burak Öztürk", email: "burak@carsi.example", department: "service", role: "service_agent",
      note: "service"),
    Person(
      name: "Fatma Arslan", email: "fatma@carsi.example", department: "finance", role: "accountant",
      note: "finance: reads the orders of every department"),
    Person(
      name: "Emre Doğan", email: "emre@carsi.example", department: "purchasing", role: "buyer",
      note: "purchasing: products, but no orders"),
  ]

  static let roles = [
    Role(
      code: "administrator", name: "Yönetici",
      scopes: Dictionary(uniqueKeysWithValues: Area.allCases.map { ($0, ("all", "all")) })),
    Role(
      code: "sales_manager", name: "Satış müdürü",
      scopes: [
        .customers: ("department", "department"), .products: ("department", "none"), .sales: ("department", "department"),
        .finance: ("department", "none"), .analytics: ("department", "none"),
      ], discountCap: 25),
    Role(
      code: "sales_rep", name: "Satış temsilcisi",
      scopes: [
        .customers: ("department", "own"), .products: ("department", "none"), .sales: ("department", "own"), .finance: ("own", "none"),
      ], discountCap: 10),
    Role(
      code: "marketer", name: "Pazarlama uzmanı",
      scopes: [
        .customers: ("department", "none"), .products: ("department", "none"), .sales: ("shared", "none"), .marketing: ("department", "department"),
        .analytics: ("department", "department"),
      ]),
    Role(
      code: "service_agent", name: "Müşteri temsilcisi",
      scopes: [
        .customers: ("department", "department"), .products: ("department", "none"), .sales: ("shared", "none"), .service: ("department", "department"),
      ]),
    Role(
      code: "accountant", name: "Muhasebe uzmanı",
      scopes: [.customers: ("all", "none"), .products: ("all", "none"), .sales: ("all", "none"), .finance: ("all", "all")]),
    Role(
      code: "buyer", name: "Satın alma uzmanı",
      scopes: [.products: ("department", "department"), .purchasing: ("department", "department")]),
  ]

  /// Whom the orders of sales are opened to, for reading.
  static let salesReaders = ["marketing", "service"]

  /// Makes what is missing; what is there stays as it is.
  package static func found(in pool: PostgresPool, deadline: Deadline = .after(.seconds(60))) async throws {
    let caller = Caller.system("found the demo company")
    try await Database(pool: pool).transaction(as: caller, deadline: deadline) { tx in
      for department in departments {
        try await tx.run(
          """
          INSERT INTO crm.department (code, name, parent_id)
          VALUES (\(department.code), \(department.name), (SELECT id FROM crm.department WHERE code = \(department.parent ?? "")))
          ON CONFLICT ON CONSTRAINT department_code_unique DO NOTHING
          """)
      }
      try await tx.run(
        """
        INSERT INTO crm.company_profile (code, name, tax_number, tax_office, street, district, city, postal_code, link_base)
        VALUES ('main', 'Çarşı Market Ticaret A.Ş.', '4561237896', 'Beyoğlu', 'İstiklal Caddesi 1', 'Beyoğlu', 'İstanbul', '34430', 'http://127.0.0.1:8080')
        ON CONFLICT ON CONSTRAINT company_profile_code_unique DO NOTHING
        """)
      for role in roles { try await make(role, in: tx) }
      for person in people { try await employ(person, in: tx) }
      for reader in salesReaders {
        try await tx.run(
          """
          INSERT INTO crm.share_rule (from_department_id, to_department_id, area, access, note)
          SELECT sales.id, reader.id, 'sales', 'read', 'Who talks to a customer sees what the customer bought.'
            FROM crm.department AS sales, crm.department AS reader WHERE sales.code = 'sales' AND reader.code = \(reader)
          ON CONFLICT ON CONSTRAINT share_rule_departments_area_unique DO NOTHING
          """)
      }
    }
  }

  private static func make(_ role: Role, in tx: PostgresTransaction) async throws {
    try await tx.run(
      """
      INSERT INTO crm.role (code, name, discount_cap_percent) VALUES (\(role.code), \(role.name), \(role.discountCap))
      ON CONFLICT ON CONSTRAINT role_code_unique DO NOTHING
      """)
    let scopes = role.scopes.sorted { $0.key.rawValue < $1.key.rawValue }
    try await tx.run(
      """
      INSERT INTO crm.role_permission (role_id, area, read_scope, write_scope)
      SELECT role.id, given.area, given.reads, given.writes
        FROM crm.role, unnest(\(scopes.map(\.key.rawValue))::text[], \(scopes.map(\.value.read))::text[], \(scopes.map(\.value.write))::text[])
          AS given (area, reads, writes)
       WHERE role.code = \(role.code)
      ON CONFLICT ON CONSTRAINT role_permission_role_id_area_unique DO NOTHING
      """)
  }

  private static func employ(_ person: Person, in tx: PostgresTransaction) async throws {
    try await tx.run(
      """
      INSERT INTO crm.app_user (department_id, email, name)
      SELECT id, \(person.email), \(person.name) FROM crm.department WHERE code = \(person.department)
      ON CONFLICT ON CONSTRAINT app_user_email_unique DO NOTHING
      """)
    try await tx.run(
      """
      INSERT INTO crm.user_role (user_id, role_id)
      SELECT person.id, role.id FROM crm.app_user AS person, crm.role WHERE person.email = \(person.email) AND role.code = \(person.role)
      ON CONFLICT ON CONSTRAINT user_role_user_id_role_id_unique DO NOTHING
      """)
  }
}
