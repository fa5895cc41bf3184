import CRMCore
import Foundation
import PostgresClient

enum SegmentKind: String, CaseIterable {
  case dynamic
  case fixed = "static"
}

struct NewSegment: OperationInput {
  let code: String
  let name: String
  let note: String?
  let kind: SegmentKind
  let definition: JSON?
  let currency: String?

  init(_ fields: inout InputReader) {
    code = fields.text("code", "Stable name, unique: small letters, digits and underscores. Price books and campaigns call the segment by it.", maximum: 63)
    name = fields.text("name", "Name as people say it.", maximum: 200)
    note = fields.optionalText("note", "What colleagues should know.")
    kind =
      fields.optionalOption(
        "kind", "dynamic: membership follows the definition. static: members are chosen, or found once by the definition.", of: SegmentKind.self) ?? .dynamic
    definition = fields.optionalObject("definition", SegmentDefinition.meaning)
    currency = fields.optionalText("currency", "Currency of the amounts in the definition; without it, the only one among the latest purchases.", maximum: 3)
    if kind == .dynamic, definition == nil {
      fields.refuse("definition", code: "required", Phrase("A dynamic segment needs a definition.", tr: "Dinamik bir segmentin tanımı olmalıdır."))
    }
  }
}

struct SegmentChange: OperationInput {
  let name: String?
  let note: String?
  let definition: JSON?
  let currency: String?
  let active: Bool?

  init(_ fields: inout InputReader) {
    name = fields.optionalText("name", "Name as people say it.", maximum: 200)
    note = fields.optionalText("note", "What colleagues should know.")
    definition = fields.optionalObject("definition", SegmentDefinition.meaning)
    currency = fields.optionalText("currency", "Currency of the amounts in the definition.", maximum: 3)
    active = fields.optionalFlag("active", "Whether it is used; one that is not loses its members and is not kept up.")
  }
}

extension SegmentDefinition {
  static let meaning = """
    Who is in, in the filter language of query, over customers and their relations: {"and": [{"kind": "organisation"}, {"addresses.city": "İzmir"}, {"profile.region": "Ege"}, {"custom.colour": ["red"]}]}, \
    with and, or, not; beside fields also {"tier": "gold"}, {"p_alive": {"lt": 0.4}} and other outputs of models (standing, lifetime, rfm, phase, offer and a column), \
    {"metric": "revenue", "window_days": 90, "op": "gte", "value": "1000"} (a metric of \
    the catalogue of value models, also the code of an observation kind), and {"events": "orders", "window_days": 30, "where": {"channel": "online"}, "op": "gte", "value": 2} over any resource of customers.
    """
  /// The areas in which a definition is evaluated, whoever wrote it: a segment is the same for everybody.
  static let reach: Set<Area> = [.customers, .products, .sales, .marketing, .service, .finance, .purchasing]
}

extension BusinessOperation {
  static let createSegment = BusinessOperation(
    "create_segment", .post, "/v1/segments", of: "segments", access: .write(.analytics), "Create a segment",
    description: "A definition that is quick to evaluate has its members at once, another one as soon as a worker has been by (evaluated_at).",
    input: NewSegment.self, answer: .record("segments", status: 201), extending: SegmentDefinition.reach
  ) { run, input in
    let definition: SegmentDefinition? =
      if let json = input.definition {
        try await .check(json, currency: input.currency, author: run.asker, run.compiler, in: run.tx)
      } else {
        nil
      }
    let id = try await run.tx.value(
      UUID.self,
      """
      INSERT INTO crm.segment (code, name, note, kind, definition, currency)
      VALUES (\(input.code), \(input.name), \(input.note), \(input.kind.rawValue), \(try input.definition.map { try $0.stored }), \(definition?.currency ?? input.currency)) RETURNING id
      """)
    if let definition { try await run.evaluate(id, definition) }
    return .record(id)
  }

  static let changeSegment = BusinessOperation(
    "change_segment", .patch, "/v1/segments/{id}", of: "segments", access: .write(.analytics), "Change a segment",
    description: "A new definition is evaluated as for a new segment. The code stays, because price books and campaigns call the segment by it.",
    input: SegmentChange.self, answer: .record("segments"), extending: SegmentDefinition.reach
  ) { run, input in
    let id = try run.id()
    let now = try await run.lockedSegment(id)
    let json = input.definition ?? now.definition
    let isRedefined = input.definition != nil || input.currency != nil || input.active == true && !now.isActive
    let definition: SegmentDefinition? =
      if isRedefined, let json {
        try await .check(json, currency: input.currency ?? now.currency, author: run.asker, run.compiler, in: run.tx)
      } else {
        nil
      }
    try await run.tx.run(
      """
      UPDATE crm.segment SET name = coalesce(\(input.name), name), note = coalesce(\(input.note), note), definition = coalesce(\(try input.definition.map { try $0.stored }), definition),
             currency = coalesce(\(definition?.currency ?? input.currency), currency), active = coalesce(\(input.active), active) WHERE id = \(id)
      """)
    if input.active == false { try await SegmentMembership.dissolve(id, reason: "defined", in: run.tx) }
    if let definition, input.active ?? now.isActive { try await run.evaluate(id, definition) }
    return .record(id)
  }

  static let deleteSegment = BusinessOperation(
    "delete_segment", .delete, "/v1/segments/{id}", of: "segments", access: .write(.analytics), "Delete a segment that nothing uses",
    description: "With its memberships. One that price books or others use is refused; see its dependents.", input: NoInput.self, answer: .empty,
    extending: SegmentDefinition.reach
  ) { run, _ in
    let id = try run.id()
    _ = try await run.lockedSegment(id)
    let users = try await run.tx.result("SELECT d.resource, d.name FROM crm.segment_dependents(\(id)) d ORDER BY 1, 2 LIMIT 10")
    guard users.count == 0 else {
      let list = try users.rows.map { try [$0.decode(String.self, "resource"), $0.decode(String?.self, "name")].compactMap { $0 }.joined(separator: " ") }
        .joined(separator: ", ")
      throw Problem(
        409, "segment-in-use", Phrase("The segment is still used.", tr: "Segment hâlâ kullanılıyor."),
        detail: Phrase("It is used by: \(list).", tr: "Şunlar kullanıyor: \(list)."))
    }
    try await run.tx.run("DELETE FROM crm.segment WHERE id = \(id)")
    return .empty
  }

  static let refreshSegment = BusinessOperation(
    "refresh_segment", .post, "/v1/segments/{id}/refresh", of: "segments", access: .write(.analytics), "Evaluate a segment anew",
    description: "For everybody. Dynamic segments follow changes by themselves and time once a day; a static one is found anew by its definition.",
    input: NoInput.self, answer: .record("segments"), extending: SegmentDefinition.reach
  ) { run, _ in
    let id = try run.id()
    let now = try await run.lockedSegment(id)
    guard let json = now.definition else {
      throw Problem(
        409, "segment-without-definition",
        Phrase("Its members were chosen; there is nothing to evaluate.", tr: "Üyeleri elle seçilmiş; değerlendirilecek bir tanımı yok."))
    }
    try await run.evaluate(id, .check(json, currency: now.currency, author: run.asker, run.compiler, in: run.tx), reason: "refreshed")
    return .record(id)
  }
}

/// What an operation has to know of the segment it changes.
struct SegmentState: RowDecodable {
  let kind: SegmentKind
  let definition: JSON?
  let currency: String?
  let isActive: Bool

  init(row: PostgresRow) throws {
    kind = SegmentKind(rawValue: try row.decode("kind")) ?? .dynamic
    definition = try row.decode(JSONText?.self, "definition").map { try JSONDecoder().decode(JSON.self, from: Data($0.text.utf8)) }
    currency = try row.decode("currency")
    isActive = try row.decode("active")
  }
}

extension BusinessOperation.Run {
  func lockedSegment(_ id: UUID) async throws -> SegmentState {
    guard let state = try await tx.first(SegmentState.self, "SELECT kind, definition, currency, active FROM crm.segment WHERE id = \(id) FOR UPDATE") else {
      throw Problem.notFound
    }
    return state
  }

  /// Finds the members now if that is quick, or leaves it to a worker.
  fileprivate func evaluate(_ id: UUID, _ definition: SegmentDefinition, reason: String = "defined") async throws {
    if definition.cost <= SegmentDefinition.quickCost {
      try await SegmentMembership.refresh(id, reason: reason, compiler, in: tx)
    } else {
      try await JobQueue.enqueue(JobHandler.refreshSegments, payload: ["segment_id": .string(id.lowercase), "reason": .string(reason)], in: tx)
    }
  }
}
