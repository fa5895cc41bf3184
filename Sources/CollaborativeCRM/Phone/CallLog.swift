import CRMCore
import Foundation
import PostgresClient

extension Concept {
  /// Telephone calls: the log people keep, who is calling, and what the telephone exchange reports.
  static let phone = Concept(
    operations: [.logCall], reads: [.screenPop], endpoints: { database, model in [CallEvents(database: database, catalogue: model.catalogue).endpoint] })
}

/// How a call ended.
enum CallOutcome: String, CaseIterable, Sendable {
  case answered, missed, busy, voicemail

  /// The first words of what stands in the timeline.
  var words: String {
    switch self {
    case .answered: "Görüşüldü"
    case .missed: "Cevapsız"
    case .busy: "Meşgul"
    case .voicemail: "Sesli mesaj"
    }
  }

  func text(seconds: Int?) -> String { seconds.map { "\(words) (\($0 / 60):\($0 % 60 < 10 ? "0" : "")\($0 % 60))" } ?? words }
}

enum CallDirection: String, CaseIterable, Sendable { case `in`, out }

private struct LoggedCall: OperationInput {
  let customerID: UUID
  let contactID, conversationID, accountID: UUID?
  let direction: CallDirection
  let outcome: CallOutcome
  let number, note: String?
  let startedAt: Date
  let seconds: Int?

  init(_ fields: inout InputReader) {
    customerID = fields.id("customer_id", "The customer.")
    contactID = fields.optionalID("contact_id", "The person at the customer.")
    conversationID = fields.optionalID("conversation_id", "The conversation the call belongs to.")
    accountID = fields.optionalID("channel_account_id", "The line.")
    direction = fields.option("direction", "in: the customer called. out: the customer was called.", of: CallDirection.self, placeholder: .in)
    outcome = fields.option("outcome", "answered, missed, busy or voicemail.", of: CallOutcome.self, placeholder: .answered)
    number = fields.optionalText("number", "The customer's number.", maximum: 40)
    startedAt = fields.instant("started_at", "When it began.")
    seconds = fields.optionalInteger("seconds", "How long it lasted.", in: 0...86_400)
    note = fields.optionalText("note", "What was said.", maximum: 20_000)
    if outcome != .answered, outcome != .voicemail, seconds != nil {
      fields.refuse("seconds", code: "not-answered", Phrase("Only an answered call lasts.", tr: "Yalnızca yanıtlanan aramanın süresi olur."))
    }
  }
}

extension BusinessOperation {
  /// Notes a call that was made or taken.
  static let logCall = BusinessOperation(
    "log_call", .post, "/v1/calls", of: "interactions", access: .write(.customers), "Note a telephone call",
    description: "The call is an interaction of the kind call, or voicemail, in the customer's timeline.", input: LoggedCall.self,
    answer: .record("interactions", status: 201)
  ) { run, input in
    guard input.startedAt <= Date().addingTimeInterval(300) else {
      throw Problem.invalid([.init("/started_at", code: "future", Phrase("A call that is noted has begun.", tr: "Kaydedilen arama başlamış olmalı."))])
    }
    let id = UUID.v7()
    let text = [input.outcome.text(seconds: input.seconds), input.note].compactMap(\.self).joined(separator: "\n\n")
    let made = try await run.tx.run(
      """
      INSERT INTO crm.interaction (customer_id, id, contact_id, conversation_id, channel, direction, kind, channel_account_id, sender, recipients, body_text,
             participants, occurred_at, status, department_id)
      SELECT c.id, \(id), \(input.contactID), \(input.conversationID), 'phone', \(input.direction.rawValue),
             CASE WHEN \(input.outcome == .voicemail) THEN 'voicemail' ELSE 'call' END, \(input.accountID),
             CASE WHEN \(input.direction == .in) THEN \(input.number)::text END,
             CASE WHEN \(input.direction == .out) AND \(input.number)::text IS NOT NULL THEN ARRAY[\(input.number)::text] ELSE '{}' END, \(text),
             CASE WHEN \(run.caller.userID)::uuid IS NULL THEN '{}' ELSE ARRAY[\(run.caller.userID)::uuid] END, \(input.startedAt),
             CASE WHEN \(input.direction == .in) THEN 'received' ELSE 'sent' END, coalesce(\(run.caller.departmentID)::uuid, c.department_id)
        FROM crm.customer AS c WHERE c.id = \(input.customerID)
      """)
    guard made == 1 else {
      throw Problem.invalid([
        .init("/customer_id", code: "not-found", Phrase("There is no such customer, or you may not see it.", tr: "Böyle bir müşteri yok ya da göremezsiniz."))
      ])
    }
    return .record(id)
  }
}
