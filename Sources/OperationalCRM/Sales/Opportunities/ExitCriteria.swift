import CRMCore
import Foundation
import PostgresClient

/// What must be filled in before an opportunity goes on: every criterion of every stage that it leaves or skips.
enum ExitCriteria {
  private struct Missing: RowDecodable {
    let criterion: String
    let stage: String

    init(row: PostgresRow) throws {
      criterion = try row.decode(String.self, "criterion")
      stage = try row.decode(String.self, "stage")
    }
  }

  /// Throws a problem with all that is missing.
  /// - Parameter before: the position of the stage it moves to; nil checks the stage it stands in alone.
  static func check(_ opportunity: LockedOpportunity, before: Int? = nil, _ tx: PostgresTransaction) async throws {
    let end = before ?? opportunity.position + 1
    let missing = try await tx.all(
      Missing.self,
      """
      SELECT DISTINCT ON (c.criterion) c.criterion, s.name AS stage
        FROM crm.stage s CROSS JOIN LATERAL unnest(s.exit_criteria) WITH ORDINALITY AS c (criterion, place)
        JOIN crm.opportunity o ON o.customer_id = \(opportunity.customerID) AND o.id = \(opportunity.id)
       WHERE s.pipeline_id = \(opportunity.pipelineID) AND s.position >= \(opportunity.position) AND s.position < \(end)
         AND NOT CASE c.criterion
               WHEN 'amount' THEN o.amount IS NOT NULL
               WHEN 'close_on' THEN o.close_on IS NOT NULL
               WHEN 'contact_id' THEN o.contact_id IS NOT NULL
               WHEN 'owner_id' THEN o.owner_id IS NOT NULL
               WHEN 'next_step' THEN btrim(coalesce(o.next_step, '')) <> ''
               WHEN 'next_step_on' THEN o.next_step_on IS NOT NULL
               WHEN 'note' THEN btrim(coalesce(o.note, '')) <> ''
               WHEN 'lines' THEN o.lines_amount IS NOT NULL
               WHEN 'competitors' THEN EXISTS (
                 SELECT FROM crm.opportunity_competitor r WHERE r.customer_id = o.customer_id AND r.opportunity_id = o.id)
               ELSE coalesce(o.custom -> substr(c.criterion, 8), 'null') NOT IN ('null', '""', '[]')
             END
       ORDER BY c.criterion, s.position
      """)
    if missing.isEmpty { return }
    throw Problem(
      409, "exit-criteria", Phrase("The stage cannot be left yet.", tr: "Bu aşamadan henüz çıkılamaz."),
      errors: missing.map { item in
        .init(
          "/\(item.criterion.replacing(".", with: "/"))", code: "required",
          Phrase(
            "\(item.criterion) must be filled in before \"\(item.stage)\" is left.",
            tr: "\"\(item.stage)\" aşamasından çıkmadan önce \(item.criterion) doldurulmalıdır."))
      })
  }
}
