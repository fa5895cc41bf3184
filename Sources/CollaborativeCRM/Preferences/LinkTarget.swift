import CRMCore
import Foundation
import PostgresClient

/// Whom a public link is about: an address, the brand whose messages come there, and who is behind it.
struct LinkTarget: RowDecodable {
  let customerID, contactID, brandID: UUID?
  let channel, address, purpose, recipientType: String
  let brandName: String?
  let language: Language

  /// Whoever has the link acts through the system: nobody is signed in, and the link opens this address alone.
  static let caller = Caller.system("preferences of an address")

  init(row: PostgresRow) throws {
    customerID = try row.decode("customer_id")
    contactID = try row.decode("contact_id")
    brandID = try row.decode("brand_id")
    channel = try row.decode("channel")
    address = try row.decode("address")
    purpose = try row.decode("purpose")
    recipientType = try row.decode("recipient_type")
    brandName = try row.decode("brand_name")
    language = Language(rawValue: try row.decode("locale")) ?? .turkish
  }

  static func statement(_ token: String) -> SQL {
    """
    SELECT t.customer_id, t.contact_id, t.brand_id, t.channel, t.address, t.purpose, t.recipient_type, b.name AS brand_name, t.locale
      FROM crm.link_target(\(token)) t LEFT JOIN crm.brand b ON b.id = t.brand_id WHERE t.address IS NOT NULL
    """
  }

  /// The channels on which the address can be reached.
  var channels: [String] { channel == "sms" || channel == "phone" ? ["sms", "phone"] : [channel] }

  /// Enough of the address for its owner to know it, and for nobody else.
  var maskedAddress: String {
    guard channel == "email", let at = address.lastIndex(of: "@") else { return "•••• " + address.suffix(4) }
    return address.prefix(1) + "•••" + address[at...]
  }
}

/// What a browser or a mail program leaves as evidence.
struct Trace {
  let remoteAddress, userAgent: String?

  init(_ request: Request) {
    remoteAddress = request.remoteAddress.map { String($0.prefix(100)) }
    userAgent = (request.headers["user-agent"]?.prefix(500)).map(String.init)
  }
}

extension LinkTarget {
  /// Adds what was said, unless it stands so already.
  /// Whoever allows something from here asks for it: that lifts what suppressed the address.
  /// - Returns: whether anything was added.
  func say(_ status: ConsentStatus, channel: String, purpose: String, textVersion: String?, _ trace: Trace, _ tx: PostgresTransaction) async throws -> Bool {
    if status == .granted {
      try await tx.run(
        "SELECT crm.lift_suppressions(\(channel), \(address), \(brandID), 'preference page') FROM crm.consent_purpose u WHERE u.code = \(purpose) AND u.is_commercial"
      )
    }
    return try await tx.run(
      """
      INSERT INTO crm.consent_event (customer_id, contact_id, channel, address, recipient_type, brand_id, purpose, status, source, text_version, remote_address, user_agent)
      SELECT \(customerID), \(contactID), \(channel), \(address), kind.recipient_type, \(brandID), \(purpose), \(status.rawValue), 'HS_WEB', \(textVersion),
             \(trace.remoteAddress), \(trace.userAgent)
        FROM (SELECT \(recipientType) AS recipient_type
              UNION SELECT s.recipient_type FROM crm.consent_states(crm.address_token(\(channel), \(address)), \(channel), \(purpose), \(brandID), crm.consent_clock(), \(customerID), \(contactID)) s
              WHERE \(status == .granted) AND s.status = 'RET') AS kind
       WHERE NOT EXISTS (
         SELECT FROM crm.consent_states(crm.address_token(\(channel), \(address)), \(channel), \(purpose), \(brandID), crm.consent_clock(), \(customerID), \(contactID)) s
          WHERE s.recipient_type = kind.recipient_type AND s.status = \(status.rawValue))
      """) > 0
  }
}

/// In the registry's words.
enum ConsentStatus: String {
  case granted = "ONAY"
  case refused = "RET"
}
