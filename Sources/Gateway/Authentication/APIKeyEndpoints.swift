import CRMCore
import Foundation
import PostgresClient

/// The caller's own API keys: made, listed, revoked.
struct APIKeyEndpoints: Sendable {
  let database: Database

  var endpoints: [Endpoint] { [list, create, revoke] }

  private static let columns: SQL = "k.id, k.name, k.prefix, k.scopes, k.expires_at, k.revoked_at, k.last_used_on, k.created_at"

  private static let properties: [String: JSON] = [
    "id": ["type": "string", "format": "uuid"], "name": ["type": "string"],
    "prefix": ["type": "string", "description": "The first characters of the key, to tell keys apart."],
    "scopes": [
      "type": ["array", "null"], "items": ["type": "string"],
      "description": "What the key is narrowed to, each area:read or area:write; null for all that its user may do.",
    ],
    "expires_at": ["type": ["string", "null"], "format": "date-time"], "revoked_at": ["type": ["string", "null"], "format": "date-time"],
    "last_used_on": ["type": ["string", "null"], "format": "date"], "created_at": ["type": "string", "format": "date-time"],
  ]

  private var list: Endpoint {
    Endpoint(
      .get, "/v1/api_keys", access: .signedIn,
      documentation: .init(
        "list_api_keys", tag: "access", "Your API keys, newest first",
        answers: [
          (
            200, "All of them, revoked ones too.", "application/json",
            [
              "type": "object", "required": ["data"],
              "properties": ["data": ["type": "array", "items": ["type": "object", "properties": .object(Self.properties)]]],
            ]
          )
        ]),
      handler: .read { request in
        let statement: SQL = "SELECT \(Self.columns) FROM crm.api_key AS k WHERE k.user_id = \(request.caller.userID) ORDER BY k.created_at DESC, k.id DESC"
        return Endpoint.Read([statement], context: request.caller.context(reading: [.admin])) { results in
          var writer = JSONWriter(capacity: 1024)
          writer.beginObject()
          writer.key("data")
          writer.writeRows(results[0])
          writer.endObject()
          return .json(writer.take())
        }
      })
  }

  private var create: Endpoint {
    let shown = Self.properties.merging(["key": ["type": "string", "description": "The key itself, shown only now."]], uniquingKeysWith: { $1 })
    return Endpoint(
      .post, "/v1/api_keys", access: .signedIn, body: .collected,
      documentation: .init(
        "create_api_key", tag: "access", "Make an API key",
        description: "The key is shown once. It signs in as you, narrowed to its scopes. A key cannot make a wider one than itself, nor one that outlives it.",
        input: (
          "application/json",
          [
            "type": "object", "required": ["name"], "additionalProperties": false,
            "properties": [
              "name": ["type": "string", "minLength": 1, "maxLength": 200],
              "scopes": [
                "type": ["array", "null"],
                "items": ["type": "string", "enum": .array(Area.scopes.map(JSON.string))],
              ],
              "expires_at": ["type": ["string", "null"], "format": "date-time"],
            ],
          ]
        ),
        answers: [(201, "The key.", "application/json", ["type": "object", "properties": .object(shown)])]),
      handler: .operation { request in try await create(request) })
  }

  private var revoke: Endpoint {
    Endpoint(
      .delete, "/v1/api_keys/{id}", access: .signedIn,
      documentation: .init(
        "revoke_api_key", tag: "access", "Revoke one of your API keys",
        parameters: [.init("id", in: .path, required: true, "The key's id.", schema: ["type": "string", "format": "uuid"])],
        answers: [(204, "It no longer works.", nil, nil)]),
      handler: .operation { request in
        guard let id = request.parameters["id"].flatMap(UUID.init(uuidString:)) else { throw Problem.notFound }
        let own = bearerToken(request.headers["authorization"]).map(Credential.hash(of:))
        try await database.transaction(as: request.caller, request: request.id, deadline: request.deadline) { tx in
          let changed = try await tx.run(
            """
            UPDATE crm.api_key SET revoked_at = coalesce(revoked_at, now())
            WHERE id = \(id) AND user_id = \(request.caller.userID) AND key_hash IS DISTINCT FROM \(own)
            """)
          if changed == 1 { return }
          let isOwn = try await tx.value(Bool.self, "SELECT EXISTS (SELECT FROM crm.api_key WHERE id = \(id) AND key_hash = \(own))")
          throw isOwn ? Self.keyInUse : Problem.notFound
        }
        return Response(status: 204)
      })
  }

  private static let keyInUse = Problem(
    409, "key-in-use",
    Phrase(
      "You are calling with this very key. Revoke it with another one, or signed in with your password.",
      tr: "Tam da bu anahtarla çağırıyorsunuz. Başka bir anahtarla ya da parolanızla oturum açarak iptal edin."))

  private func create(_ request: Request) async throws -> Response {
    let wanted = try APIKeyInput(try request.json(), caller: request.caller)
    let credential = Credential(.apiKey)
    let maker = bearerToken(request.headers["authorization"]).map(Credential.hash(of:))
    let result = try await database.transaction(as: request.caller, request: request.id, deadline: request.deadline) { tx in
      try await tx.result(
        """
        INSERT INTO crm.api_key AS k (user_id, name, prefix, key_hash, scopes, expires_at)
        SELECT \(request.caller.userID), \(wanted.name)::text, \(credential.prefix)::text, \(credential.hash)::bytea, \(wanted.scopes)::text[],
               least(\(wanted.expiresAt)::timestamptz, (SELECT m.expires_at FROM crm.api_key AS m WHERE m.key_hash = \(maker)::bytea))
        RETURNING \(Self.columns)
        """)
    }
    var writer = JSONWriter(capacity: 512)
    writer.beginObject()
    writer.writeMembers(result, 0)
    writer.key("key")
    writer.string(credential.token)
    writer.endObject()
    return .json(writer.take(), status: 201)
  }
}

/// What is asked of a new key, checked.
private struct APIKeyInput {
  let name: String
  let scopes: [String]?
  let expiresAt: Date?

  init(_ body: JSON, caller: Caller) throws(Problem) {
    var errors = body.unknownMembers(besides: ["name", "scopes", "expires_at"])
    name = body["name"]?.string ?? ""
    if name.trimmingCharacters(in: .whitespaces).isEmpty || name.count > 200 || name.utf8.contains(0) {
      errors.append(
        .init(
          "/name", code: "required",
          Phrase("Say what the key is for in at most 200 characters.", tr: "Anahtarın ne için olduğunu en çok 200 karakterle yazın.")))
    }
    var wanted: [String]?
    switch body["scopes"] {
    case nil, .null: wanted = caller.scopes?.sorted()
    case .array(let items):
      let known = Set(Area.scopes)
      wanted = []
      for (index, item) in items.enumerated() {
        guard let scope = item.string, known.contains(scope) else {
          errors.append(
            .init(
              "/scopes/\(index)", code: "unknown",
              Phrase("A scope is an area followed by :read or :write.", tr: "Kapsam, alan adı ve ardından :read ya da :write biçimindedir.")))
          continue
        }
        if caller.scopes?.contains(scope) ?? true {
          wanted?.append(scope)
        } else {
          errors.append(
            .init(
              "/scopes/\(index)", code: "too-wide",
              Phrase("The key you use does not have this scope itself.", tr: "Kullandığınız anahtarın kendisinde bu kapsam yok.")))
        }
      }
    default:
      errors.append(.init("/scopes", code: "type", Phrase("Give scopes as a list.", tr: "Kapsamları liste olarak verin.")))
    }
    scopes = wanted
    switch body["expires_at"] {
    case nil, .null: expiresAt = nil
    case .string(let text):
      expiresAt = Date(instant: text)
      if expiresAt.map({ $0 <= Date() }) ?? true {
        errors.append(
          .init(
            "/expires_at", code: "instant",
            Phrase(
              "Give an instant in the future, such as 2030-01-31T00:00:00Z.",
              tr: "Gelecekte bir an verin; örneğin 2030-01-31T00:00:00Z.")))
      }
    default:
      expiresAt = nil
      errors.append(.init("/expires_at", code: "type", Phrase("Give expires_at as text.", tr: "expires_at alanını metin olarak verin.")))
    }
    guard errors.isEmpty else { throw .invalid(errors) }
  }
}
