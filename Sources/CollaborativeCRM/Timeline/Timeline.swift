import CRMCore
import Foundation
import PostgresClient

extension Concept {
  /// Everything that happened with a customer, in one list.
  static let timeline = Concept(lists: { [.timeline($0)] })
}

/// A page of a customer's timeline: newest first, of any kinds, each row under its own table's policies.
struct Timeline {
  let customer: UUID
  let limit: Int
  private let kinds: [TimelineKind]
  private let channels: [String]?
  private let from: Date?
  private let until: Date?
  /// Where the page before ended: instant and id, as PostgreSQL wrote them.
  private let after: (at: String, id: String)?

  private static let fingerprint = Array("timeline".utf8)

  init(_ request: Request, signer: CursorSigner) throws(Problem) {
    guard let customer = request.parameters["id"].flatMap(UUID.init(uuidString:)) else { throw .notFound }
    self.customer = customer
    let filter = try InputReader.read(TimelineFilter.self, from: request.query)
    limit = filter.limit
    kinds = filter.kinds.filter { request.caller.reads($0.area) && (filter.channels == nil || $0.source(of: customer).channel != nil) }
    channels = filter.channels
    from = filter.from
    until = filter.until
    guard let cursor = filter.cursor else {
      after = nil
      return
    }
    let place = try signer.open(cursor, for: Self.fingerprint + Array(customer.lowercase.utf8))
    guard place.count == 2, let at = place[0], let id = place[1] else { throw .badCursor() }
    after = (at, id)
  }

  /// One page and one row more, to know whether there is a next one. Every kind gives at most that many, from an index, so that a long history costs no
  /// more than a short one.
  var statement: SQL {
    let most = limit + 1
    let branches = kinds.map { kind -> SQL in
      let source = kind.source(of: customer)
      var conditions: [SQL] = ["\(source.customer) = \(customer)"]
      if let channels, let channel = source.channel { conditions.append("\(channel) = ANY (\(channels))") }
      if let from { conditions.append("\(source.at) >= \(from)") }
      if let until { conditions.append("\(source.at) < \(until)") }
      if let after { conditions.append("(\(source.at), \(source.id)) < (\(after.at)::timestamptz, \(after.id)::uuid)") }
      return """
        (SELECT \(source.at), \(source.id), \(kind.rawValue)::text, \(source.columns) FROM \(source.from)
         WHERE \(conditions.joined(separator: " AND ")) ORDER BY \(source.at) DESC, \(source.id) DESC LIMIT \(most))
        """
    }
    let nothing: SQL =
      "SELECT NULL::timestamptz, NULL::uuid, NULL::text, NULL::text, NULL::text, NULL::text, NULL::text, NULL::text, NULL::text, NULL::text, NULL::numeric, NULL::text, NULL::uuid, NULL::uuid, NULL::uuid, NULL::integer WHERE false"
    return """
      SELECT t.at, t.id, t.kind, t.resource, t.type, t.channel, t.direction, t.status, t.title, t.text, t.amount, t.currency, t.user_id, t.contact_id,
        t.conversation_id, t.attachments
      FROM (\(([nothing] + branches).joined(separator: " UNION ALL "))) AS t
        (at, id, kind, resource, type, channel, direction, status, title, text, amount, currency, user_id, contact_id, conversation_id, attachments)
      ORDER BY t.at DESC, t.id DESC LIMIT \(most)
      """
  }

  func answer(_ result: PostgresResult, signer: CursorSigner) throws -> Response {
    let shown = min(result.count, limit)
    var writer = JSONWriter(capacity: 256 + shown * 512)
    writer.beginObject()
    writer.key("data")
    writer.writeRows(result, rows: 0..<shown)
    writer.key("next_cursor")
    if result.count > limit {
      writer.string(
        try signer.seal([result.text(shown - 1, 0), result.text(shown - 1, 1)], for: Self.fingerprint + Array(customer.lowercase.utf8)))
    } else {
      writer.null()
    }
    writer.endObject()
    return .json(writer.take())
  }

  static let schema: JSON = [
    "type": "object", "required": ["data", "next_cursor"],
    "properties": [
      "data": ["type": "array", "items": ["type": "object", "required": .array(row.keys.sorted().map(JSON.string)), "properties": .object(row)]],
      "next_cursor": ["type": ["string", "null"]],
    ],
  ]

  private static let row: [String: JSON] = [
    "at": AnswerField.instant, "id": AnswerField.id, "kind": ["type": "string", "enum": .array(TimelineKind.allCases.map { .string($0.rawValue) })],
    "resource": AnswerField.text, "type": AnswerField.optional(AnswerField.text), "channel": AnswerField.optional(AnswerField.text),
    "direction": AnswerField.optional(AnswerField.text), "status": AnswerField.optional(AnswerField.text), "title": AnswerField.optional(AnswerField.text),
    "text": AnswerField.optional(AnswerField.text), "amount": AnswerField.optional(AnswerField.decimal), "currency": AnswerField.optional(AnswerField.text),
    "user_id": AnswerField.optional(AnswerField.id), "contact_id": AnswerField.optional(AnswerField.id),
    "conversation_id": AnswerField.optional(AnswerField.id), "attachments": AnswerField.optional(AnswerField.integer),
  ]
}

/// What of a timeline is wanted.
struct TimelineFilter: OperationInput {
  private(set) var kinds = TimelineKind.allCases
  private(set) var channels: [String]?
  let from: Date?
  let until: Date?
  let limit: Int
  let cursor: String?

  init(_ fields: inout InputReader) {
    let names = TimelineKind.allCases.map(\.rawValue).joined(separator: ", ")
    if let given = fields.optionalText("kinds", "What to show, separated by commas: \(names). Everything if left out.") {
      let wanted = given.split(separator: ",").map(String.init)
      kinds = wanted.compactMap(TimelineKind.init(rawValue:))
      if kinds.isEmpty || kinds.count != wanted.count {
        fields.refuse("kinds", code: "option", Phrase("Use, separated by commas: \(names).", tr: "Virgülle ayırarak şunları kullanın: \(names)."))
      }
    }
    channels = fields.optionalText("channels", "Only what came or went on these channels, separated by commas, such as email,phone.")?
      .split(separator: ",").map(String.init)
    from = fields.optionalInstant("from", "Nothing older than this instant.")
    until = fields.optionalInstant("until", "Only what is older than this instant.")
    limit = fields.optionalInteger("limit", "Rows a page; 50 if left out.", in: 1...1_000) ?? 50
    cursor = fields.optionalText("cursor", "next_cursor of the page before.", maximum: 1_000)
  }
}

extension Endpoint {
  /// `GET /v1/customers/{id}/timeline`
  static func timeline(_ signer: CursorSigner) -> Endpoint {
    Endpoint(
      .get, "/v1/customers/{id}/timeline", access: .read(.customers),
      documentation: .init(
        "customer_timeline", tag: "customers", "Everything that happened with a customer, newest first",
        description: """
          Interactions on every channel, activities, orders, quotes, invoices, payments, tickets, campaign touches, tier changes, consents and the service's \
          internal notes, as far as the caller may read each of them. That a ticket came, its subject and how it stands, and what score a survey found, is seen \
          by whoever reads the customer; what a ticket describes only by whoever reads the ticket.
          """,
        parameters: [.id] + InputReader.fields(of: TimelineFilter.self).map { .init($0.name, in: .query, $0.meaning, schema: .object($0.schema)) },
        answers: [(200, "A page of the timeline.", "application/json", Timeline.schema)]),
      handler: .read { request in
        let page = try Timeline(request, signer: signer)
        let presence: SQL = "SELECT 1 FROM crm.customer AS c WHERE c.id = \(page.customer)"
        var context = request.caller.context(reading: Set(Area.allCases))
        // Sixty months and a dozen tables take longer to plan for than to read; one plan serves every customer.
        context.settings.append(.init("plan_cache_mode", "force_generic_plan"))
        return Endpoint.Read([presence, page.statement], context: context) { results in
          guard results[0].count == 1 else { throw Problem.notFound }
          return try page.answer(results[1], signer: signer)
        }
      })
  }
}
