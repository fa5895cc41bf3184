import Foundation
import PostgresClient

extension ResourceAPI {
  /// `GET /v1/{resource}/{id}/history`: who changed what and when, newest first.
  func historyEndpoint(_ entity: Model.Entity) -> Endpoint {
    Endpoint(
      .get, "/v1/\(entity.name)/{id}/history", access: .read(entity.resource.area),
      documentation: .init(
        "history_of_\(entity.resource.singular)", tag: entity.name, "Changes of \(entity.resource.oneOfThem), newest first",
        parameters: [.id, .limit, .cursor], answers: [(200, "A page of changes.", "application/json", Self.changesSchema)]),
      handler: .read { request in
        let id = try request.recordID()
        let page = try ChangePage(request, signer: signer, subject: "history \(entity.name) \(id)", newestFirst: true)
        // What an import inserted is logged by customer, so the record's customer makes its history quick to find.
        let customer: SQL =
          entity.column("customer_id").map { "(SELECT r.\($0.identifier) FROM \(entity.table.sql) r WHERE r.\(entity.idColumn.identifier) = \(id))" } ?? "NULL"
        // A record that the caller may not see has no history for them either, though they once saw it; a deleted one keeps its own.
        let statement: SQL = """
          \(Self.changeColumns) FROM crm.history(\(entity.name), \(id), \(customer)) c
          WHERE NOT (c.op = 'update' AND c.before = '{}' AND c.after = '{}') AND (EXISTS (SELECT FROM \(entity.table.sql) r WHERE r.\(entity.idColumn.identifier) = \(id))
            OR EXISTS (SELECT FROM crm.change d WHERE d.row_id = \(id) AND d.relation = \(entity.name) AND d.op = 'delete'))\(page.condition)
          ORDER BY c.xid DESC, c.seq DESC LIMIT \(page.limit + 1)
          """
        return Endpoint.Read([statement], context: request.caller.context(reading: [entity.resource.area])) { [reads, model] results in
          guard results[0].count > 0 || page.isContinued else { throw Problem.notFound }
          try reads.noteChanges(results[0], rows: 0..<min(results[0].count, page.limit), model: model, caller: request.caller, request: request.id)
          return try page.answer(results[0], endCursor: false)
        }
      })
  }

  /// `GET /v1/changes`: the feed of all changes the caller may see, deletions included. It stays behind every running transaction,
  /// because a change with a smaller number may still be uncommitted: reading "everything after the last seen" would skip it for ever.
  func changesEndpoint() -> Endpoint {
    Endpoint(
      .get, "/v1/changes", access: .signedIn,
      documentation: .init(
        "list_changes", tag: "changes", "Follow all changes in commit order",
        description: """
          Without `after` the feed starts at its beginning. The answer always has a cursor: ask again with it after a while. What an import inserted comes \
          without its values, and an update whose before and after are {} tells that the record was moved to fewer readers: read it, and if it is not \
          there, it is gone for you.
          """,
        parameters: [
          .init("after", in: .query, "next_cursor of the answer before."),
          .init(
            "resource", in: .query, "Only changes of this resource.",
            schema: ["type": "string", "enum": .array(model.entities.keys.sorted().map(JSON.string))]), .limit,
        ],
        answers: [(200, "Changes, oldest first.", "application/json", Self.changesSchema)]),
      handler: .read { request in
        let page = try ChangePage(request, signer: signer, subject: "changes", newestFirst: false)
        var only: [String]?
        if let resource = request.query.first(where: { $0.name == "resource" })?.value {
          guard model[resource] != nil else {
            let nearest = nearestName(to: resource, in: model.entities.keys) ?? model.entities.keys.sorted().joined(separator: ", ")
            throw Problem.badParameter(
              "resource", Phrase("There is no such resource. Use: \(nearest).", tr: "Böyle bir kaynak yok. Şunu kullanın: \(nearest)."))
          }
          only = [resource]
        }
        let statement: SQL = """
          \(Self.changeColumns) FROM crm.changes_after(\(page.start.xid)::xid8, \(page.start.sequence)::bigint, \(page.limit + 1), \(only)) c
          ORDER BY c.xid, c.seq
          """
        return Endpoint.Read([statement], context: request.caller.context(reading: Set(Area.allCases))) { [reads, model] results in
          try reads.noteChanges(results[0], rows: 0..<min(results[0].count, page.limit), model: model, caller: request.caller, request: request.id)
          return try page.answer(results[0], endCursor: true)
        }
      })
  }

  private static let changeColumns: SQL = """
    SELECT c.at, c.relation AS resource, c.op, c.row_id AS id, c.customer_id, c.actor_id, c.request_id, c.via, c.before, c.after,
           c.xid::text AS xid, c.seq
    """

  private static let changesSchema: JSON = [
    "type": "object", "required": ["data", "next_cursor"],
    "properties": [
      "data": [
        "type": "array",
        "items": [
          "type": "object", "required": ["at", "resource", "op", "id"],
          "properties": [
            "at": ["type": "string", "format": "date-time"], "resource": ["type": "string"],
            "op": ["type": "string", "enum": ["insert", "update", "delete"]], "id": ["type": "string", "format": "uuid"],
            "customer_id": ["type": ["string", "null"]], "actor_id": ["type": ["string", "null"]], "request_id": ["type": ["string", "null"]],
            "via": ["type": "string"], "before": ["type": ["object", "null"]], "after": ["type": ["object", "null"]],
          ],
        ],
      ],
      "next_cursor": ["type": ["string", "null"]],
    ],
  ]
}

/// A page of the change log: where it starts, how long it is, and how it becomes an answer.
private struct ChangePage {
  let limit: Int
  /// Older changes than those of the page before.
  let condition: SQL
  /// The place after which the page begins, in the order of the feed.
  let start: (xid: String, sequence: String)
  let isContinued: Bool
  private let signer: CursorSigner
  private let fingerprint: [UInt8]
  private let cursor: String?
  /// The columns shown; the two after them only place the cursor.
  private static let shownColumns = 0..<10

  init(_ request: Request, signer: CursorSigner, subject: String, newestFirst: Bool) throws(Problem) {
    var limit = Query.defaultLimit
    var cursor: String?
    var parameter = "cursor"
    for (name, value) in request.query {
      switch name {
      case "limit": limit = try Query.limit(value)
      case "cursor", "after": (parameter, cursor) = (name, value)
      case "resource" where !newestFirst: continue
      default: throw .badParameter(name, Phrase("This address does not know this parameter.", tr: "Bu adres bu parametreyi tanımıyor."))
      }
    }
    self.limit = limit
    self.signer = signer
    self.cursor = cursor
    fingerprint = Array(subject.utf8)
    isContinued = cursor != nil
    guard let cursor else {
      condition = ""
      start = (xid: "0", sequence: "0")
      return
    }
    let place = try signer.open(cursor, for: fingerprint, pointer: parameter)
    guard place.count == 2, let xid = place[0], let sequence = place[1] else { throw .badCursor(parameter) }
    condition = " AND (c.xid, c.seq) < (\(xid)::xid8, \(sequence)::bigint)"
    start = (xid: xid, sequence: sequence)
  }

  /// - Parameter endCursor: whether the last page has a cursor too, to be asked again with later.
  func answer(_ result: PostgresResult, endCursor: Bool) throws -> Response {
    let shown = min(result.count, limit)
    var writer = JSONWriter(capacity: 256 + shown * 512)
    writer.beginObject()
    writer.key("data")
    writer.beginArray()
    for row in 0..<shown { writer.writeRow(result, row, columns: Self.shownColumns) }
    writer.endArray()
    writer.key("next_cursor")
    if shown > 0, endCursor || result.count > limit {
      writer.string(try signer.seal([result.text(shown - 1, 10), result.text(shown - 1, 11)], for: fingerprint))
    } else if endCursor, let cursor {
      writer.string(cursor)
    } else {
      writer.null()
    }
    writer.endObject()
    return .json(writer.bytes)
  }
}

extension Endpoint.Documentation.Parameter {
  package static let limit = Self("limit", in: .query, "Rows a page.", schema: ["type": "integer", "minimum": 1, "maximum": 1000, "default": 50])
  package static let cursor = Self("cursor", in: .query, "next_cursor of the page before.")
}
