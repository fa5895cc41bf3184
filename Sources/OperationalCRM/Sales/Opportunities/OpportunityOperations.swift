import CRMCore
import Foundation
import PostgresClient

extension BusinessOperation {
  /// Brings an opportunity to another stage, onwards or back.
  static let moveOpportunity = BusinessOperation(
    "move_opportunity", .post, "/v1/opportunities/{id}/move", of: "opportunities", access: .write(.sales), "Move an opportunity to another stage.",
    description: "Going on asks for the exit criteria of every stage that is left or skipped; going back, or into another pipeline, does not.",
    input: MoveOpportunity.self, answer: .record("opportunities", expand: ["stage"])
  ) { run, input in
    let opportunity = try await LockedOpportunity.lock(run.id(), run.tx)
    try opportunity.mustBeOpen()
    let target = try await run.tx.first(
      StagePlace.self, "SELECT pipeline_id, position FROM crm.stage WHERE id = \(input.stageID)")
    guard let target else { throw Problem.invalid([.noSuchStage]) }
    if target.pipelineID == opportunity.pipelineID, target.position > opportunity.position {
      try await ExitCriteria.check(opportunity, before: target.position, run.tx)
    }
    try await run.tx.run(
      "UPDATE crm.opportunity SET stage_id = \(input.stageID) WHERE customer_id = \(opportunity.customerID) AND id = \(opportunity.id) RETURNING id")
    return .record(opportunity.id)
  }

  /// Closes an opportunity as won.
  static let winOpportunity = BusinessOperation(
    "win_opportunity", .post, "/v1/opportunities/{id}/win", of: "opportunities", access: .write(.sales), "Close an opportunity as won.",
    description: "The exit criteria of its stage must be met. An accepted quote wins its opportunity by itself.",
    input: NoInput.self, answer: .record("opportunities")
  ) { run, _ in
    let opportunity = try await LockedOpportunity.lock(run.id(), run.tx)
    try opportunity.mustBeOpen()
    try await ExitCriteria.check(opportunity, run.tx)
    try await OpportunityWinning.win(opportunity: opportunity.id, customer: opportunity.customerID, tx: run.tx)
    return .record(opportunity.id)
  }

  /// Closes an opportunity as lost.
  static let loseOpportunity = BusinessOperation(
    "lose_opportunity", .post, "/v1/opportunities/{id}/lose", of: "opportunities", access: .write(.sales), "Close an opportunity as lost.",
    input: LoseOpportunity.self, answer: .record("opportunities", expand: ["lost_reason"])
  ) { run, input in
    let opportunity = try await LockedOpportunity.lock(run.id(), run.tx)
    try opportunity.mustBeOpen()
    guard try await run.tx.result("SELECT 1 FROM crm.lost_reason WHERE id = \(input.reasonID) AND active").count == 1 else {
      throw Problem.invalid([
        .init(
          "/lost_reason_id", code: "not-found",
          Phrase(
            "There is no such reason, or it is no longer given; see /v1/lost_reasons.",
            tr: "Böyle bir neden yok ya da artık kullanılmıyor; bkz. /v1/lost_reasons."))
      ])
    }
    try await run.tx.run(
      """
      UPDATE crm.opportunity SET status = 'lost', lost_reason_id = \(input.reasonID), lost_note = \(input.note)
       WHERE customer_id = \(opportunity.customerID) AND id = \(opportunity.id) RETURNING id
      """)
    return .record(opportunity.id)
  }

  /// Opens a closed opportunity again.
  static let reopenOpportunity = BusinessOperation(
    "reopen_opportunity", .post, "/v1/opportunities/{id}/reopen", of: "opportunities", access: .write(.sales), "Open a won or lost opportunity again.",
    input: ReopenOpportunity.self, answer: .record("opportunities", expand: ["stage"])
  ) { run, input in
    let opportunity = try await LockedOpportunity.lock(run.id(), run.tx)
    if opportunity.status == .open {
      throw Problem(409, "not-closed", Phrase("The opportunity is open already.", tr: "Fırsat zaten açık."))
    }
    if let stage = input.stageID, try await run.tx.result("SELECT 1 FROM crm.stage WHERE id = \(stage)").count == 0 {
      throw Problem.invalid([.noSuchStage])
    }
    try await run.tx.run(
      """
      UPDATE crm.opportunity SET status = 'open', stage_id = \(input.stageID ?? opportunity.stageID), lost_reason_id = NULL, lost_note = NULL
       WHERE customer_id = \(opportunity.customerID) AND id = \(opportunity.id) RETURNING id
      """)
    return .record(opportunity.id)
  }
}

struct MoveOpportunity: OperationInput {
  let stageID: UUID
  init(_ fields: inout InputReader) {
    stageID = fields.id("stage_id", "The stage it comes to.")
  }
}

struct LoseOpportunity: OperationInput {
  let reasonID: UUID
  let note: String?
  init(_ fields: inout InputReader) {
    reasonID = fields.id("lost_reason_id", "Why it was lost: one of /v1/lost_reasons.")
    note = fields.optionalText("lost_note", "What there is to say about the loss.")
  }
}

struct ReopenOpportunity: OperationInput {
  let stageID: UUID?
  init(_ fields: inout InputReader) {
    stageID = fields.optionalID("stage_id", "The stage it goes on from; left out, the one it was closed in.")
  }
}

private struct StagePlace: RowDecodable {
  let pipelineID: UUID
  let position: Int
  init(row: PostgresRow) throws {
    pipelineID = try row.decode(UUID.self, "pipeline_id")
    position = try row.decode(Int.self, "position")
  }
}

extension Problem.FieldError {
  fileprivate static let noSuchStage = Problem.FieldError(
    "/stage_id", code: "not-found", Phrase("There is no such stage.", tr: "Böyle bir aşama yok."))
}
