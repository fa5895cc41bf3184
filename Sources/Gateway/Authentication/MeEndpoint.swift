import CRMCore
import Foundation
import PostgresClient

/// `GET /v1/me`: who the caller is and what they reach.
func meEndpoint() -> Endpoint {
  Endpoint(
    .get, "/v1/me", access: .signedIn,
    documentation: .init(
      "get_me", tag: "access", "Who you are and what you may read and write",
      answers: [
        (
          200, "You.", "application/json",
          [
            "type": "object", "required": ["id", "name", "email", "locale", "kind", "department_id", "department", "roles", "scopes", "access"],
            "properties": [
              "id": ["type": "string", "format": "uuid"], "name": ["type": "string"], "email": ["type": "string", "format": "email"],
              "locale": ["type": "string"], "kind": ["type": "string"], "department_id": ["type": "string", "format": "uuid"],
              "department": ["type": "string"], "roles": ["type": "array", "items": ["type": "string"]],
              "scopes": ["type": ["array", "null"], "items": ["type": "string"], "description": "What the API key in use is narrowed to."],
              "access": [
                "type": "object", "description": "By area: whether anything can be read and written there.",
                "additionalProperties": [
                  "type": "object", "properties": ["read": ["type": "boolean"], "write": ["type": "boolean"]],
                ],
              ],
            ],
          ]
        )
      ]),
    handler: .read { request in
      let statement: SQL = """
        SELECT u.id, u.name, u.email, u.locale, u.kind, u.department_id, d.name AS department,
          array(SELECT r.code FROM crm.user_role AS ur JOIN crm.role AS r ON r.id = ur.role_id WHERE ur.user_id = u.id ORDER BY r.code) AS roles
        FROM crm.app_user AS u JOIN crm.department AS d ON d.id = u.department_id WHERE u.id = \(request.caller.userID)
        """
      // Roles are shown to administrators only; one's own are no secret to oneself.
      let context = Caller.system("who am I").context(reading: [.admin])
      return Endpoint.Read([statement], context: context) { results in
        guard results[0].count == 1 else { throw Problem.notFound }
        var writer = JSONWriter(capacity: 1024)
        writer.beginObject()
        writer.writeMembers(results[0], 0)
        writer.key("scopes")
        if let scopes = request.caller.scopes {
          writer.beginArray()
          for scope in scopes.sorted() { writer.string(scope) }
          writer.endArray()
        } else {
          writer.null()
        }
        writer.key("access")
        writer.beginObject()
        for area in Area.allCases {
          writer.key(area.rawValue)
          writer.beginObject()
          writer.key("read")
          writer.bool(request.caller.reads(area))
          writer.key("write")
          writer.bool(request.caller.writes(area))
          writer.endObject()
        }
        writer.endObject()
        writer.endObject()
        return .json(writer.take())
      }
    })
}
