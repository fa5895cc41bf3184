import CRMCore
import Foundation
import PostgresClient

/// The campaign of a simulated company: everybody who bought in the ninety days before is in it, a fifth is held out by hash, and of those who are reached a known
/// share buys once more than they would have. Chance is the hash of customer and campaign, so that the same company has the same campaign.
package struct SimulatedCampaign: Sendable {
  package struct Totals: Sendable {
    package var members = 0
    package var heldOut = 0
    package var extraOrders = 0
    package var extraLines = 0
    package var extraCents = 0
  }

  static let holdOutPercent = 20
  /// How many in a hundred of those who are reached buy once more.
  static let effectPercent = 8
  static let days = 14

  let plan: CompanyPlan

  init(_ plan: CompanyPlan) { self.plan = plan }

  static func code(plan: CompanyPlan) -> String { "SIM-\(plan.seed)" }
  static func firstDay(of plan: CompanyPlan) -> CalendarDay { plan.firstDay.months(later: plan.months * 3 / 5) }

  func write(_ catalogue: SimulatedCatalogue, department: UUID, in tx: PostgresTransaction) async throws -> Totals {
    var random = RandomSource(seed: plan.seed &+ 2, stream: 0)
    let first = Self.firstDay(of: plan)
    let id = RowID(at: Double(first.day), &random).uuid
    let start = Date(timeIntervalSince1970: Double(first.day) * 86_400)
    let (code, lastDay) = (Self.code(plan: plan), CalendarDay(day: first.day + Self.days - 1).text)
    try await tx.run(
      """
      INSERT INTO crm.campaign (id, code, name, kind, status, starts_on, ends_on, cost, holdout_percent, department_id)
      VALUES (\(id), \(code), 'Bahar kampanyası', 'email', 'finished', \(first.text)::date, \(lastDay)::date, 5000, \(Self.holdOutPercent), \(department))
      """)
    var totals = Totals()
    totals.members = try await tx.run(
      """
      INSERT INTO crm.campaign_member (customer_id, id, campaign_id, held_out, arm, assigned_at, department_id, audience)
      SELECT x.customer_id, \(hashed("x.customer_id", id, "member")), \(id), x.held_out, CASE WHEN NOT x.held_out THEN 'treated' END, \(start)::timestamptz - interval '1 day',
             \(department), \(Self.company)::uuid
        FROM (
          SELECT o.customer_id, crm.campaign_bucket(o.customer_id, \(id)) < \(Self.holdOutPercent) AS held_out
            FROM (SELECT DISTINCT customer_id FROM crm.sales_order WHERE ordered_at >= \(start)::timestamptz - interval '90 days' AND ordered_at < \(start)) AS o
            JOIN crm.customer AS c ON c.id = o.customer_id WHERE c.profile ->> 'simulation' = \(String(plan.seed))
        ) AS x ORDER BY x.customer_id
      """)
    totals.heldOut = try await tx.value(Int.self, "SELECT count(*) FROM crm.campaign_member WHERE campaign_id = \(id) AND held_out")
    try await tx.run(
      """
      INSERT INTO crm.campaign_touch (customer_id, id, campaign_id, channel, touched_at, delivered, opened_at, cost, department_id, audience)
      SELECT m.customer_id, \(hashed("m.customer_id", id, "touch")), \(id), 'email', x.at, x.opens < 97, CASE WHEN x.opens < 40 THEN x.at + interval '3 hours' END, 0.25, \(department),
             \(Self.company)::uuid
        FROM crm.campaign_member AS m
       CROSS JOIN LATERAL (SELECT \(start)::timestamptz + interval '9 hours', crm.campaign_bucket(m.customer_id, \(id), ':opens')) AS x (at, opens)
       WHERE m.campaign_id = \(id) AND NOT m.held_out ORDER BY m.customer_id
      """)
    let extra = try await tx.result(
      """
      WITH extra AS (
        INSERT INTO crm.sales_order (customer_id, id, status, channel, ordered_at, amount, department_id, created_by)
        SELECT m.customer_id, \(hashed("m.customer_id", id, "order")), 'completed', 'online',
               \(start)::timestamptz + interval '12 hours' + crm.campaign_bucket(m.customer_id, \(id), ':day') % \(Self.days) * interval '1 day',
               (SELECT round(avg(o.amount), 2) FROM crm.sales_order AS o WHERE o.customer_id = m.customer_id AND o.ordered_at < \(start)), \(department), NULL
          FROM crm.campaign_member AS m
         WHERE m.campaign_id = \(id) AND NOT m.held_out AND crm.campaign_bucket(m.customer_id, \(id), ':effect') < \(Self.effectPercent) ORDER BY m.customer_id
        RETURNING amount
      ) SELECT count(*) AS orders, coalesce(sum(100 * amount), 0)::bigint AS cents FROM extra
      """)[0]
    totals.extraOrders = try extra.decode("orders")
    totals.extraCents = try extra.decode("cents")
    if plan.linesPerOrder > 0 {
      let product = catalogue.products[0]
      totals.extraLines = try await tx.run(
        """
        INSERT INTO crm.sales_order_line (customer_id, id, order_id, product_id, department_id, audience, created_by, line_number, quantity, unit_price, amount)
        SELECT o.customer_id, \(hashed("o.customer_id", id, "line")), o.id, \(product.id.uuid), \(department), \(Self.company)::uuid, NULL, 1,
               greatest(round(o.amount * 100 / \(product.price), 3), 0.001), \(product.price)::numeric / 100, o.amount
          FROM crm.campaign_member AS m JOIN crm.sales_order AS o ON o.customer_id = m.customer_id AND o.id = \(hashed("m.customer_id", id, "order")) WHERE m.campaign_id = \(id)
        """)
    }
    return totals
  }

  /// What everyone may read: `audience` of what belongs to the campaign.
  private static let company = "00000000-0000-0000-0000-000000000000"

  /// An id that is always the same for a customer, a campaign and a purpose.
  private func hashed(_ customer: SQL, _ campaign: UUID, _ purpose: String) -> SQL {
    "encode(substr(sha256(convert_to(\(customer)::text || \(campaign.lowercase) || \(purpose), 'UTF8')), 1, 16), 'hex')::uuid"
  }
}
