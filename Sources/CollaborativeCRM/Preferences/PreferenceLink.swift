import CRMCore
import Foundation
import PostgresClient

private struct LinkRequest: OperationInput {
  let channel: SendingChannel
  let address: String
  let contactID, brandID: UUID?

  init(_ fields: inout InputReader) {
    channel = fields.option("channel", "The channel of the address.", of: SendingChannel.self, placeholder: .email)
    address = fields.text("address", "The address whose preferences the link opens.", maximum: 320)
    contactID = fields.optionalID("contact_id", "The contact whose address it is.")
    brandID = fields.optionalID("brand_id", "The brand; the company itself when not given.")
  }
}

extension BusinessOperation {
  /// Makes a link to the preference centre, to be sent to its address.
  static let makePreferenceLink = BusinessOperation(
    "make_preference_link", .post, "/v1/customers/{id}/preference_link", of: "customers", access: .write(.customers),
    "Make a link to the preferences of a customer's address",
    description: "Whoever has it can allow and refuse messages to this address for 90 days: send it there and nowhere else. It is shown once.",
    input: LinkRequest.self,
    answer: .json(
      ["type": "object", "required": ["path", "expires_at"], "properties": ["path": AnswerField.text, "expires_at": AnswerField.instant]], status: 201),
    extending: [.admin]
  ) { run, input in
    let customer = try run.id()
    guard try await run.tx.result("SELECT 1 FROM crm.customer AS c WHERE c.id = \(customer)").count == 1 else { throw Problem.notFound }
    let known = try await run.tx.result(
      """
      SELECT 1 FROM crm.contact_point p WHERE p.customer_id = \(customer)
         AND crm.normal_address(\(input.channel.rawValue), p.value) = crm.normal_address(\(input.channel.rawValue), \(input.address))
      """)
    guard known.count > 0 else {
      throw Problem.invalid([.init("/address", code: "not-found", Phrase("This customer has no such address.", tr: "Müşterinin böyle bir adresi yok."))])
    }
    let link = LinkToken()
    let made = try await run.tx.result(
      """
      INSERT INTO crm.preference_link (kind, token_hash, customer_id, contact_id, channel, address, brand_id, expires_at)
      VALUES ('preferences', \(link.hash), \(customer), \(input.contactID), \(input.channel.rawValue),
              crm.normal_address(\(input.channel.rawValue), \(input.address)), \(input.brandID), crm.consent_clock() + interval '90 days')
      RETURNING expires_at
      """)
    return .json(["path": .string("/p/\(link.token)"), "expires_at": .string(try made[0].decode(Date.self, "expires_at").formatted(.iso8601))])
  }
}
