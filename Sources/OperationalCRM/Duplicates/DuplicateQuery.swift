import Foundation
import PostgresClient

/// What somebody is known by, to find records that may mean the same.
package struct DuplicateQuery: Sendable {
  package enum Kind: String, Sendable, CaseIterable {
    case customers, contacts, leads
  }

  var name: String?
  var companyName: String?
  var taxNumber: String?
  var emails: [String] = []
  /// As people write them.
  var phones: [String] = []
  /// A namesake at this customer weighs more than one elsewhere.
  var customerID: UUID?

  /// The most likely records that the caller may read, best first, in the columns of `DuplicateCandidate`.
  func statement(among kinds: Set<Kind>, limit: Int = 10) -> SQL {
    let parts: [SQL] = Kind.allCases.filter(kinds.contains).map { kind in
      switch kind {
      case .customers:
        "SELECT 'customers' AS resource, d.id, d.customer_id, d.name, d.score, d.rules, d.similarity FROM crm.customer_duplicates(\(companyName ?? name), \(taxNumber), \(emails), \(phones), NULL, \(limit)) AS d"
      case .contacts:
        "SELECT 'contacts' AS resource, d.id, d.customer_id, d.name, d.score, d.rules, d.similarity FROM crm.contact_duplicates(\(name), \(emails), \(phones), \(customerID), NULL, \(limit)) AS d"
      case .leads:
        "SELECT 'leads' AS resource, d.id, d.customer_id, d.name, d.score, d.rules, d.similarity FROM crm.lead_duplicates(\(companyName ?? name), \(taxNumber), \(emails), \(phones), NULL, \(limit)) AS d"
      }
    }
    return
      "SELECT f.resource, f.id, f.customer_id, f.name, f.score, f.rules, f.similarity FROM (\(parts.joined(separator: " UNION ALL "))) AS f ORDER BY f.score DESC, f.id LIMIT \(limit)"
  }

  /// Those that may mean the same as an existing record.
  static func statement(like kind: Kind, _ id: UUID, limit: Int) -> SQL {
    switch kind {
    case .customers:
      """
      SELECT 'customers' AS resource, d.id, d.customer_id, d.name, d.score, d.rules, d.similarity
        FROM crm.customer AS c
        CROSS JOIN LATERAL crm.customer_duplicates(c.name, c.tax_number,
          ARRAY(SELECT p.value FROM crm.contact_point AS p WHERE p.customer_id = c.id AND p.kind = 'email'),
          ARRAY(SELECT p.value FROM crm.contact_point AS p WHERE p.customer_id = c.id AND p.kind = 'phone'), c.id, \(limit)) AS d
       WHERE c.id = \(id)
      """
    case .contacts:
      """
      SELECT 'contacts' AS resource, d.id, d.customer_id, d.name, d.score, d.rules, d.similarity
        FROM crm.contact AS c
        CROSS JOIN LATERAL crm.contact_duplicates(c.name,
          ARRAY(SELECT p.value FROM crm.contact_point AS p WHERE p.customer_id = c.customer_id AND p.contact_id = c.id AND p.kind = 'email'),
          ARRAY(SELECT p.value FROM crm.contact_point AS p WHERE p.customer_id = c.customer_id AND p.contact_id = c.id AND p.kind = 'phone'),
          c.customer_id, c.id, \(limit)) AS d
       WHERE c.id = \(id)
      """
    case .leads:
      """
      SELECT 'leads' AS resource, d.id, d.customer_id, d.name, d.score, d.rules, d.similarity
        FROM crm.lead AS l
        CROSS JOIN LATERAL crm.lead_duplicates(coalesce(l.company_name, l.name), l.tax_number, ARRAY[l.email], ARRAY[l.phone], l.id, \(limit)) AS d
       WHERE l.id = \(id)
      """
    }
  }

  /// One row if the caller may read the record.
  static func presence(of kind: Kind, _ id: UUID) -> SQL {
    switch kind {
    case .customers: "SELECT 1 FROM crm.customer AS r WHERE r.id = \(id)"
    case .contacts: "SELECT 1 FROM crm.contact AS r WHERE r.id = \(id)"
    case .leads: "SELECT 1 FROM crm.lead AS r WHERE r.id = \(id)"
    }
  }
}
