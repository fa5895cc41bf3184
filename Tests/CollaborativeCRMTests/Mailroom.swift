import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

/// A mailbox of the demo company's service, and mail that arrives in it.
struct Mailroom {
  let api: TestAPI
  let account: UUID

  /// What came of a message.
  struct Received: RowDecodable {
    let customer: UUID
    let conversation: UUID
    let interaction: UUID
    let isNew: Bool
    init(row: PostgresRow) throws {
      customer = try row.decode(UUID.self, "customer_id")
      conversation = try row.decode(UUID.self, "conversation_id")
      interaction = try row.decode(UUID.self, "interaction_id")
      isNew = try row.decode(Bool.self, "is_new")
    }
  }

  static func open(
    _ api: TestAPI, department: String = "service", channel: String = "email", settings: JSON = [:], owner: String? = nil
  ) async throws -> Mailroom {
    let id = UUID.v7()
    let provider = ["email": "smtp_imap", "form": "form", "sms": "http_sms"][channel] ?? "manual"
    var values = settings.object ?? [:]
    if let owner, let user = try await api.caller(owner).userID { values["owner_id"] = .string(user.lowercase) }
    let text = JSONText(String(decoding: try JSON.object(values).encoded(), as: UTF8.self))
    try await api.behind(
      """
      INSERT INTO crm.channel_account (id, code, name, channel, provider, address, department_id, settings)
      SELECT \(id), \("box_" + id.lowercase.replacing("-", with: "")), 'Posta', \(channel), \(provider), \("box-\(id.lowercase)@carsi.example"), d.id, \(text)::jsonb
        FROM crm.department AS d WHERE d.code = \(department)
      """)
    return Mailroom(api: api, account: id)
  }

  var address: String { "box-\(account.lowercase)@carsi.example" }

  @discardableResult
  func receive(
    from sender: String, name: String? = nil, subject: String? = "Merhaba", text: String = "Siparişim nerede?", id: String? = UUID().uuidString,
    answering: [String] = [], to recipients: [String]? = nil, at instant: Date = Date(), kind: String = "message",
    replyTo: String? = nil
  ) async throws -> Received {
    let account = account
    let recipients = recipients ?? [address]
    return try await Database(pool: api.database.worker).transaction(as: .system("test")) { tx in
      try await tx.one(
        Received.self,
        """
        SELECT r.customer_id, r.conversation_id, r.interaction_id, r.is_new FROM crm.receive_interaction(\(account), \(id), \(answering.last), \(answering), \(sender),
          \(name), \(recipients), \(subject), \(text), NULL, \(instant), \(kind), \(replyTo)) AS r
        """)
    }
  }

  /// A known customer with an e-mail address, of the company's sales.
  static func customer(_ api: TestAPI, _ name: String, email: String, department: String = "sales") async throws -> UUID {
    let id = UUID.v7()
    try await api.behind(
      "INSERT INTO crm.customer (id, kind, name, department_id) SELECT \(id), 'person', \(name), d.id FROM crm.department AS d WHERE d.code = \(department)")
    try await api.behind(
      "INSERT INTO crm.contact (customer_id, name, department_id) SELECT c.id, c.name, c.department_id FROM crm.customer AS c WHERE c.id = \(id)")
    try await api.behind(
      """
      INSERT INTO crm.contact_point (customer_id, contact_id, kind, value, department_id)
      SELECT k.customer_id, k.id, 'email', \(email), k.department_id FROM crm.contact AS k WHERE k.customer_id = \(id)
      """)
    return id
  }
}
