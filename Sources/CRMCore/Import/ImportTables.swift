import Foundation
import PostgresClient

/// The names of an import's staging tables.
struct ImportTables: Sendable {
  /// The file's rows as text.
  let file: SQL
  /// The records worked out of them.
  let record: SQL
  /// Rows that make one record, gathered into one, when several do.
  let gathered: SQL
  /// Lines of records that exist already.
  let line: SQL
  /// Lines of new records, as they will be written and in that order.
  let newLine: SQL
  /// The keys of what the rows refer to, each with the id of its record, which may yet have to be made.
  let reference: SQL
  /// Numbers of the rows that are not taken.
  let refused: SQL

  static func names(of id: UUID) -> SQL {
    """
    SELECT crm.staging_name('file', \(id)) AS file, crm.staging_name('record', \(id)) AS record, crm.staging_name('gathered', \(id)) AS gathered,
      crm.staging_name('line', \(id)) AS line, crm.staging_name('new_line', \(id)) AS new_line, crm.staging_name('reference', \(id)) AS reference,
      crm.staging_name('refused', \(id)) AS refused
    """
  }

  /// The columns `c1`, `c2`, … of the staged file.
  static func columns(of id: UUID) -> SQL {
    """
    SELECT a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'staging' AND c.relname = crm.staging_name('file', \(id)) AND a.attnum > 1 AND NOT a.attisdropped ORDER BY a.attnum
    """
  }
}

extension ImportTables: RowDecodable {
  init(row: PostgresRow) throws {
    func table(_ part: String) throws -> SQL { "staging.\(try row.decode(Identifier.self, part))" }
    file = try table("file")
    record = try table("record")
    gathered = try table("gathered")
    line = try table("line")
    newLine = try table("new_line")
    reference = try table("reference")
    refused = try table("refused")
  }
}
