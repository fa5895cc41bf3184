import CRMCore
import Foundation
import PostgresClient

extension Concept {
  /// A chat on the company's pages. Visitors are told what agents answer; agents hear of visitors by `/v1/events` and answer in the conversation.
  static let webChat = Concept(signedEndpoints: { database, _, signer in WebChat(database: database, signer: signer).endpoints })
}

/// What a visitor's page may do.
struct WebChat: Sendable {
  let database: Database
  let signer: CursorSigner
  private let floods = RateLimit(10, per: .seconds(600))

  init(database: Database, signer: CursorSigner) {
    self.database = database
    self.signer = signer
  }

  private static let base = "/v1/chats/{chat}"
  private static let tag = "chat"

  private struct Arrival: OperationInput {
    let name: String?
    let email: String?
    init(_ fields: inout InputReader) {
      name = fields.optionalText("name", "What the visitor is called.", maximum: 200)
      email = fields.optionalText("email", "Where the visitor can be answered later.", maximum: 254)
    }
  }

  private struct Line: OperationInput {
    let text: String
    let key: String?
    init(_ fields: inout InputReader) {
      text = fields.text("text", "What the visitor writes.", maximum: 4_000)
      key = fields.optionalText("key", "Names the message, so that sending it again makes no second one.", maximum: 100)
    }
  }

  private func site(_ request: Request) async throws -> PublicSite {
    try await PublicSite.find(request.parameters["chat"] ?? "", provider: "chat", in: database)
  }

  var endpoints: [Endpoint] {
    [start, send, messages, events]
      + ["visitors", "messages", "events"].map { part in
        CrossOrigin.preflight("\(Self.base)/\(part)", "options_chat_\(part)", tag: Self.tag) { try await site($0).origins }
      }
  }

  private static let message: JSON = [
    "type": "object", "required": ["id", "at", "from", "text"],
    "properties": [
      "id": AnswerField.id, "at": AnswerField.instant, "from": ["type": "string", "enum": ["visitor", "agent"]], "text": AnswerField.text,
    ],
  ]
  private static let token = Endpoint.Documentation.Parameter("token", in: .query, "The visitor's token, where a page cannot send it as bearer token.")

  private var start: Endpoint {
    Endpoint(
      .post, "\(Self.base)/visitors", access: .open, body: .collected,
      documentation: .init(
        "start_chat", tag: Self.tag, "Begin to chat", description: "Nothing is stored before the first message. The page keeps the token.",
        parameters: CrossOrigin.parameters(Self.base), input: ("application/json", InputReader.schema(of: Arrival.self)), inputIsOptional: true,
        answers: [
          (
            201, "The visitor's token.", "application/json",
            [
              "type": "object", "required": ["token", "expires_at", "name"],
              "properties": ["token": AnswerField.text, "expires_at": AnswerField.instant, "name": AnswerField.text],
            ]
          )
        ], refusals: [403, 422]),
      handler: .operation { request in
        let site = try await site(request)
        return try await CrossOrigin.answering(request, allowing: site.origins) { headers in try await begin(request, site, headers) }
      })
  }

  private func begin(_ request: Request, _ site: PublicSite, _ headers: [(name: String, value: String)]) async throws -> Response {
    let arrival = try InputReader.read(Arrival.self, from: Self.hasBody(request) ? request.json() : [:])
    let end = Date(timeIntervalSince1970: (Date.now.timeIntervalSince1970 + VisitorToken.lifetime).rounded(.down))
    if let email = arrival.email {
      let valid = try await database.read(as: .system("web chat"), areas: [], "SELECT crm.valid_email(\(email))")
      guard try valid[0].decode(Bool.self, at: 0) else {
        throw Problem.invalid([.init("/email", code: "type", Phrase("This is not a valid e-mail address.", tr: "Geçerli bir e-posta adresi değil."))])
      }
    }
    let token = VisitorToken(visitor: .v7(), site: site.id, name: arrival.name, email: arrival.email, expiresAt: end)
    let json: JSON = [
      "token": .string(try token.sealed(by: signer)), "expires_at": .string(end.formatted(.iso8601)), "name": .string(site.name),
    ]
    return .json(try json.encoded(), status: 201, headers: headers)
  }

  private static func hasBody(_ request: Request) -> Bool {
    if case .bytes(let bytes) = request.body { !bytes.isEmpty } else { false }
  }

  private var send: Endpoint {
    Endpoint(
      .post, "\(Self.base)/messages", access: .open, body: .collected,
      documentation: .init(
        "send_chat_message", tag: Self.tag, "Write to the company", description: "With the visitor's token as bearer token.",
        parameters: CrossOrigin.parameters(Self.base) + [Self.token], input: ("application/json", InputReader.schema(of: Line.self)),
        answers: [(201, "The message.", "application/json", Self.message)], refusals: [401, 403, 422, 429]),
      handler: .operation { request in
        let site = try await site(request)
        return try await CrossOrigin.answering(request, allowing: site.origins) { headers in try await take(request, site, headers) }
      })
  }

  private func take(_ request: Request, _ site: PublicSite, _ headers: [(name: String, value: String)]) async throws -> Response {
    let visitor = try VisitorToken(request, site: site.id, signer: signer, now: .now)
    let line = try InputReader.read(Line.self, from: try request.json())
    let prefix = "\(visitor.visitor.lowercase)/"
    let address = RateLimit.source(request.remoteAddress)
    let result = try await database.transaction(as: .system("web chat"), request: request.id, deadline: request.deadline, retries: true) { tx in
      _ = try await tx.result("SELECT pg_advisory_xact_lock(hashtextextended(\("web chat \(prefix)"), 0))")
      let known = try await tx.result(
        """
        SELECT k.external_id, (SELECT count(*) FROM crm.interaction AS i
            WHERE i.conversation_id = k.conversation_id AND i.occurred_at > now() - interval '1 minute' AND i.direction = 'in') AS recent
        FROM crm.interaction_key AS k
        WHERE k.channel_account_id = \(site.id) AND k.external_id >= \(prefix) AND k.external_id < \("\(visitor.visitor.lowercase)0") LIMIT 1
        """)
      // A first message makes a customer; one address makes only so many.
      if known.count == 0 { try floods.count(address) }
      if known.count == 1, try known[0].decode(Int.self, "recent") >= 30 { throw Problem.tooFast(60) }
      let earlier = try known.rows.first?.decode(String.self, "external_id")
      let received = try await tx.result(
        """
        SELECT r.customer_id, r.interaction_id FROM crm.receive_interaction(\(site.id), \(prefix + (line.key ?? UUID.v7().lowercase)), \(earlier), NULL::text[],
          \(visitor.sender), \(visitor.name), NULL::text[], NULL, \(line.text), NULL, now()) AS r
        """)
      return try await tx.result(
        """
        SELECT i.id, i.occurred_at, i.body_text FROM crm.interaction AS i
        WHERE i.customer_id = \(try received[0].decode(UUID.self, "customer_id")) AND i.id = \(try received[0].decode(UUID.self, "interaction_id"))
        """)
    }
    var json = JSONWriter(capacity: 256)
    Self.write(result, 0, from: "visitor", &json)
    return .json(json.take(), status: 201, headers: headers)
  }

  private static func write(_ result: PostgresResult, _ row: Int, from: String, _ json: inout JSONWriter) {
    json.beginObject()
    json.key("id")
    json.writeValue(result, row, 0)
    json.key("at")
    json.writeValue(result, row, 1)
    json.key("from")
    json.string(from)
    json.key("text")
    json.writeValue(result, row, 2)
    json.endObject()
  }

  /// The visitor's conversation; a problem 409 before there is one.
  private func conversation(of visitor: VisitorToken) async throws -> UUID {
    let found = try await database.read(
      as: .system("web chat"),
      """
      SELECT k.conversation_id FROM crm.interaction_key AS k WHERE k.channel_account_id = \(visitor.site) AND k.external_id >= \("\(visitor.visitor.lowercase)/")
        AND k.external_id < \("\(visitor.visitor.lowercase)0") AND k.conversation_id IS NOT NULL ORDER BY k.occurred_at DESC LIMIT 1
      """)
    guard let row = found.rows.first else {
      throw Problem(409, "no-conversation", Phrase("Send a message first.", tr: "Önce bir ileti gönderin."))
    }
    return try row.decode(UUID.self, at: 0)
  }

  private var messages: Endpoint {
    Endpoint(
      .get, "\(Self.base)/messages", access: .open,
      documentation: .init(
        "list_chat_messages", tag: Self.tag, "What was said so far",
        description: "With the visitor's token as bearer token: the last 200 messages, oldest first.",
        parameters: CrossOrigin.parameters(Self.base) + [Self.token],
        answers: [
          (
            200, "The messages.", "application/json",
            ["type": "object", "required": ["data"], "properties": ["data": ["type": "array", "items": Self.message]]]
          )
        ], refusals: [401, 403, 409]),
      handler: .operation { request in
        let site = try await site(request)
        return try await CrossOrigin.answering(request, allowing: site.origins) { headers in try await listed(request, site, headers) }
      })
  }

  private func listed(_ request: Request, _ site: PublicSite, _ headers: [(name: String, value: String)]) async throws -> Response {
    let conversation = try await conversation(of: try VisitorToken(request, site: site.id, signer: signer, now: .now))
    let found = try await database.read(
      as: .system("web chat"),
      """
      SELECT m.id, m.occurred_at, m.body_text, m.direction FROM (
        SELECT i.id, i.occurred_at, i.body_text, i.direction FROM crm.interaction AS i
        WHERE i.conversation_id = \(conversation) AND i.kind = 'message' AND i.channel = 'chat' ORDER BY i.occurred_at DESC, i.id DESC LIMIT 200
      ) AS m ORDER BY m.occurred_at, m.id
      """)
    var json = JSONWriter(capacity: 64 + found.count * 200)
    json.beginObject()
    json.key("data")
    json.beginArray()
    for row in 0..<found.count { Self.write(found, row, from: try found[row].decode(String.self, "direction") == "in" ? "visitor" : "agent", &json) }
    json.endArray()
    json.endObject()
    return .json(json.take(), headers: headers)
  }

  private var events: Endpoint {
    Endpoint(
      .get, "\(Self.base)/events", access: .open,
      documentation: .init(
        "follow_chat", tag: Self.tag, "Be told of messages as they are written",
        description:
          "Server-sent events, each a message of the visitor's conversation; begins after the first message was sent, and goes on behind Last-Event-ID.",
        parameters: CrossOrigin.parameters(Self.base) + [Self.token, .init("last-event-id", in: .header, "Where to go on.")],
        answers: [(200, "Messages, as long as the connection lasts.", "text/event-stream", ["type": "string"])], refusals: [401, 403, 409, 426]),
      handler: .live { request in
        let site = try await site(request)
        return try await CrossOrigin.answering(request, allowing: site.origins) { headers in try await wish(request, site, headers) }
      })
  }

  private func wish(_ request: Request, _ site: PublicSite, _ headers: [(name: String, value: String)]) async throws -> LiveWish {
    let visitor = try VisitorToken(request, site: site.id, signer: signer, now: .now)
    let conversation = try await conversation(of: visitor)
    var wish = LiveWish(resources: ["interactions"])
    if let cursor = request.headers["last-event-id"], !cursor.isEmpty {
      wish.after = try ChangePosition(cursor: cursor, signer: signer, pointer: "last-event-id")
    }
    wish.headers = headers
    // Counted by itself, and shown nothing but its own conversation.
    let listener = Caller(identity: .user(visitor.visitor), name: "visitor", via: "chat")
    wish.listener = listener
    wish.content = { ChatMessage(of: $0, in: conversation)?.json }
    wish.reviewer = {
      guard visitor.expiresAt > .now else { throw Problem.unauthenticated }
      return listener
    }
    return wish
  }
}

/// A message of a chat, as the visitor sees it.
private struct ChatMessage {
  let json: [UInt8]

  /// - Returns: nil for a change that is no new message of this conversation.
  init?(of change: LiveChange, in conversation: UUID) {
    guard change.resource == "interactions", change.operation == "insert", change.json.firstRange(of: Array(conversation.lowercase.utf8)) != nil,
      let whole = try? JSONDecoder().decode(JSON.self, from: Data(change.json)), let row = whole["after"],
      row["conversation_id"]?.string == conversation.lowercase, row["kind"]?.string == "message", row["channel"]?.string == "chat",
      let text = row["body_text"]?.string, let at = whole["at"]?.string
    else { return nil }
    let message: JSON = [
      "id": .string(change.rowID.lowercase), "at": .string(at), "from": .string(row["direction"]?.string == "in" ? "visitor" : "agent"), "text": .string(text),
    ]
    guard let bytes = try? message.encoded() else { return nil }
    json = bytes
  }
}
