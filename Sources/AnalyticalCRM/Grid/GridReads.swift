import CRMCore
import Foundation
import PostgresClient

extension ReadOperation {
  static let gridMatrix = ReadOperation(
    "read_grid_matrix", "/v1/grids/{id}/matrix", tag: "grids", access: .read(.analytics),
    "Read a grid: its cells, how many customers each has, and their strategy",
    description:
      "Everybody is counted, also those you may not see; revenue of the year before the evaluation, in the grid's currency if it has one, against the targets.",
    input: NoInput.self,
    row: [
      "cell_id": AnswerField.id, "band": AnswerField.text, "group": AnswerField.text, "customers": AnswerField.count,
      "share": AnswerField.optional(AnswerField.number),
      "strategy": AnswerField.text, "owner_id": AnswerField.optional(AnswerField.id), "target_customers": AnswerField.optional(AnswerField.integer),
      "target_revenue": AnswerField.optional(AnswerField.decimal), "revenue": AnswerField.optional(AnswerField.decimal),
      "discount_cap_percent": AnswerField.optional(AnswerField.decimal), "discount_cap_binds": AnswerField.flag,
      "sla_class": AnswerField.optional(AnswerField.text),
      "contact_cadence_days": AnswerField.optional(AnswerField.integer), "channel": AnswerField.optional(AnswerField.text),
      "as_of": AnswerField.optional(AnswerField.instant),
    ], reading: [.analytics], extending: [.sales], lane: .reports,
    mustExist: { request in "SELECT 1 FROM crm.grid WHERE id = \(try request.segmentID())" }
  ) { request, _ in
    let id = try request.segmentID()
    return """
      SELECT c.id AS cell_id, c.band, c."group", coalesce(m.customers, 0) AS customers, m.customers::float8 / nullif(sum(m.customers) OVER (), 0)::float8 AS share, c.strategy,
             c.owner_id, c.target_customers, c.target_revenue, m.revenue, c.discount_cap_percent, c.discount_cap_binds, c.sla_class, c.contact_cadence_days, c.channel,
             g.evaluated_at AS as_of
        FROM crm.grid g JOIN crm.grid_cell c ON c.grid_id = g.id
        LEFT JOIN (
          SELECT m.cell_id, count(*) AS customers, round(sum(o.revenue), 2) AS revenue
            FROM crm.customer_cell m JOIN crm.grid g ON g.id = m.grid_id
            LEFT JOIN analytics.order_measures(
              (SELECT x.evaluated_at FROM crm.grid x WHERE x.id = \(id)), (SELECT analytics.since(x.evaluated_at, 365) FROM crm.grid x WHERE x.id = \(id)),
              (SELECT x.currency FROM crm.grid x WHERE x.id = \(id)), NULL) o ON o.customer_id = m.customer_id
           WHERE m.grid_id = \(id) AND m.left_at IS NULL GROUP BY 1
        ) m ON m.cell_id = c.id
       WHERE g.id = \(id) ORDER BY c.band, c."group"
      """
  }

  static let gridCellMembers = ReadOperation(
    "list_grid_cell_members", "/v1/grid_cells/{id}/members", tag: "grid_cells", access: .read(.analytics), "List who is, or was, in a cell",
    description: "The customers you may see, in the order of their ids; the next page begins after the last one.", input: MembersQuestion.self,
    row: ["customer_id": AnswerField.id, "name": AnswerField.text, "entered_at": AnswerField.instant, "left_at": AnswerField.optional(AnswerField.instant)],
    reading: [.analytics, .customers], mustExist: { request in "SELECT 1 FROM crm.grid_cell WHERE id = \(try request.segmentID())" }
  ) { request, question in
    """
    SELECT m.customer_id, c.name, m.entered_at, m.left_at FROM crm.customer_cell m JOIN crm.customer c ON c.id = m.customer_id
     WHERE m.cell_id = \(try request.segmentID()) AND \(question.lasts) AND m.customer_id > coalesce(\(question.after)::uuid, '00000000-0000-0000-0000-000000000000'::uuid)
     ORDER BY m.customer_id LIMIT \(question.limit)
    """
  }

  static let customerPolicy = ReadOperation(
    "read_customer_policy", "/v1/customers/{id}/policy", tag: "customers", access: .read(.customers), "Read the policy for a customer",
    description:
      "Of the cell the customer is in, in the grid that steers; no row without one. discount_cap_percent is what quotes and orders go by: a seller's own cap is "
      + "raised to it where it is higher, and lowered to it where it binds.",
    input: NoInput.self,
    row: [
      "grid": AnswerField.text, "cell_id": AnswerField.id, "band": AnswerField.text, "group": AnswerField.text, "strategy": AnswerField.text,
      "owner_id": AnswerField.optional(AnswerField.id), "discount_cap_percent": AnswerField.optional(AnswerField.decimal),
      "discount_cap_binds": AnswerField.flag,
      "sla_class": AnswerField.optional(AnswerField.text), "contact_cadence_days": AnswerField.optional(AnswerField.integer),
      "channel": AnswerField.optional(AnswerField.text),
    ], reading: [.customers],
    mustExist: { request in "SELECT 1 FROM crm.customer WHERE id = \(try request.segmentID())" }
  ) { request, _ in
    """
    SELECT p.grid, p.cell AS cell_id, p.band, p."group", p.strategy, p.owner_id, p.discount_cap_percent, p.discount_cap_binds, p.sla_class, p.contact_cadence_days, p.channel
      FROM crm.customer_policy(\(try request.segmentID())) p
    """
  }
}
