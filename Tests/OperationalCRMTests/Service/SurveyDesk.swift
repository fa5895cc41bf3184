import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@testable import OperationalCRM

/// What tests of surveys need first; `zeynep` of customer service acts unless somebody is named.
struct SurveyDesk {
  let server: TestServer

  var database: Database { Database(pool: server.database.app) }

  func post(_ path: String, as person: String? = "zeynep", _ json: JSON? = nil) async throws -> TestServer.Answer {
    try await server.send(.post, path, as: person, json: json)
  }

  func made(_ path: String, as person: String = "zeynep", _ json: JSON) async throws -> String {
    let answer = try await post(path, as: person, json)
    try #require(answer.status == 201, "\(path): \(answer.text)")
    return try #require(try answer.json()["id"]?.string)
  }

  func get(_ path: String, as person: String = "zeynep") async throws -> JSON {
    let answer = try await server.send(.get, path, as: person)
    try #require(answer.status == 200, "\(path): \(answer.text)")
    return try answer.json()
  }

  /// The id of one of the demo company's people.
  func user(_ person: String) async throws -> String {
    try #require(try await get("/v1/users?email=eq.\(person)@carsi.example", as: "deniz")["data"]?.array?.first?["id"]?.string)
  }

  /// A customer with an e-mail address.
  func customer(_ name: String = "Çiğdem Işık", email: String? = nil) async throws -> String {
    let id = try await made("/v1/customers", ["kind": "person", "name": .string(name)])
    _ = try await made(
      "/v1/contact_points", ["customer_id": .string(id), "kind": "email", "value": .string(email ?? "c\(id.suffix(12))@musteri.example"), "is_primary": true])
    return id
  }

  /// An active survey with a score and a comment; a form has the comment alone.
  func survey(_ kind: String = "csat", _ fields: [String: JSON] = [:]) async throws -> String {
    let code = "s\(UUID().uuidString.lowercased().filter { $0 != "-" })"
    let id = try await made(
      "/v1/surveys",
      .object(
        [
          "code": .string(code), "name": .string("Anket \(code)"), "kind": .string(kind), "title_en": "How did we do?", "title_tr": "Bizi değerlendirin",
          "base_address": "https://crm.example.com", "rest_days": 0,
        ].merging(fields) { $1 }))
    if kind != "form" {
      _ = try await made(
        "/v1/survey_questions",
        [
          "survey_id": .string(id), "place": 1, "code": "score", "kind": "score", "text_en": "How content are you?", "text_tr": "Ne kadar memnunsunuz?",
          "low_en": "not at all", "low_tr": "hiç", "high_en": "very", "high_tr": "çok", "required": true,
        ])
    }
    _ = try await made(
      "/v1/survey_questions", ["survey_id": .string(id), "place": 2, "code": "comment", "kind": "text", "text_en": "Why?", "text_tr": "Neden?"])
    let activated = try await post("/v1/surveys/\(id)/activate")
    try #require(activated.status == 200, "\(activated.text)")
    return id
  }

  func invite(_ survey: String, _ customer: String) async throws -> String {
    try await made("/v1/surveys/\(survey)/invite", ["customer_id": .string(customer)])
  }

  /// Sends what is due at an instant.
  func send(at now: Date = Date()) async throws {
    let sending = SurveySending(now: now)
    while try await database.transaction(as: .system("test"), deadline: .after(.seconds(60)), { try await sending.sendDue($0) }) > 0 {}
  }

  func invitation(_ id: String) async throws -> JSON { try await get("/v1/survey_invitations/\(id)") }

  /// The path of the page whose link was sent for an invitation.
  func path(_ invitation: String) async throws -> String {
    let id = try #require(UUID(uuidString: invitation))
    let row = try await server.database.admin.execute(
      [
        "SELECT m.body_text FROM crm.survey_invitation i JOIN crm.outbound_message m ON m.customer_id = i.customer_id AND m.id = i.message_id WHERE i.id = \(id)"
      ],
      context: .init(readOnly: true), deadline: .after(.seconds(60)))[0]
    try #require(row.count == 1, "nothing was sent")
    let text = try row[0].decode(String.self, at: 0)
    let address = try #require(text.split(whereSeparator: \.isNewline).first { $0.hasPrefix("https://crm.example.com/s/") })
    return String(address.dropFirst("https://crm.example.com".count))
  }

  func form(_ path: String, _ fields: String, language: String = "tr") async throws -> TestServer.Answer {
    try await server.send(
      .post, path, as: nil, body: Array(fields.utf8), headers: ["content-type": "application/x-www-form-urlencoded", "accept-language": language])
  }

  /// Runs a statement behind the policies.
  @discardableResult func admin(_ statement: SQL) async throws -> PostgresResult {
    try await server.database.admin.execute([statement], context: .init(readOnly: false), deadline: .after(.seconds(60)))[0]
  }

  /// Answers given long ago, one for each score.
  func answers(_ survey: String, _ scores: [Int], tier: String? = nil, at: String = "2026-03-10T09:00:00Z") async throws {
    let id = try #require(UUID(uuidString: survey))
    try await admin(
      """
      WITH given AS (
        SELECT c.id AS customer_id, c.department_id, crm.uuid_v7() AS id, s.score, s.place
          FROM unnest(\(scores)::integer[]) WITH ORDINALITY AS s (score, place) CROSS JOIN LATERAL (SELECT c.id, c.department_id FROM crm.customer c ORDER BY c.id LIMIT 1) AS c
      ), invited AS (
        INSERT INTO crm.survey_invitation (customer_id, id, survey_id, event_id, state, token_hash, expires_at, sent_at, answered_at, department_id)
        SELECT g.customer_id, g.id, \(id), g.id, 'answered', sha256(g.id::text::bytea), now(), now(), now(), g.department_id FROM given g)
      INSERT INTO crm.survey_response (customer_id, survey_id, invitation_id, kind, score, tier, answered_at, department_id)
      SELECT g.customer_id, \(id), g.id, s.kind, g.score, \(tier), \(at)::timestamptz, g.department_id FROM given g JOIN crm.survey s ON s.id = \(id)
      """)
  }
}
