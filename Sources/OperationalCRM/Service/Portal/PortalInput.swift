import CRMCore
import Foundation
import PostgresClient

struct PortalTicket: OperationInput {
  enum Kind: String, CaseIterable, PostgresEncodable { case question, problem, request, complaint, `return`, other }

  let id: UUID
  let subject: String
  let description: String
  let type: Kind
  let orderID: UUID?

  init(_ fields: inout InputReader) {
    id = fields.optionalID("id", "The ticket's id, so that sending it again changes nothing; made by the server when left out.") ?? UUID.v7()
    subject = fields.text("subject", "What it is about, in a few words.", maximum: 300)
    description = fields.text("description", "What happened, or what is wanted.", maximum: 20_000)
    type = fields.optionalOption("type", "What kind it is; question when left out.", of: Kind.self) ?? .question
    orderID = fields.optionalID("order_id", "The order it is about.")
  }
}

struct PortalMessage: OperationInput {
  let id: UUID
  let text: String

  init(_ fields: inout InputReader) {
    id = fields.optionalID("id", "The message's id, so that sending it again changes nothing; made by the server when left out.") ?? UUID.v7()
    text = fields.text("text", "What is written.", maximum: 20_000)
  }
}

struct PortalConsent: OperationInput {
  enum Channel: String, CaseIterable, PostgresEncodable { case email, sms, phone }
  enum Status: String, CaseIterable, PostgresEncodable { case allowed = "ONAY", refused = "RET" }

  let channel: Channel
  let address: String
  let purpose: String
  let brandID: UUID?
  let status: Status

  init(_ fields: inout InputReader) {
    channel = fields.option("channel", "By which way.", of: Channel.self, placeholder: .email)
    address = fields.text("address", "One of the customer's own addresses.", maximum: 320)
    purpose = fields.optionalText("purpose", "What for: the code of a purpose; marketing when left out.", maximum: 40) ?? "marketing"
    brandID = fields.optionalID("brand_id", "The brand; the company itself when left out.")
    status = fields.option("status", "ONAY allows, RET refuses.", of: Status.self, placeholder: .refused)
  }
}
