package import CRMCore
import Foundation
import PostgresClient

/// Writes a simulated company into a database by COPY. Whoever does it administers the database (role `crm_migrator`): what is simulated happened nowhere, so it is
/// not in the change log, and references, which are right by construction, are not looked up row by row. Every other check holds.
package struct CompanyWriter: Sendable {
  package let plan: CompanyPlan
  package let database: Database

  package init(plan: CompanyPlan, database: Database) {
    self.plan = plan
    self.database = database
  }

  package enum Refusal: Error {
    /// There is no department that the company's customers could belong to.
    case noDepartment
    /// The company of this seed is there already.
    case alreadyThere
  }

  /// From so many customers on it is faster to make the indexes that no constraint needs anew than to keep them while writing.
  private static let manyCustomers = 50_000
  /// So many customers are drawn and written at a time.
  private static let customersAPiece = 2_000

  /// - Parameters:
  ///   - department: the code of the department that works with everything; the first by code when nil.
  ///   - progress: is told how many customers have been written.
  /// - Returns: what was drawn. All of it is there, or nothing.
  package func write(department code: String?, progress: @Sendable @escaping (Int) -> Void) async throws -> CompanyTotals {
    let (plan, catalogue) = (plan, SimulatedCatalogue(plan))
    return try await database.transaction(as: .system("simulate a company"), lane: .jobs, deadline: .after(.seconds(4 * 3_600))) { tx in
      let found = try await tx.result(
        "SELECT id FROM crm.department WHERE \(code)::text IS NULL AND parent_id IS NULL OR code = \(code) ORDER BY code LIMIT 1")
      guard found.count == 1 else { throw Refusal.noDepartment }
      let seen = try await tx.value(Int.self, "SELECT count(*) FROM crm.product WHERE sku = \(catalogue.service.sku)")
      guard seen == 0 else { throw Refusal.alreadyThere }
      for statement in Self.silencing { try await tx.run(statement) }
      if plan.customers >= Self.manyCustomers { try await tx.run(Self.dropIndexes) }
      try await Self.write(catalogue, in: tx)
      var rows = CompanyRows(plan: plan, catalogue: catalogue, department: try found[0].decode(UUID.self, "id").lowercase)
      for start in stride(from: 0, to: plan.customers, by: Self.customersAPiece) {
        let end = min(start + Self.customersAPiece, plan.customers)
        for number in start..<end { rows.append(SimulatedCustomer(number, of: plan)) }
        try await Self.copy(&rows, in: tx)
        progress(end)
      }
      rows.totals.campaign = try await SimulatedCampaign(plan).write(catalogue, department: try found[0].decode("id"), in: tx)
      if plan.customers >= Self.manyCustomers { try await tx.run(Self.makeIndexes) }
      for statement in Self.speaking { try await tx.run(statement) }
      return rows.totals
    }
  }

  private static func write(_ catalogue: SimulatedCatalogue, in tx: PostgresTransaction) async throws {
    var buffer = CopyBuffer()
    for category in catalogue.categories {
      buffer.id(category.id)
      buffer.field()
      buffer.text(category.code)
      buffer.field()
      buffer.text(category.name)
      buffer.field()
      if let parent = category.parent { buffer.id(catalogue.categories[parent].id) } else { buffer.null() }
      buffer.end()
    }
    try await copy(&buffer, "COPY crm.product_category (id, code, name, parent_id) FROM STDIN", in: tx)
    for product in catalogue.products + [catalogue.service] {
      buffer.id(product.id)
      buffer.field()
      buffer.text(product.sku)
      buffer.field()
      buffer.text(product.name)
      buffer.field()
      buffer.id(catalogue.categories[product.category].id)
      buffer.field()
      buffer.hundredths(product.cost)
      buffer.field()
      buffer.text("f")
      buffer.end()
    }
    try await copy(&buffer, "COPY crm.product (id, sku, name, category_id, cost, tracked) FROM STDIN", in: tx)
  }

  private static func copy(_ rows: inout CompanyRows, in tx: PostgresTransaction) async throws {
    try await copy(
      &rows.customers, "COPY crm.customer (id, kind, name, profile, referred_by_id, department_id, created_at, updated_at) FROM STDIN", in: tx)
    try await copy(
      &rows.orders,
      "COPY crm.sales_order (customer_id, id, status, channel, ordered_at, amount, department_id, created_at, updated_at, created_by) FROM STDIN", in: tx)
    try await copy(
      &rows.lines,
      """
      COPY crm.sales_order_line
        (customer_id, id, order_id, product_id, department_id, audience, created_by, created_at, updated_at, line_number, quantity, unit_price, amount) FROM STDIN
      """, in: tx)
    try await copy(
      &rows.contracts,
      """
      COPY crm.contract
        (customer_id, id, number, name, status, starts_on, term_months, term_number, term_starts_on, monthly_amount, activated_at, ended_on, cancel_reason,
         department_id, created_at) FROM STDIN
      """, in: tx)
    try await copy(
      &rows.contractLines,
      "COPY crm.contract_line (customer_id, id, contract_id, line_number, product_id, unit_price, department_id, audience) FROM STDIN", in: tx)
  }

  private static func copy(_ buffer: inout CopyBuffer, _ statement: SQL, in tx: PostgresTransaction) async throws {
    let bytes = buffer.take()
    guard !bytes.isEmpty else { return }
    _ = try await tx.copyIn(statement) { writer in
      let size = 1 << 16
      for start in stride(from: 0, to: bytes.count, by: size) { try await writer.write(Array(bytes[start..<min(start + size, bytes.count)])) }
    }
  }

  /// Drops the indexes of orders and lines that no constraint needs, and remembers their definitions until the transaction ends.
  private static let dropIndexes: SQL = """
    DO $$
    DECLARE
      dropped record;
      definitions text[] := '{}';
    BEGIN
      FOR dropped IN
        SELECT x.indexrelid::regclass AS name, pg_get_indexdef(x.indexrelid) AS definition FROM pg_index AS x
         WHERE x.indrelid IN ('crm.sales_order'::regclass, 'crm.sales_order_line'::regclass)
           AND NOT EXISTS (SELECT FROM pg_constraint AS k WHERE k.conindid = x.indexrelid)
      LOOP
        definitions := definitions || dropped.definition;
        EXECUTE format('DROP INDEX %s', dropped.name);
      END LOOP;
      PERFORM set_config('muhatap.simulation_indexes', definitions::text, true);
    END
    $$
    """

  private static let makeIndexes: SQL = """
    DO $$
    DECLARE
      definition text;
    BEGIN
      PERFORM set_config('maintenance_work_mem', '512MB', true);
      FOREACH definition IN ARRAY current_setting('muhatap.simulation_indexes')::text[] LOOP
        EXECUTE definition;
      END LOOP;
    END
    $$
    """

  private static let silencing: [SQL] = [
    "SET LOCAL session_replication_role = 'replica'",
    "ALTER TABLE crm.product_category DISABLE TRIGGER product_category_record_insert",
    "ALTER TABLE crm.product DISABLE TRIGGER product_record_insert",
    "ALTER TABLE crm.customer DISABLE TRIGGER customer_record_insert",
    "ALTER TABLE crm.sales_order DISABLE TRIGGER sales_order_record_insert",
    "ALTER TABLE crm.sales_order_line DISABLE TRIGGER sales_order_line_record_insert",
    "ALTER TABLE crm.contract DISABLE TRIGGER contract_record_insert",
    "ALTER TABLE crm.contract_line DISABLE TRIGGER contract_line_record_insert",
    "ALTER TABLE crm.campaign DISABLE TRIGGER campaign_record_insert",
    "ALTER TABLE crm.campaign_member DISABLE TRIGGER campaign_member_record_insert",
    "ALTER TABLE crm.campaign_touch DISABLE TRIGGER campaign_touch_record_insert",
  ]

  private static let speaking: [SQL] = [
    "ALTER TABLE crm.product_category ENABLE ALWAYS TRIGGER product_category_record_insert",
    "ALTER TABLE crm.product ENABLE ALWAYS TRIGGER product_record_insert",
    "ALTER TABLE crm.customer ENABLE ALWAYS TRIGGER customer_record_insert",
    "ALTER TABLE crm.sales_order ENABLE ALWAYS TRIGGER sales_order_record_insert",
    "ALTER TABLE crm.sales_order_line ENABLE ALWAYS TRIGGER sales_order_line_record_insert",
    "ALTER TABLE crm.contract ENABLE ALWAYS TRIGGER contract_record_insert",
    "ALTER TABLE crm.contract_line ENABLE ALWAYS TRIGGER contract_line_record_insert",
    "ALTER TABLE crm.campaign ENABLE ALWAYS TRIGGER campaign_record_insert",
    "ALTER TABLE crm.campaign_member ENABLE ALWAYS TRIGGER campaign_member_record_insert",
    "ALTER TABLE crm.campaign_touch ENABLE ALWAYS TRIGGER campaign_touch_record_insert",
    "SET LOCAL session_replication_role = 'origin'",
    "ANALYZE crm.customer, crm.sales_order, crm.sales_order_line, crm.contract, crm.campaign_member, crm.campaign_touch",
  ]
}
