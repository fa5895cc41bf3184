import CRMCore
import Foundation
import PostgresClient

/// `GET /v1/access/explain`: by which rules the caller sees and may change a record. A record that is hidden is answered as one that
/// does not exist.
struct AccessExplanation: Sendable {
  let database: Database
  let model: Model

  var endpoint: Endpoint {
    let names = Rule.allCases.map(\.rawValue) + ["reference", "common", "personal", "linked", "log", "open"]
    let rules: JSON = [
      "type": "array",
      "items": [
        "type": "object", "required": ["rule", "explanation"],
        "properties": [
          "rule": ["type": "string", "enum": .array(names.map(JSON.string))],
          "explanation": ["type": "string"], "role": ["type": ["string", "null"], "description": "The role that gives it."],
          "from_department": ["type": ["string", "null"]],
          "to_department": ["type": ["string", "null"], "description": "The department that a rule or a share opens it to; a share without one is with you."],
          "reason": ["type": ["string", "null"], "description": "Why this one record is shared."],
          "ends_at": ["type": ["string", "null"], "format": "date-time", "description": "When the share ends."],
        ],
      ],
    ]
    return Endpoint(
      .get, "/v1/access/explain", access: .signedIn,
      documentation: .init(
        "explain_access", tag: "access", "By which rules you see and may change a record",
        parameters: [
          .init(
            "resource", in: .query, required: true, "The resource, such as customers.",
            schema: ["type": "string", "enum": .array(model.entities.keys.sorted().map(JSON.string))]),
          .init("id", in: .query, required: true, "The record's id.", schema: ["type": "string", "format": "uuid"]),
        ],
        answers: [
          (
            200, "The rules.", "application/json",
            [
              "type": "object", "required": ["resource", "id", "area", "may_write", "read", "write"],
              "properties": [
                "resource": ["type": "string"], "id": ["type": "string", "format": "uuid"], "area": ["type": "string"],
                "may_write": ["type": "boolean", "description": "With the credential in use, whose scopes may narrow the rules."],
                "read": rules, "write": rules,
              ],
            ]
          )
        ]),
      handler: .operation { request in try await explain(request) })
  }

  /// The rules that open records which belong to departments.
  private enum Rule: String, CaseIterable {
    case owner, company, department, shareRule = "share_rule", share, all

    var explanation: Phrase {
      switch self {
      case .owner: Phrase("You own the record.", tr: "Kaydın sahibi sizsiniz.")
      case .company: Phrase("The record is open to the whole company.", tr: "Kayıt tüm şirkete açık.")
      case .department: Phrase("The record belongs to your department or one below it.", tr: "Kayıt departmanınıza ya da altındaki bir departmana ait.")
      case .shareRule: Phrase("A share rule opens the record's department to yours.", tr: "Bir paylaşım kuralı kaydın departmanını sizinkine açıyor.")
      case .share: Phrase("This one record is shared.", tr: "Yalnızca bu kayıt paylaşıldı.")
      case .all: Phrase("Your role reaches every department.", tr: "Rolünüz her departmana ulaşıyor.")
      }
    }
  }

  private func explain(_ request: Request) async throws -> Response {
    if let unknown = request.query.first(where: { !["resource", "id"].contains($0.name) }) {
      throw Problem.badParameter(Problem.clipped(unknown.name), Phrase("This address takes resource and id.", tr: "Bu adres resource ve id alır."))
    }
    func value(_ name: String) -> String? { request.query.first { $0.name == name }?.value }
    guard let entity = value("resource").flatMap({ model[$0] }) else {
      let names = model.entities.keys.sorted().joined(separator: ", ")
      throw Problem.badRequest(
        "unknown-resource",
        Phrase("Name a resource: \(names).", tr: "Bir kaynak adı verin: \(names)."))
    }
    guard let id = value("id").flatMap(UUID.init(uuidString:)) else {
      throw Problem.badRequest("malformed-id", Phrase("Give the record's id as a UUID.", tr: "Kaydın kimliğini UUID olarak verin."))
    }
    let caller = request.caller
    let isOwned = entity.table.column("audience") != nil
    let area = entity.resource.area
    let owned: SQL =
      isOwned
      ? "t.department_id, t.owner_id, t.audience"
      : "NULL::uuid AS department_id, NULL::uuid AS owner_id, NULL::uuid AS audience"
    let record = try await database.read(
      as: caller, areas: [area], deadline: request.deadline,
      """
      SELECT \(owned), p.kind FROM \(entity.table.sql) AS t CROSS JOIN crm.protection AS p
      WHERE t.\(entity.idColumn.identifier) = \(id) AND p.relation = \(entity.table.name)
      """)
    guard record.count == 1 else { throw Problem.notFound }
    let department = try record[0].decode(UUID?.self, "department_id")
    let owner = try record[0].decode(UUID?.self, "owner_id")
    let rules = try await database.read(
      as: .system("explain access"), areas: [.admin], deadline: request.deadline,
      """
      SELECT x.verb, x.rule, r.code AS role, f.name AS from_department, t.name AS to_department, NULL::text AS reason, NULL::timestamptz AS ends_at
      FROM crm.explain_access(\(caller.userID), \(area.rawValue), \(department), \(owner), \(try record[0].decode(UUID?.self, "audience"))) AS x
      LEFT JOIN crm.role AS r ON r.id = x.role_id
      LEFT JOIN crm.department AS f ON f.id = x.from_department_id
      LEFT JOIN crm.department AS t ON t.id = x.to_department_id
      WHERE \(isOwned)
      UNION ALL
      SELECT s.verb, 'share', NULL, NULL, t.name, s.reason, s.ends_at
      FROM crm.explain_shares(\(caller.userID), \(id)) AS s LEFT JOIN crm.department AS t ON t.id = s.to_department_id
      WHERE \(isOwned)
      ORDER BY verb, rule, role
      """)
    let writable = caller.reach[area]?.writable ?? []
    let mayWrite =
      isOwned
      ? department.map(writable.contains) == true || owner.map(writable.contains) == true || caller.shared.contains(id)
      : !writable.subtracting(caller.userID.map { [$0] } ?? []).isEmpty
    var writer = JSONWriter(capacity: 1024)
    writer.beginObject()
    writer.key("resource")
    writer.string(entity.name)
    writer.key("id")
    writer.string(id.lowercase)
    writer.key("area")
    writer.string(area.rawValue)
    writer.key("may_write")
    writer.bool(mayWrite)
    for verb in ["read", "write"] {
      writer.key(verb)
      writer.beginArray()
      if isOwned {
        for row in rules.rows where try row.decode(String.self, "verb") == verb { try write(row, request.language, to: &writer) }
      } else if verb == "read" || mayWrite {
        try write(kind: record[0].decode(String.self, "kind"), area, request.language, to: &writer)
      }
      writer.endArray()
    }
    writer.endObject()
    return .json(writer.take())
  }

  private func write(_ row: PostgresRow, _ language: Language, to writer: inout JSONWriter) throws {
    let rule = try row.decode(String.self, "rule")
    writer.beginObject()
    writer.key("rule")
    writer.string(rule)
    writer.key("explanation")
    writer.string(Rule(rawValue: rule)?.explanation.text(in: language) ?? rule)
    for name in ["role", "from_department", "to_department", "reason"] {
      guard let text = try row.decode(String?.self, name) else { continue }
      writer.key(name)
      writer.string(text)
    }
    if let end = try row.decode(Date?.self, "ends_at") {
      writer.key("ends_at")
      writer.string(end.ISO8601Format())
    }
    writer.endObject()
  }

  /// Records without a department are open by the kind of their table.
  private func write(kind: String, _ area: Area, _ language: Language, to writer: inout JSONWriter) {
    let explanation =
      switch kind {
      case "common": Phrase("Everyone signed in reads these records.", tr: "Oturum açan herkes bu kayıtları okur.")
      case "personal": Phrase("The record is your own.", tr: "Kayıt size ait.")
      case "reference":
        Phrase("You have rights in the area \(area.rawValue).", tr: "\(area.rawValue) alanında yetkiniz var.")
      default: Phrase("The table's own rule (\(kind)) opens it.", tr: "Tablonun kendi kuralı (\(kind)) açıyor.")
      }
    writer.beginObject()
    writer.key("rule")
    writer.string(kind)
    writer.key("explanation")
    writer.string(explanation.text(in: language))
    writer.endObject()
  }
}
