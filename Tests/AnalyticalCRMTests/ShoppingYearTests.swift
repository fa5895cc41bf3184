import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("The year of shopping for tests")
struct ShoppingYearTests {
  @Test("a clone has every customer, order and redemption; customers' ids ascend as the numbers of their households do")
  func whole() async throws {
    let database = try await ShoppingYear.clone()
    let totals = try #require(try ShoppingYear.expected()["totals"])
    let found = try await Database(pool: database.worker).read(
      as: .system("test"), deadline: .after(.seconds(120)),
      """
      SELECT (SELECT count(*) FROM crm.customer) AS customers, (SELECT count(*) FROM crm.sales_order) AS orders, (SELECT (sum(amount) * 100)::bigint FROM crm.sales_order) AS cents,
             (SELECT count(*) FROM crm.customer_observation WHERE kind = 'redemptions') AS redemptions,
             (SELECT bool_and(place = household) FROM (
                SELECT row_number() OVER (ORDER BY id) AS place, row_number() OVER (ORDER BY split_part(name, ' ', 2)::int) AS household FROM crm.customer) AS c) AS in_order
      """)[0]
    #expect(JSON.number(.init(try found.decode(Int.self, "customers"))) == totals["customers"])
    #expect(JSON.number(.init(try found.decode(Int.self, "orders"))) == totals["orders"])
    #expect(JSON.number(.init(try found.decode(Int.self, "cents"))) == totals["sales_cents"])
    #expect(try found.decode(Int.self, "redemptions") == 70)
    #expect(try found.decode(Bool.self, "in_order"))
    #expect(try ShoppingYear.expectedCustomers()["Household 1"]?["cents"] == "241556")
  }
}
