import CRMCore
package import Foundation
package import PostgresClient

/// What else wins an opportunity than somebody saying so: a customer who accepts a quote.
package enum OpportunityWinning {
  /// Closes an opportunity as won, also one that had been given up; one that is won already stays as it is. Exit criteria are not asked:
  /// the customer has decided.
  /// - Throws: `Problem.notFound` when the caller may not change it or it does not exist.
  package static func win(opportunity: UUID, customer: UUID, tx: PostgresTransaction) async throws {
    let won = try await tx.run(
      """
      UPDATE crm.opportunity SET status = 'won', lost_reason_id = NULL, lost_note = NULL
       WHERE customer_id = \(customer) AND id = \(opportunity) AND status <> 'won' RETURNING id
      """)
    if won == 1 { return }
    let standing = try await tx.result("SELECT 1 FROM crm.opportunity WHERE customer_id = \(customer) AND id = \(opportunity) AND status = 'won'")
    if standing.count == 0 { throw Problem.notFound }
  }
}
