import Crypto
package import Foundation

/// The random division of a campaign's customers. It is fixed by who the customer and the campaign are, so it can be checked by anybody at any time;
/// the functions `crm.campaign_bucket` and `crm.campaign_arm` give the same.
package enum HoldOut {
  /// A number from 0 to 99; customers whose number is below the campaign's hold-out percent are held out.
  package static func bucket(customer: UUID, campaign: UUID) -> Int { Int(hash(customer, campaign, "") % 100) }

  /// Which of so many arms a customer is in who is not held out, from 0.
  package static func arm(customer: UUID, campaign: UUID, of arms: Int) -> Int { Int(hash(customer, campaign, ":arm") % UInt64(max(arms, 1))) }

  /// The first 60 bits of SHA-256 of both ids, as PostgreSQL writes them.
  private static func hash(_ customer: UUID, _ campaign: UUID, _ purpose: String) -> UInt64 {
    let text = "\(customer.uuidString.lowercased()):\(campaign.uuidString.lowercased())\(purpose)"
    return SHA256.hash(data: Data(text.utf8)).prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) } >> 4
  }
}
