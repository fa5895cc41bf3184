import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

/// What the triggers of crm.protect write, and what they keep in step.
@Suite struct ChangeLogTests {
  private struct Entry: RowDecodable {
    let relation: String
    let op: String
    let via: String
    let before: String?
    let after: String?
    init(row: PostgresRow) throws {
      relation = try row.decode("relation")
      op = try row.decode("op")
      via = try row.decode("via")
      before = try row.decode("before")
      after = try row.decode("after")
    }
  }

  private func entries(_ tx: PostgresTransaction, of id: UUID) async throws -> [Entry] {
    try await tx.all(
      Entry.self, "SELECT relation, op, via, before::text AS before, after::text AS after FROM crm.change WHERE row_id = \(id) ORDER BY xid, seq")
  }

  private func department(_ tx: PostgresTransaction, _ code: String) async throws -> UUID {
    try await tx.value(UUID.self, "INSERT INTO crm.department (code, name) VALUES (\(code), 'x') RETURNING id")
  }

  private func customer(_ tx: PostgresTransaction, in department: UUID) async throws -> UUID {
    try await tx.value(UUID.self, "INSERT INTO crm.customer (kind, name, department_id) VALUES ('person', 'Ayşe', \(department)) RETURNING id")
  }

  @Test func `an update keeps the columns that changed, before and after`() async throws {
    try await TestDatabase.suite().withRollback(as: .system("test")) { tx in
      let id = try await customer(tx, in: try await department(tx, "log_update"))
      try await tx.run("UPDATE crm.customer SET name = 'Ayşe Kaya', lifecycle_phase = 'active', locale = 'tr' WHERE id = \(id)")
      let entries = try await entries(tx, of: id)
      #expect(entries.map(\.op) == ["insert", "update"])
      #expect(entries.map(\.via) == ["system:test", "system:test"])
      #expect(entries[1].before == #"{"name": "Ayşe", "version": 1, "lifecycle_phase": "prospect"}"#)
      #expect(entries[1].after == #"{"name": "Ayşe Kaya", "version": 2, "lifecycle_phase": "active"}"#)
    }
  }

  @Test func `of thousands of rows in one statement each is paired with itself, by a plan that does not compare each with each`() async throws {
    try await TestDatabase.suite().withRollback(as: .system("test")) { tx in
      let home = try await department(tx, "log_many")
      let one = try await customer(tx, in: home)
      // What plan is kept is made for a single row.
      try await tx.run("UPDATE crm.customer SET name = 'x' WHERE id = \(one)")
      try await tx.run(
        "INSERT INTO crm.customer (kind, name, note, department_id) SELECT 'person', 'Kişi ' || g, 'önce ' || g, \(home) FROM generate_series(1, 2000) AS g")
      try await tx.run("UPDATE crm.customer SET note = replace(note, 'önce', 'sonra') WHERE department_id = \(home) AND id <> \(one)")
      let paired = try await tx.value(
        Int.self,
        """
        SELECT count(DISTINCT c.row_id) FROM crm.change c JOIN crm.customer t ON t.id = c.row_id
        WHERE t.department_id = \(home) AND c.op = 'update' AND c.after ->> 'note' = t.note AND c.before ->> 'note' = replace(t.note, 'sonra', 'önce')
        """)
      #expect(paired == 2_000)
      let settings = try await tx.value([String].self, "SELECT p.proconfig FROM pg_proc p WHERE p.oid = 'crm.record_change()'::regprocedure")
      #expect(settings.contains("enable_nestloop=off") && settings.contains("jit=off"), "\(settings): a function that is written anew loses them")
    }
  }

  @Test func `a delete keeps the whole row, and nothing derived or secret enters the log`() async throws {
    try await TestDatabase.suite().withRollback(as: .system("test")) { tx in
      let home = try await department(tx, "log_delete")
      let user = try await tx.value(
        UUID.self,
        "INSERT INTO crm.app_user (department_id, email, name, password_hash) VALUES (\(home), 'log@test.example', 'x', 'scrypt$secret') RETURNING id")
      try await tx.run("UPDATE crm.app_user SET password_hash = 'scrypt$another' WHERE id = \(user)")
      for entry in try await entries(tx, of: user) {
        #expect(entry.after?.contains("scrypt") != true && entry.before?.contains("scrypt") != true)
        #expect(entry.after?.contains("email_key") != true)
      }
      let id = try await customer(tx, in: home)
      try await tx.run("DELETE FROM crm.customer WHERE id = \(id)")
      let last = try #require(try await entries(tx, of: id).last)
      #expect(last.op == "delete" && last.after == nil)
      #expect(last.before?.contains(#""name": "Ayşe""#) == true)
    }
  }

  @Test func `the version counts, and id, maker and time of making stay`() async throws {
    try await TestDatabase.suite().withRollback(as: .system("test")) { tx in
      let id = try await customer(tx, in: try await department(tx, "log_version"))
      try await tx.run("UPDATE crm.customer SET version = 40, created_at = '2001-01-01', created_by = \(UUID()) WHERE id = \(id)")
      #expect(try await tx.value(Bool.self, "SELECT version = 2 AND created_at = now() AND created_by IS NULL FROM crm.customer WHERE id = \(id)"))
      await #expect(throws: PostgresError.self) {
        try await tx.savepoint { try await tx.run("UPDATE crm.customer SET id = \(UUID()) WHERE id = \(id)") }
      }
    }
  }

  @Test func `what belongs to a customer or an order goes where it goes`() async throws {
    try await TestDatabase.suite().withRollback(as: .system("test")) { tx in
      let (home, away) = (try await department(tx, "follow_home"), try await department(tx, "follow_away"))
      let id = try await customer(tx, in: home)
      try await tx.run("INSERT INTO crm.contact (customer_id, name, department_id) VALUES (\(id), 'x', \(away))")
      #expect(try await tx.value(UUID.self, "SELECT department_id FROM crm.contact WHERE customer_id = \(id)") == home)
      try await tx.run("UPDATE crm.customer SET department_id = \(away), visibility = 'department' WHERE id = \(id)")
      #expect(try await tx.value(Bool.self, "SELECT department_id = \(away) AND audience = \(away) FROM crm.contact WHERE customer_id = \(id)"))

      let order = try await tx.value(UUID.self, "INSERT INTO crm.sales_order (customer_id, department_id) VALUES (\(id), \(home)) RETURNING id")
      let product = try await tx.value(UUID.self, "INSERT INTO crm.product (sku, name) VALUES ('follow', 'x') RETURNING id")
      try await tx.run(
        """
        INSERT INTO crm.sales_order_line (customer_id, order_id, product_id, line_number, quantity, amount, loyalty_discount)
        VALUES (\(id), \(order), \(product), 1, 2, 10.50, 1), (\(id), \(order), \(product), 2, 0, 0.05, 0)
        """)
      #expect(try await tx.value(String.self, "SELECT amount || ' ' || loyalty_discount FROM crm.sales_order WHERE id = \(order)") == "10.55 1.00")
      try await tx.run("UPDATE crm.sales_order_line SET amount = 0 WHERE customer_id = \(id) AND order_id = \(order) AND line_number = 2")
      try await tx.run("DELETE FROM crm.sales_order_line WHERE customer_id = \(id) AND order_id = \(order) AND line_number = 1")
      #expect(try await tx.value(String.self, "SELECT amount || ' ' || loyalty_discount FROM crm.sales_order WHERE id = \(order)") == "0.00 0.00")
      try await tx.run("UPDATE crm.sales_order SET visibility = 'department' WHERE id = \(order)")
      #expect(try await tx.value(UUID.self, "SELECT audience FROM crm.sales_order_line WHERE order_id = \(order)") == home)
    }
  }

  @Test func `a line cannot be on another customer's order`() async throws {
    try await TestDatabase.suite().withRollback(as: .system("test")) { tx in
      let home = try await department(tx, "other_order")
      let (one, other) = (try await customer(tx, in: home), try await customer(tx, in: home))
      let order = try await tx.value(UUID.self, "INSERT INTO crm.sales_order (customer_id, department_id) VALUES (\(one), \(home)) RETURNING id")
      let product = try await tx.value(UUID.self, "INSERT INTO crm.product (sku, name) VALUES ('other', 'x') RETURNING id")
      let error = await #expect(throws: PostgresError.self) {
        try await tx.savepoint {
          try await tx.run(
            """
            INSERT INTO crm.sales_order_line (customer_id, order_id, product_id, line_number, quantity, amount)
            VALUES (\(other), \(order), \(product), 1, 1, 1)
            """)
        }
      }
      #expect(error?.sqlState == "CR001")
      #expect(error?.column == "order_id")
    }
  }

  @Test func `months without a partition are kept, and moved when it is made`() async throws {
    let database = try await TestDatabase.clone()
    let context = PostgresPool.Context(settings: [.init("muhatap.via", "system:test")], readOnly: false)
    // A month may have begun since the database was made.
    _ = try await database.worker.execute(["SELECT crm.make_change_partitions()"], context: context, deadline: .after(.seconds(60)))
    try await database.admin.transaction(context: context, deadline: .after(.seconds(60))) { tx in
      try await tx.run(
        """
        INSERT INTO crm.change (xid, seq, at, relation, op, row_id, area, via)
        VALUES ('1', 1, '2031-05-07T08:00:00Z', 'customers', 'insert', \(UUID()), 'customers', 'test')
        """)
      #expect(try await tx.value(Int.self, "SELECT count(*) FROM crm.change_default") == 1)
    }
    try await database.worker.transaction(context: context, deadline: .after(.seconds(60))) { (tx: PostgresTransaction) async throws in
      #expect(try await tx.value(Int.self, "SELECT crm.make_change_partitions()") == 1)
      #expect(try await tx.value(Int.self, "SELECT crm.make_change_partitions()") == 0)
    }
    let counts = try await database.admin.execute(
      [
        """
        SELECT (SELECT count(*) FROM crm.change_default), (SELECT count(*) FROM crm.change_2031_05),
          (SELECT relforcerowsecurity FROM pg_class WHERE oid = 'crm.change_2031_05'::regclass)
        """
      ],
      context: context, deadline: .after(.seconds(60)))[0]
    #expect(try counts[0].decode(Int.self, at: 0) == 0)
    #expect(try counts[0].decode(Int.self, at: 1) == 1)
    #expect(try counts[0].decode(Bool.self, at: 2))
  }
}
