import CRMCore
import Foundation
import PostgresClient

/// An opportunity whose state is judged: nobody else moves it until the transaction ends.
struct LockedOpportunity: RowDecodable {
  enum Status: String, Sendable { case open, won, lost }

  let id: UUID
  let customerID: UUID
  let pipelineID: UUID
  let stageID: UUID
  /// The stage's place in its pipeline.
  let position: Int
  let status: Status?

  init(row: PostgresRow) throws {
    id = try row.decode(UUID.self, "id")
    customerID = try row.decode(UUID.self, "customer_id")
    pipelineID = try row.decode(UUID.self, "pipeline_id")
    stageID = try row.decode(UUID.self, "stage_id")
    position = try row.decode(Int.self, "position")
    status = Status(rawValue: try row.decode(String.self, "status"))
  }

  /// - Throws: a problem when the caller does not see the opportunity, or sees it and may not change it.
  static func lock(_ id: UUID, _ tx: PostgresTransaction) async throws -> LockedOpportunity {
    // The stage is looked up, not joined: to a join, a row that was moved while we waited would be gone.
    let locked = try await tx.first(
      LockedOpportunity.self,
      """
      SELECT o.id, o.customer_id, o.pipeline_id, o.stage_id, (SELECT s.position FROM crm.stage s WHERE s.id = o.stage_id) AS position, o.status
        FROM crm.opportunity o WHERE o.id = \(id) FOR UPDATE
      """)
    if let locked { return locked }
    // A lock asks for the right to change: whoever only reads the row finds none.
    guard try await tx.result("SELECT 1 FROM crm.opportunity WHERE id = \(id)").count > 0 else { throw Problem.notFound }
    throw Problem.forbidden(
      Phrase("Your role lets you read this opportunity, not change it.", tr: "Rolünüz bu fırsatı okumanıza izin verir, değiştirmenize değil."))
  }

  func mustBeOpen() throws(Problem) {
    if status == .open { return }
    throw Problem(
      409, "not-open", Phrase("The opportunity is closed.", tr: "Fırsat kapanmış."),
      detail: Phrase("Reopen it first.", tr: "Önce yeniden açın."))
  }
}
