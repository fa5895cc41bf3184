import Foundation
import Logging
import MuhatapTestKit
import PostgresClient
import Testing

/// A BI tool's own PostgreSQL login, made as `muhatap admin bi-login` makes it.
@Suite struct BILoginTests {
  private static let company = PostgresPool.Context(settings: [.init("muhatap.via", "system:test")], readOnly: false)

  /// Two departments, a customer with an order in each that only the department sees, and a company-wide one.
  private func company() async throws -> TestDatabase {
    let database = try await TestDatabase.clone()
    try await database.admin.transaction(context: Self.company, deadline: .after(.seconds(60))) { tx in
      try await tx.run("INSERT INTO crm.department (code, name) VALUES ('north', 'North'), ('south', 'South')")
      try await tx.run(
        """
        INSERT INTO crm.customer (kind, name, tax_number, department_id, visibility)
        SELECT 'person', p.name, p.tax_number, d.id, p.visibility
        FROM (VALUES ('Ayşe Kaya', '62601815964', 'north', 'department'), ('Umut Demir', NULL, 'south', 'department'), ('Ece Can', NULL, 'south', 'company'))
          AS p (name, tax_number, department, visibility) JOIN crm.department d ON d.code = p.department
        """)
      try await tx.run(
        """
        INSERT INTO crm.sales_order (customer_id, department_id, visibility, currency, ordered_at)
        SELECT c.id, c.department_id, c.visibility, 'TRY', '2026-03-01T22:30:00Z' FROM crm.customer c
        """)
      try await tx.run("INSERT INTO crm.product (sku, name) VALUES ('1', 'Tea')")
      try await tx.run(
        """
        INSERT INTO crm.sales_order_line (customer_id, order_id, product_id, line_number, quantity, amount, loyalty_discount)
        SELECT o.customer_id, o.id, p.id, 1, 2, 10.10, 0.90 FROM crm.sales_order o CROSS JOIN crm.product p
        """)
    }
    return database
  }

  /// Logins belong to the whole server, so each test names its own.
  private func withLogin(
    _ database: TestDatabase, personal: Bool = false, scope: String = "department", _ body: (PostgresPool) async throws -> Void
  ) async throws {
    let login = "bi_test_\(UUID().uuidString.lowercased().prefix(8))"
    let verifier = "SCRAM-SHA-256$4096:c2FsdA==$c2FsdA==:c2FsdA=="
    _ = try await database.migrator.execute(
      ["SELECT crm.create_bi_login(\(login), 'north', \(verifier), new_scope => \(scope), personal => \(personal))"], context: Self.company,
      deadline: .after(.seconds(60)))
    let pool = PostgresPool(
      .init(connection: database.url(as: login), connections: [.interactive: 1]), logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    do { try await body(pool) } catch { Issue.record(error) }
    await pool.shutdown()
    _ = try await database.migrator.execute(["SELECT crm.drop_bi_login(\(login))"], context: Self.company, deadline: .after(.seconds(60)))
  }

  private func texts(_ pool: PostgresPool, _ sql: SQL) async throws -> [String] {
    let result = try await pool.execute([sql], context: .init(readOnly: true), deadline: .after(.seconds(60)))[0]
    return try (0..<result.count).map { try result[$0].decode(String.self, at: 0) }
  }

  @Test func `it sees its department's rows and the company's, whatever it sets`() async throws {
    let database = try await company()
    try await withLogin(database) { (pool: PostgresPool) async throws in
      #expect(try await texts(pool, "SELECT name FROM bi.customers ORDER BY name") == ["A***", "E***"])
      #expect(try await texts(pool, "SELECT amount::text FROM bi.orders") == ["10.10", "10.10"])
      let counted = try await pool.transaction(
        context: .init(settings: [.init("muhatap.read_sales", "*"), .init("muhatap.read_customers", "*")], readOnly: true), deadline: .after(.seconds(60))
      ) { tx in try await tx.value(Int.self, "SELECT count(*) FROM bi.order_lines") }
      #expect(counted == 2)
    }
    try await withLogin(database, scope: "all") { (pool: PostgresPool) async throws in
      #expect(try await texts(pool, "SELECT name FROM bi.customers ORDER BY name") == ["A***", "E***", "U***"])
    }
  }

  @Test func `personal data is masked unless it may be seen`() async throws {
    let database = try await company()
    try await withLogin(database) { (pool: PostgresPool) async throws in
      #expect(try await texts(pool, "SELECT coalesce(tax_number, 'none') FROM bi.customers WHERE name = 'A***'") == ["none"])
    }
    try await withLogin(database, personal: true) { (pool: PostgresPool) async throws in
      #expect(try await texts(pool, "SELECT tax_number FROM bi.customers WHERE name = 'Ayşe Kaya'") == ["62601815964"])
    }
  }

  @Test(
    arguments: [
      "SELECT count(*) FROM crm.customer", "SELECT crm.caller_id()", "SET ROLE crm_owner",
      "CREATE TABLE public.mine (id int)", "CREATE TABLE bi.mine (id int)", "SELECT table_to_xml('crm.customer', true, false, '')",
    ] as [SQL])
  func `it can name nothing but the views`(_ statement: SQL) async throws {
    let database = try await TestDatabase.suite()
    let login = "bi_test_\(UUID().uuidString.lowercased().prefix(8))"
    _ = try await database.migrator.execute(
      [
        "INSERT INTO crm.department (code, name) VALUES ('any', 'Any') ON CONFLICT DO NOTHING",
        "SELECT crm.create_bi_login(\(login), 'any', 'SCRAM-SHA-256$4096:c2FsdA==$c2FsdA==:c2FsdA==')",
      ], context: Self.company, deadline: .after(.seconds(60)))
    // Read-only is only this login's default; it can ask for more.
    let pool = PostgresPool(
      .init(
        connection: database.url(as: login) + "&options=-c%20default_transaction_read_only%3Doff", connections: [.interactive: 1]),
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    let error = await #expect(throws: PostgresError.self) {
      _ = try await pool.execute([statement], context: .init(readOnly: false), deadline: .after(.seconds(60)))
    }
    #expect(error?.sqlState == "42501")
    await pool.shutdown()
    _ = try await database.migrator.execute(["SELECT crm.drop_bi_login(\(login))"], context: Self.company, deadline: .after(.seconds(60)))
  }

  @Test func `every metric has a value, and the days are the location's`() async throws {
    let database = try await company()
    try await withLogin(database) { (pool: PostgresPool) async throws in
      let values = try await texts(pool, "SELECT m.name || ' ' || v.value FROM bi.metric m, bi.metric_values(m.name, '2026-03-01', '2026-03-01') v ORDER BY 1")
      #expect(
        values
          == ["average_order 10.1000000000000000", "customers 2", "discounts 1.80", "orders 2", "sales 20.20", "stage_entries 0", "tickets 0", "units 4.000"])
      #expect(try await texts(pool, "SELECT DISTINCT ordered_on::text FROM bi.orders") == ["2026-03-01"])
    }
  }

  @Test func `a name that is not a BI login's, and a password in plain text, are refused`() async throws {
    let database = try await company()
    for (login, verifier) in [("postgres", "SCRAM-SHA-256$4096:c2FsdA==$c2FsdA==:c2FsdA=="), ("bi_plain", "secret")] {
      await #expect(throws: PostgresError.self) {
        _ = try await database.migrator.execute(
          ["SELECT crm.create_bi_login(\(login), 'north', \(verifier))"], context: Self.company, deadline: .after(.seconds(60)))
      }
    }
    await #expect(throws: PostgresError.self) {
      _ = try await database.app.execute(
        ["SELECT crm.create_bi_login('bi_app', 'north', 'SCRAM-SHA-256$4096:c2FsdA==$c2FsdA==:c2FsdA==')"], context: Self.company,
        deadline: .after(.seconds(60)))
    }
  }
}
