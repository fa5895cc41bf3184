package import CRMCore
package import Foundation
package import PostgresClient

/// An account as its adapter needs it: its row, and its secrets out of the configuration.
package struct AccountSettings: Sendable {
  package let id: UUID
  package let code: String
  package let channel: String
  package let provider: String
  package let address: String?
  /// What stands beside the address as the sender.
  package let senderName: String?
  package let isActive: Bool
  private let settings: [String: JSON]
  private let secrets: ChannelSecrets

  /// The setting or secret is missing or wrong; the account cannot be used until an administrator changes it.
  package struct Incomplete: Error, CustomStringConvertible {
    package let description: String
  }

  package static let columns: SQL = """
    a.id, a.code, a.channel, a.provider, a.address, coalesce(a.display_name, b.sender_name, b.name) AS sender_name, a.is_active, a.settings
    """

  package static func find(_ id: UUID, _ tx: PostgresTransaction, _ secrets: ChannelSecrets) async throws -> AccountSettings? {
    try await tx.first(
      Row.self, "SELECT \(columns) FROM crm.channel_account AS a LEFT JOIN crm.brand AS b ON b.id = a.brand_id WHERE a.id = \(id)"
    ).map { AccountSettings($0, secrets) }
  }

  package static func find(code: String, _ tx: PostgresTransaction, _ secrets: ChannelSecrets) async throws -> AccountSettings? {
    try await tx.first(
      Row.self, "SELECT \(columns) FROM crm.channel_account AS a LEFT JOIN crm.brand AS b ON b.id = a.brand_id WHERE a.code = \(code) AND a.is_active"
    ).map { AccountSettings($0, secrets) }
  }

  private init(_ row: Row, _ secrets: ChannelSecrets) {
    id = row.id
    code = row.code
    channel = row.channel
    provider = row.provider
    address = row.address
    senderName = row.senderName
    isActive = row.isActive
    settings = row.settings
    self.secrets = secrets
  }

  package func text(_ name: String) -> String? { settings[name]?.string }
  package func object(_ name: String) -> [String: JSON]? { settings[name]?.object }
  package func integer(_ name: String) -> Int? {
    guard case .number(let number) = settings[name] else { return nil }
    return Int(exactly: NSDecimalNumber(decimal: number).doubleValue)
  }

  package func needed(_ name: String) throws(Incomplete) -> String {
    guard let value = text(name), !value.isEmpty else { throw Incomplete(description: "the account \(code) needs \"\(name)\" in its settings") }
    return value
  }

  package func secret(_ names: String...) throws(Incomplete) -> String {
    for name in names {
      if let secret = secrets.secret(name, ofAccount: code), !secret.isEmpty { return secret }
    }
    throw Incomplete(description: "the configuration has no \"\(names[0])\" for the account \(code) (channels.secrets)")
  }

  private struct Row: RowDecodable {
    let id: UUID
    let code, channel, provider: String
    let address, senderName: String?
    let isActive: Bool
    let settings: [String: JSON]

    init(row: PostgresRow) throws {
      id = try row.decode("id")
      code = try row.decode("code")
      channel = try row.decode("channel")
      provider = try row.decode("provider")
      address = try row.decode("address")
      senderName = try row.decode("sender_name")
      isActive = try row.decode("is_active")
      settings = try JSONDecoder().decode([String: JSON].self, from: Data(try row.decode(JSONText.self, "settings").text.utf8))
    }
  }
}

extension AccountSettings {
  /// Nil when nothing is sent or fetched through this account: a telephone, or a chat that is served elsewhere.
  package func adapter(_ database: Database) throws -> (any ChannelAdapter)? {
    switch provider {
    case "smtp_imap": try MailAdapter(self)
    case "http_sms", "http_social": try HTTPMessaging(self)
    case "simulated" where ["email", "sms", "social"].contains(channel): SimulatedMessaging()
    default: nil
    }
  }
}
