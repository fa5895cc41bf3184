import CRMCore
import Foundation
import PostgresClient

/// Why somebody puts an address on the suppression list; erasure does it by itself.
private enum SuppressionReason: String, CaseIterable { case unsubscribed, complaint, hardBounce = "hard_bounce", objection, manual }
private enum SuppressionScope: String, CaseIterable { case commercial, all }

private struct SuppressedAddress: OperationInput {
  let channel: SendingChannel
  let address: String
  let reason: SuppressionReason
  let scope: SuppressionScope
  let brandID: UUID?
  let isForEveryChannel: Bool
  let note: String?

  init(_ fields: inout InputReader) {
    channel = fields.option("channel", "The channel of the address.", of: SendingChannel.self, placeholder: .email)
    address = fields.text("address", "The address; only its keyed hash is kept.", maximum: 320)
    reason = fields.option("reason", "Why.", of: SuppressionReason.self, placeholder: .manual)
    scope =
      fields.optionalOption("scope", "commercial, or all for transactional messages too; commercial when not given.", of: SuppressionScope.self) ?? .commercial
    brandID = fields.optionalID("brand_id", "The brand that may not write; all when not given.")
    isForEveryChannel = fields.flag("all_channels", "Whether it holds for every channel of the address, as sms and phone of a number.", default: true)
    note = fields.optionalText("note", "Anything else to know; no names.", maximum: 500)
  }
}

private struct Lifting: OperationInput {
  let reason: String

  init(_ fields: inout InputReader) { reason = fields.text("reason", "Why it is lifted.", maximum: 500) }
}

extension BusinessOperation {
  /// Puts an address on the suppression list.
  static let suppressAddress = BusinessOperation(
    "suppress_address", .post, "/v1/suppressions", of: "suppressions", access: .write(.customers), "Keep messages from an address, whatever was consented",
    input: SuppressedAddress.self, answer: .record("suppressions", status: 201)
  ) { run, input in
    let id = try await run.tx.value(
      UUID?.self,
      """
      SELECT crm.suppress(\(input.channel.rawValue), \(input.address), \(input.reason.rawValue), \(input.scope.rawValue), \(input.brandID), \(input.isForEveryChannel),
             \(input.note))
      """)
    guard let id else {
      throw Problem.invalid([.init("/address", code: "value", Phrase("This is not an address of this channel.", tr: "Bu kanala ait bir adres değil."))])
    }
    return .record(id)
  }

  /// Lets messages through to an address again.
  static let liftSuppression = BusinessOperation(
    "lift_suppression", .post, "/v1/suppressions/{id}/lift", of: "suppressions", access: .write(.customers), "Lift a suppression",
    description:
      "The entry stays, with its end and why it ended. Consent is needed as ever. What an erasure suppressed is lifted by the person alone, by double opt-in.",
    input: Lifting.self, answer: .record("suppressions")
  ) { run, input in
    let id = try run.id()
    let lifted = try await run.tx.run(
      """
      UPDATE crm.suppression SET lifted_at = greatest(crm.consent_clock(), suppressed_at), lifted_reason = \(input.reason)
       WHERE id = \(id) AND lifted_at IS NULL AND reason <> 'erased'
      """)
    if lifted == 0 {
      guard let row = try await run.tx.result("SELECT s.reason FROM crm.suppression s WHERE s.id = \(id)").rows.first else { throw Problem.notFound }
      throw try row.decode(String.self, "reason") == "erased"
        ? Problem(
          409, "erased",
          Phrase(
            "This person was erased; only they can be written to again, after they ask for it.",
            tr: "Bu kişi silindi; ancak kendisi isterse yeniden yazılabilir."))
        : Problem(409, "already-lifted", Phrase("It was lifted already.", tr: "Zaten kaldırılmış."))
    }
    return .record(id)
  }
}
