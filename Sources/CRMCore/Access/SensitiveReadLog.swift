import Foundation
package import Logging
import PostgresClient
import Synchronization

/// Who was shown which persons' sensitive data. An answer adds to a list in memory, and only when it has such data in it; the list is written down together, about
/// every second. What cannot be written down is not shown: while the list is full, such answers are refused.
package final class SensitiveReadLog: Sendable {
  private struct Entry: Sendable {
    let at: Date
    let user: UUID?
    let via: String
    let request: UUID
    let resource: String
    /// Names, and ids of records, joined by commas.
    let fields: String
    let ids: String
  }

  /// Entries kept while the database cannot be reached.
  private static let capacity = 20_000
  private static let batch = 1_000
  private let pending = Mutex<[Entry]>([])

  package init() {}

  /// Notes what of these rows is sensitive and has a value.
  /// - Throws: 503 when nothing more can be noted.
  func note(_ layout: RowLayout, _ result: PostgresResult, rows: Range<Int>, caller: Caller, request: UUID) throws(Problem) {
    if layout.sensitive.isEmpty { return }
    var shown: [(resource: String, fields: String, ids: String)] = []
    for mark in layout.sensitive {
      var ids: [String] = []
      for row in rows {
        guard let value = result.bytes(row, mark.column), !value.elementsEqual("[]".utf8), let id = result.text(row, mark.id) else { continue }
        ids.append(id)
      }
      if ids.isEmpty { continue }
      let list = ids.joined(separator: ",")
      if let same = shown.firstIndex(where: { $0.resource == mark.resource && $0.ids == list }) {
        shown[same].fields += ",\(mark.field)"
      } else {
        shown.append((mark.resource, mark.field, list))
      }
    }
    try add(shown, caller, request)
  }

  /// Notes the sensitive fields that have a value in the first row of a result whose columns are named as the resource's.
  /// - Parameter given: fields that the reader has just written, who is not shown them.
  /// - Throws: 503 when nothing more can be noted.
  func note(_ entity: Model.Entity, record: UUID, in result: PostgresResult, except given: Set<String> = [], caller: Caller, request: UUID) throws(Problem) {
    if entity.sensitiveFields.isEmpty || result.count == 0 { return }
    let fields = entity.sensitiveFields.filter { name in
      !given.contains(name) && result.column(named: name).map { result.bytes(0, $0) != nil } ?? false
    }
    if fields.isEmpty { return }
    try add([(entity.name, fields.joined(separator: ","), record.lowercase)], caller, request)
  }

  /// Notes the sensitive fields of changes: columns 1 (resource), 3 (id), 8 and 9 (what it was and became).
  func noteChanges(_ result: PostgresResult, rows: Range<Int>, model: Model, caller: Caller, request: UUID) throws(Problem) {
    var shown: [(resource: String, fields: String, ids: String)] = []
    for row in rows {
      guard let resource = result.text(row, 1), let fields = model[resource]?.sensitiveFields, !fields.isEmpty, let id = result.text(row, 3) else { continue }
      let text = (result.text(row, 8) ?? "") + (result.text(row, 9) ?? "")
      let told = fields.filter { text.contains("\"\($0)\": \"") }
      if !told.isEmpty { shown.append((resource, told.joined(separator: ","), id)) }
    }
    try add(shown, caller, request)
  }

  private func add(_ shown: [(resource: String, fields: String, ids: String)], _ caller: Caller, _ request: UUID) throws(Problem) {
    if shown.isEmpty { return }
    let entries = shown.map {
      Entry(at: Date(), user: caller.userID, via: caller.via, request: request, resource: $0.resource, fields: $0.fields, ids: $0.ids)
    }
    let isFull = pending.withLock { pending in
      guard pending.count + entries.count <= Self.capacity else { return true }
      pending += entries
      return false
    }
    if isFull { throw .busy }
  }

  /// Writes down what there is, until nothing is left.
  /// - Throws: what the database says; nothing is lost then.
  package func write(to database: Database) async throws {
    while true {
      let entries = pending.withLock { Array($0.prefix(Self.batch)) }
      if entries.isEmpty { return }
      try await database.transaction(as: .system("note sensitive reads")) { tx in
        try await tx.run(
          """
          SELECT crm.note_sensitive_reads(\(entries.map(\.at)),
            ARRAY(SELECT nullif(x.id, '')::uuid FROM unnest(\(entries.map { $0.user?.lowercase ?? "" })::text[]) WITH ORDINALITY AS x (id, place) ORDER BY x.place),
            \(entries.map(\.via)), \(entries.map(\.request)), \(entries.map(\.resource)), \(entries.map(\.fields)), \(entries.map(\.ids)))
          """)
      }
      pending.withLock { $0.removeFirst(entries.count) }
    }
  }

  /// Writes about every second until the task is cancelled; what came after the last time is still to be written then.
  package func run(writingTo database: Database, logger: Logger) async {
    while !Task.isCancelled {
      do {
        try await Task.sleep(for: .seconds(1))
        try await write(to: database)
      } catch is CancellationError {
        break
      } catch {
        logger.warning("who was shown sensitive data could not be written down; trying again", metadata: ["error": "\(error)"])
      }
    }
  }
}
