import CRMCore
import Foundation
import Gateway
import MuhatapTestKit
import PostgresClient
import Testing

@testable import AnalyticalCRM

@Suite("The company simulator")
struct SimulatorTests {
  private static let plan = CompanyPlan(seed: 11, customers: 400, months: 12, ordersPerCustomer: 5, linesPerOrder: 2)

  private func simulate(_ plan: CompanyPlan = plan) async throws -> (database: TestDatabase, totals: CompanyTotals) {
    let database = try await TestDatabase.clone()
    try await DemoCompany.found(in: database.app)
    return (database, try await CompanyWriter(plan: plan, database: Database(pool: database.migrator)).write(department: nil) { _ in })
  }

  private func behind(_ database: TestDatabase, _ statement: SQL) async throws -> PostgresRow {
    try await database.admin.execute([statement], context: PostgresPool.Context(readOnly: false), deadline: .after(.seconds(120)))[0][0]
  }

  @Test("the same seed makes the same company, which is coherent and what the truth says")
  func coherent() async throws {
    let (first, totals) = try await simulate()
    let (second, _) = try await simulate()
    let fingerprint: SQL = """
      SELECT (SELECT md5(string_agg(concat_ws('|', o.customer_id, o.id, o.ordered_at, o.amount, o.channel), ',' ORDER BY o.id)) FROM crm.sales_order o) || (SELECT md5(string_agg(c.id::text || c.name, ',' ORDER BY c.id)) FROM crm.customer c)
      """
    #expect(try await behind(first, fingerprint).decode(String.self, at: 0) == behind(second, fingerprint).decode(String.self, at: 0))
    let sums = try await behind(
      first,
      """
      SELECT (SELECT count(*) FROM crm.sales_order) AS orders, (SELECT (100 * sum(amount))::bigint FROM crm.sales_order) AS cents,
        (SELECT (100 * sum(amount))::bigint FROM crm.sales_order_line) AS line_cents, (SELECT count(*) FROM crm.sales_order_line) AS lines,
        (SELECT count(*) FROM crm.contract WHERE status = 'cancelled') AS ended, (SELECT count(*) FROM crm.customer WHERE profile ? 'simulation') AS customers,
        (SELECT count(*) FROM crm.sales_order o LEFT JOIN crm.customer c ON c.id = o.customer_id WHERE c.id IS NULL)
          + (SELECT count(*) FROM crm.sales_order_line l LEFT JOIN crm.sales_order o ON (o.customer_id, o.id) = (l.customer_id, l.order_id) WHERE o.id IS NULL)
          + (SELECT count(*) FROM crm.sales_order_line l LEFT JOIN crm.product p ON p.id = l.product_id WHERE p.id IS NULL)
          + (SELECT count(*) FROM crm.customer c LEFT JOIN crm.customer r ON r.id = c.referred_by_id WHERE c.referred_by_id IS NOT NULL AND r.id IS NULL) AS lost
      """)
    let campaign = totals.campaign
    #expect(try sums.decode(Int.self, "orders") == totals.orders + campaign.extraOrders && sums.decode(Int.self, "lines") == totals.lines + campaign.extraLines)
    #expect(
      try sums.decode(Int.self, "cents") == totals.cents + campaign.extraCents && sums.decode(Int.self, "line_cents") == totals.cents + campaign.extraCents)
    // Hold-out and effect are what the plan says, as far as chance allows; nobody is touched who is held out.
    #expect(abs(Double(campaign.heldOut) / Double(campaign.members) - 0.2) < 0.08 && campaign.extraOrders > 0, "\(campaign)")
    let treated = try await behind(
      first,
      "SELECT count(*) AS touched, count(*) FILTER (WHERE m.held_out) AS wrong FROM crm.campaign_touch t JOIN crm.campaign_member m USING (campaign_id, customer_id)"
    )
    #expect(try treated.decode(Int.self, "touched") == campaign.members - campaign.heldOut && treated.decode(Int.self, "wrong") == 0)
    #expect(try sums.decode(Int.self, "ended") == totals.endedContracts && sums.decode(Int.self, "lost") == 0 && sums.decode(Int.self, "customers") == 400)
    #expect(deviation(Double(totals.orders), from: 2_000) < 0.25, "\(totals.orders) orders")
    #expect(totals.causes.reduce(0, +) == totals.endedContracts && totals.alive > 0 && totals.alive < 400)
    await #expect(throws: CompanyWriter.Refusal.self) {
      _ = try await CompanyWriter(plan: Self.plan, database: Database(pool: first.migrator)).write(department: nil) { _ in }
    }
    await #expect(throws: CompanyWriter.Refusal.self) {
      _ = try await CompanyWriter(plan: Self.plan, database: Database(pool: first.migrator)).write(department: "moon") { _ in }
    }
    // What guards the change log is as it was.
    #expect(try await behind(first, "SELECT count(*) FROM pg_trigger WHERE tgname LIKE '%record_insert' AND tgenabled <> 'A'").decode(Int.self, at: 0) == 0)
  }

  @Test("days are those of the calendar")
  func calendar() {
    for day in [-1, 0, 59, 10_957, 19_782, 20_150, 47_540] {
      let date = Date(timeIntervalSince1970: Double(day) * 86_400).formatted(.iso8601.year().month().day())
      #expect(
        CalendarDay(day: day).text == date
          && CalendarDay(year: CalendarDay(day: day).year, month: CalendarDay(day: day).month, dayOfMonth: CalendarDay(day: day).dayOfMonth).day == day)
    }
  }

  @Test("the models recover the truth of a simulated company")
  func recovery() throws {
    let plan = CompanyPlan(seed: 5, customers: 6_000, months: 18, ordersPerCustomer: 5, linesPerOrder: 0)
    let customers = (0..<plan.customers).map { SimulatedCustomer($0, of: plan) }
    let histories = customers.map { customer in
      let first = Double(customer.purchases[0].at) / 86_400
      let last = Double(customer.purchases.last?.at ?? 0) / 86_400
      return PurchaseHistory(frequency: customer.purchases.count - 1, recency: last - first, age: Double(plan.end) - first)
    }
    let fit = try BetaGeometricModel.fit(histories)
    // Within four standard errors of the logarithm, and closer than 30 % where the data say much.
    for (index, truth) in plan.purchases.parameters.enumerated() {
      #expect(
        abs(log(fit.parameters[index] / truth)) < 4 * fit.standardErrors[index],
        "\(BetaGeometricModel.parameterNames[index]): \(fit.parameters[index]), true \(truth)")
    }
    #expect(deviation(fit.parameters[0] / fit.parameters[1], from: plan.purchases.r / plan.purchases.alpha) < 0.06)
    let model = BetaGeometricModel(parameters: fit.parameters)
    let alive = histories.reduce(0) { $0 + model.probabilityAlive($1) }
    #expect(deviation(alive, from: Double(customers.count { $0.isAlive })) < 0.05)
    let forecast = histories.reduce(0) { $0 + model.expectedPurchases(within: Double(CompanyPlan.futureDays), after: $1) }
    #expect(deviation(forecast, from: Double(customers.reduce(0) { $0 + $1.futurePurchases })) < 0.05)
    let means = Dictionary(grouping: customers.filter { $0.purchases.count > 1 }, by: { $0.purchases.count - 1 }).map { frequency, group in
      GammaGammaModel.Spending(
        frequency: frequency, means: group.map { $0.purchases.dropFirst().reduce(0) { $0 + Double($1.cents) } / Double(100 * frequency) })
    }
    let spending = try GammaGammaModel.fit(means)
    for (found, truth) in zip(spending.parameters, plan.spending.parameters) { #expect(deviation(found, from: truth) < 0.15, "\(spending.parameters)") }
  }
}
