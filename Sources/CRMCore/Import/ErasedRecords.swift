import PostgresClient

/// Whoever was erased at their own request is not brought back by a file: the keyed hashes of what they were known by tell.
extension ImportCheck {
  static let erased = Phrase(
    "This is of a person who was erased at their own request and is not entered again.",
    tr: "Bu, kendi talebiyle silinen bir kişiye ait; yeniden kaydedilmez.")

  /// Refuses new records known by a key, a number or an address of somebody who was erased.
  /// - Parameter given: the columns that the import sets.
  mutating func refuseErased(_ given: [String]) async throws {
    try await tx.run("SELECT crm.check_erased_records(\(plan.id), \(plan.record.entity.table.name)::regclass, \(given)::text[])")
    guard let system = plan.system else { return }
    try await refuse(
      code: "erased", column: nil, value: "NULL::text", Self.erased,
      """
      FROM \(tables.record) f WHERE f.action = 'new'
        AND crm.is_erased('external', concat_ws(':', \(plan.record.entity.name)::text, \(system)::text, f.key))
      """)
  }
}
