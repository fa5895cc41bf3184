import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("The year of shopping")
struct YearOfShoppingTests {
  private struct Expected: Decodable {
    struct Totals: Decodable, Equatable {
      let lines, orders, customers, sales_cents, retail_disc_cents, coupon_disc_cents, coupon_match_disc_cents, zero_amount_orders,
        units: Int
    }
    let totals: Totals
    let monthly_sales_cents: [String: Int]
    let monthly_sales_cents_local_new_york: [String: Int]
    let department_sales_cents: [String: Int]
  }

  @Test(
    "is imported whole: every total equals the one computed independently, to the cent; a second time changes nothing; undo leaves nothing")
  func totals() async throws {
    let fixture = try await ImportFixture()
    let expected = try JSONDecoder().decode(
      Expected.self, from: Data(contentsOf: Command.repository.appending(path: "Tests/CRMCoreTests/Fixtures/mini_expected.json")))
    var jobs: [ImportJob] = []
    for (file, resource, mapping) in [
      ("demographics", "customers", "customers"), ("products", "products", "products"), ("transactions", "orders", "orders"),
    ] {
      let job = try await fixture.importer.importFile(
        ImportFixture.pieces(try ImportFixture.demo("data/\(file).csv.gz"), size: 64 << 10), resource: resource,
        mapping: try ImportFixture.mapping(mapping),
        fileName: "\(file).csv.gz", dryRun: false, as: fixture.system)
      #expect(job.status == .done)
      #expect(job.rowsRefused == 0)
      jobs.append(job)
    }
    #expect(jobs.map(\.rowsRead) == [13, 9_696, 25_658])

    let totals = try await fixture.door.read(
      as: fixture.system,
      """
      SELECT (SELECT count(*) FROM crm.sales_order_line) AS lines, count(*) AS orders, (SELECT count(*) FROM crm.customer) AS customers,
        (sum(amount) * 100)::bigint AS sales, (sum(loyalty_discount) * 100)::bigint AS loyalty, (sum(coupon_discount) * 100)::bigint AS coupon,
        (sum(coupon_match_discount) * 100)::bigint AS coupon_match, count(*) FILTER (WHERE amount = 0) AS zero,
        (SELECT sum(quantity)::bigint FROM crm.sales_order_line) AS units, (SELECT (sum(amount) * 100)::bigint FROM crm.sales_order_line) AS line_sales
      FROM crm.sales_order
      """)[0]
    let found = Expected.Totals(
      lines: try totals.decode(Int.self, "lines"), orders: try totals.decode(Int.self, "orders"),
      customers: try totals.decode(Int.self, "customers"),
      sales_cents: try totals.decode(Int.self, "sales"), retail_disc_cents: try totals.decode(Int.self, "loyalty"),
      coupon_disc_cents: try totals.decode(Int.self, "coupon"), coupon_match_disc_cents: try totals.decode(Int.self, "coupon_match"),
      zero_amount_orders: try totals.decode(Int.self, "zero"), units: try totals.decode(Int.self, "units"))
    #expect(found == expected.totals)
    #expect(try totals.decode(Int.self, "line_sales") == expected.totals.sales_cents)

    for (zone, expectedMonths) in [
      ("UTC", expected.monthly_sales_cents), ("America/New_York", expected.monthly_sales_cents_local_new_york),
    ] {
      let months = try await fixture.door.read(
        as: fixture.system,
        "SELECT to_char(ordered_at AT TIME ZONE \(zone)::text, 'YYYY-MM') AS month, (sum(amount) * 100)::bigint AS cents FROM crm.sales_order GROUP BY 1"
      )
      #expect(
        try Dictionary(uniqueKeysWithValues: months.rows.map { (try $0.decode(String.self, at: 0), try $0.decode(Int.self, at: 1)) })
          == expectedMonths)
    }
    let departments = try await fixture.door.read(
      as: fixture.system,
      """
      SELECT coalesce(split_part(c.code, ' › ', 1), '(unknown product)') AS department, (sum(l.amount) * 100)::bigint AS cents
      FROM crm.sales_order_line l JOIN crm.product p ON p.id = l.product_id LEFT JOIN crm.product_category c ON c.id = p.category_id GROUP BY 1
      """)
    #expect(
      try Dictionary(uniqueKeysWithValues: departments.rows.map { (try $0.decode(String.self, at: 0), try $0.decode(Int.self, at: 1)) })
        == expected.department_sales_cents)

    for (file, resource, mapping) in [
      ("demographics", "customers", "customers"), ("products", "products", "products"), ("transactions", "orders", "orders"),
    ] {
      let again = try await fixture.importer.importFile(
        ImportFixture.pieces(try ImportFixture.demo("data/\(file).csv.gz"), size: 64 << 10), resource: resource,
        mapping: try ImportFixture.mapping(mapping),
        fileName: "\(file).csv.gz", dryRun: false, as: fixture.system)
      #expect(
        again.rowsNew == 0 && again.rowsChanged == 0 && again.rowsUnchanged == again.rowsRead && again.rowsRefused == 0, "\(file): \(again)"
      )
    }

    for job in jobs.reversed() { try await fixture.importer.undo(job.id, as: fixture.system) }
    #expect(try await fixture.count("SELECT count(*) FROM crm.sales_order_line") == 0)
    #expect(try await fixture.count("SELECT count(*) FROM crm.sales_order") == 0)
    #expect(try await fixture.count("SELECT count(*) FROM crm.customer") == 0)
    #expect(try await fixture.count("SELECT count(*) FROM crm.product") == 0)
    #expect(try await fixture.count("SELECT count(*) FROM crm.product_category") == 0)
  }
}
