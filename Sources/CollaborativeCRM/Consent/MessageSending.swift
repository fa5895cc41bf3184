import CRMCore
import Foundation
import PostgresClient

/// The legal class of a message (Law 6563): whether it needs consent.
package enum LegalClass: String, CaseIterable, Sendable { case commercial, transactional }

/// A channel on which something is sent, and for which consent is given.
package enum SendingChannel: String, CaseIterable, Sendable { case email, sms, phone, social, chat, letter, web }

private struct NewMessage: OperationInput {
  let customerID: UUID
  let contactID, brandID, accountID: UUID?
  let channel: SendingChannel?
  let address, subject, html, purpose: String?
  let legalClass: LegalClass
  let text: String
  let notBefore: Date?

  init(_ fields: inout InputReader) {
    customerID = fields.id("customer_id", "The customer.")
    contactID = fields.optionalID("contact_id", "The person at the customer.")
    channel = fields.optionalOption("channel", "By which way; the preferred one, or else email, when not given.", of: SendingChannel.self)
    address = fields.optionalText("address", "Where to; the first known address of the channel when not given.", maximum: 320)
    legalClass = fields.option("legal_class", "commercial needs consent; transactional is what the law exempts.", of: LegalClass.self, placeholder: .commercial)
    purpose = fields.optionalText("purpose", "What a commercial message is for: the code of a purpose; marketing when not given.", maximum: 40)
    brandID = fields.optionalID("brand_id", "The brand that speaks; the account's when not given.")
    accountID = fields.optionalID("channel_account_id", "The account to send from; the department's when not given.")
    subject = fields.optionalText("subject", "The subject.", maximum: 998)
    text = fields.text("body_text", "The text.", maximum: 100_000)
    html = fields.optionalText("body_html", "The text as HTML.", maximum: 500_000)
    notBefore = fields.optionalInstant("not_before", "Not to be sent earlier.")
  }
}

extension BusinessOperation {
  /// Queues a message to a customer, if the gate lets it through.
  static let sendMessage = BusinessOperation(
    "send_message", .post, "/v1/outbound_messages", of: "outbound_messages", access: .write(.customers), "Send a message to a customer",
    description:
      "What may not be sent is not queued: the answer then has the state refused and the reason, as the refusal kept in message_refusals has it. Quiet hours move not_before.",
    input: NewMessage.self,
    answer: .json([
      "type": "object", "required": ["id", "state", "channel", "address"],
      "properties": [
        "id": AnswerField.id, "state": ["type": "string", "enum": ["queued", "refused"]], "reason": AnswerField.text, "channel": AnswerField.text,
        "address": AnswerField.text, "not_before": AnswerField.instant,
      ],
    ])
  ) { run, input in
    guard try await run.tx.result("SELECT 1 FROM crm.customer AS c WHERE c.id = \(input.customerID)").count == 1 else {
      throw Problem.invalid([
        .init("/customer_id", code: "not-found", Phrase("There is no such customer, or you may not see it.", tr: "Böyle bir müşteri yok ya da göremezsiniz."))
      ])
    }
    let way = try await run.tx.first(
      Destination.self,
      """
      SELECT w.channel, coalesce(\(input.address)::text, (
               SELECT p.value FROM crm.contact_point p
                WHERE p.customer_id = \(input.customerID) AND (p.contact_id = \(input.contactID) OR \(input.contactID)::uuid IS NULL OR p.contact_id IS NULL)
                  AND p.kind = CASE WHEN w.channel IN ('sms', 'phone') THEN 'phone' WHEN w.channel = 'social' THEN 'whatsapp' ELSE w.channel END
                ORDER BY p.contact_id IS NOT DISTINCT FROM \(input.contactID)::uuid DESC, p.is_primary DESC, p.id LIMIT 1)) AS address
        FROM (SELECT coalesce(\(input.channel?.rawValue)::text, crm.preferred_channel(\(input.customerID), \(input.contactID)), 'email') AS channel) AS w
      """)
    if input.legalClass == .transactional, let purpose = input.purpose {
      let commercial = try await run.tx.result("SELECT 1 FROM crm.consent_purpose p WHERE p.code = \(purpose) AND p.is_commercial")
      guard commercial.count == 0 else {
        throw Problem.invalid([
          .init(
            "/legal_class", code: "value",
            Phrase("What is sent for a commercial purpose is commercial.", tr: "Ticari bir amaçla gönderilen ileti ticari iletidir."))
        ])
      }
    }
    guard let way, let address = way.address else {
      throw Problem.invalid([
        .init(
          "/address", code: "required", Phrase("No address of this channel is known; give one.", tr: "Bu kanala ait bir adres bilinmiyor; bir adres verin."))
      ])
    }
    let id = UUID.v7()
    let stored = try await run.tx.result(
      """
      INSERT INTO crm.outbound_message (customer_id, id, contact_id, channel, channel_account_id, brand_id, address, legal_class, purpose, subject, body_text,
             body_html, not_before, department_id, owner_id)
      SELECT c.id, \(id), \(input.contactID), \(way.channel), \(input.accountID), \(input.brandID), \(address), \(input.legalClass.rawValue),
             coalesce(\(input.purpose)::text, 'marketing'), \(input.subject), \(input.text), \(input.html), coalesce(\(input.notBefore)::timestamptz, now()),
             coalesce(\(run.caller.departmentID)::uuid, c.department_id), \(run.caller.userID)
        FROM crm.customer c WHERE c.id = \(input.customerID)
      RETURNING address, not_before
      """)
    var answer: [String: JSON] = ["id": .string(id.lowercase), "channel": .string(way.channel)]
    if let row = stored.rows.first {
      answer["state"] = "queued"
      answer["address"] = .string(try row.decode("address"))
      answer["not_before"] = .string(try row.decode(Date.self, "not_before").formatted(.iso8601))
    } else {
      let refusal = try await run.tx.result("SELECT r.reason, r.address FROM crm.message_refusal r WHERE r.message_id = \(id)")
      answer["state"] = "refused"
      answer["reason"] = .string(try refusal[0].decode("reason"))
      answer["address"] = .string(try refusal[0].decode("address"))
    }
    return .json(.object(answer))
  }
}

private struct Destination: RowDecodable {
  let channel: String
  let address: String?

  init(row: PostgresRow) throws {
    channel = try row.decode("channel")
    address = try row.decode("address")
  }
}
