import CRMCore
import Foundation
import PostgresClient

extension BusinessOperation {
  /// Makes a draft count.
  static let activateContract = BusinessOperation(
    "activate_contract", .post, "/v1/contracts/{id}/activate", of: "contracts", access: .write(.sales), "Activate a contract.",
    description: "It gets its number, and counts as recurring revenue from its first day on.", input: NoInput.self,
    answer: .record("contracts", expand: ["lines"])
  ) { run, _ in
    let contract = try await LockedContract.lock(run.id(), run.tx)
    try contract.mustBe(.draft)
    if !contract.hasLines {
      throw Problem(
        409, "no-lines", Phrase("The contract has no lines.", tr: "Sözleşmenin satırı yok."),
        detail: Phrase("Add what is paid for first.", tr: "Önce neyin ödendiğini ekleyin."))
    }
    try await run.tx.run(
      """
      UPDATE crm.contract SET status = 'active', activated_at = now(), number = crm.next_number('contract')
       WHERE customer_id = \(contract.customerID) AND id = \(contract.id) RETURNING id
      """)
    return .record(contract.id)
  }

  /// Ends a contract before its time, or gives a draft up.
  static let cancelContract = BusinessOperation(
    "cancel_contract", .post, "/v1/contracts/{id}/cancel", of: "contracts", access: .write(.sales), "Cancel a contract.",
    input: CancelContract.self, answer: .record("contracts")
  ) { run, input in
    let contract = try await LockedContract.lock(run.id(), run.tx)
    try contract.mustBe(.draft, .active)
    let end = input.endsOn ?? contract.today
    if input.endsOn != nil, !(contract.startsOn...max(contract.startsOn, contract.termEndsOn)).contains(end) {
      throw Problem.invalid([
        .init(
          "/ends_on", code: "range",
          Phrase(
            "Give a day from \(contract.startsOn) to \(contract.termEndsOn), within the contract and its present term.",
            tr: "Sözleşmenin ve bugünkü dönemin içinde, \(contract.startsOn) ile \(contract.termEndsOn) arasında bir gün verin."))
      ])
    }
    try await run.tx.run(
      """
      UPDATE crm.contract SET status = 'cancelled', ended_on = \(end), cancel_reason = \(input.reason)
       WHERE customer_id = \(contract.customerID) AND id = \(contract.id) RETURNING id
      """)
    return .record(contract.id)
  }

  /// Lets a contract go on for another term.
  static let renewContract = BusinessOperation(
    "renew_contract", .post, "/v1/contracts/{id}/renew", of: "contracts", access: .write(.sales), "Renew a contract for another term.",
    description: "From its notice period on. The next term follows the present one without a gap; the open opportunity to renew it is won.",
    input: RenewContract.self, answer: .record("contracts", expand: ["renewals"])
  ) { run, input in
    let contract = try await LockedContract.lock(run.id(), run.tx)
    try contract.mustBe(.active)
    let earliest = max(contract.termStartsOn, contract.termEndsOn.adding(days: 1 - contract.noticeDays))
    if contract.today < earliest {
      throw Problem(
        409, "too-early", Phrase("It is too early to renew this term.", tr: "Bu dönemi yenilemek için henüz erken."),
        detail: Phrase("Renew it from \(earliest) on.", tr: "\(earliest) tarihinden itibaren yenileyin."))
    }
    try await run.tx.run(
      """
      UPDATE crm.contract SET term_number = term_number + 1, term_starts_on = renews_on, term_months = coalesce(\(input.termMonths), term_months)
       WHERE customer_id = \(contract.customerID) AND id = \(contract.id) RETURNING id
      """)
    try await run.tx.run(
      """
      UPDATE crm.opportunity o SET status = 'won' FROM crm.contract_renewal r
       WHERE r.contract_id = \(contract.id) AND r.term_number = \(contract.termNumber) AND o.customer_id = r.customer_id AND o.id = r.opportunity_id
         AND o.status = 'open' RETURNING o.id
      """)
    return .record(contract.id)
  }
}

struct CancelContract: OperationInput {
  let reason: String
  let endsOn: CalendarDate?
  init(_ fields: inout InputReader) {
    reason = fields.text("reason", "Why it is cancelled.")
    endsOn = fields.optionalDay("ends_on", "The last day it counts, within its present term; without it, today.")
  }
}

struct RenewContract: OperationInput {
  let termMonths: Int?
  init(_ fields: inout InputReader) {
    termMonths = fields.optionalInteger("term_months", "How many months the next term lasts; without it, as many as the present one.", in: 1...120)
  }
}
