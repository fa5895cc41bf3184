import CRMCore
import Foundation
import PostgresClient

/// A channel account that pages of other origins talk to: a chat, a form's account, a tracked site. The origins stand in its settings.
struct PublicSite: Sendable {
  let id: UUID
  let code: String
  let name: String
  let departmentID: UUID
  let origins: [String]

  /// - Throws: `Problem.notFound` when there is no such active account.
  static func find(_ code: String, provider: String, in database: Database) async throws -> PublicSite {
    let found = try await database.read(
      as: .system("public site"), areas: [.admin],
      """
      SELECT a.id, a.code, coalesce(a.display_name, a.name) AS name, a.department_id,
        ARRAY(SELECT jsonb_array_elements_text(CASE jsonb_typeof(a.settings -> 'origins') WHEN 'array' THEN a.settings -> 'origins' ELSE '[]' END)) AS origins
      FROM crm.channel_account AS a WHERE a.code = \(code) AND a.provider = \(provider) AND a.is_active
      """)
    guard found.count == 1 else { throw Problem.notFound }
    return PublicSite(
      id: try found[0].decode(UUID.self, "id"), code: try found[0].decode(String.self, "code"), name: try found[0].decode(String.self, "name"),
      departmentID: try found[0].decode(UUID.self, "department_id"), origins: try found[0].decode([String].self, "origins"))
  }
}

/// Which pages of other origins may talk to an address (CORS), and nobody else's.
enum CrossOrigin {
  /// - Returns: the header fields of the answer; none for a program that is no browser.
  /// - Throws: a problem 403 for a page of an origin that is not allowed.
  static func headers(_ request: Request, allowing origins: [String]) throws(Problem) -> [(name: String, value: String)] {
    guard let origin = request.headers["origin"] else { return [] }
    guard origins.contains(origin) else {
      throw .forbidden(Phrase("Pages of this origin may not use this address.", tr: "Bu kaynaktaki sayfalar bu adresi kullanamaz."))
    }
    return [("access-control-allow-origin", origin), ("access-control-expose-headers", "retry-after"), ("vary", "Origin")]
  }

  /// Answers a page of an allowed origin, which may also read what is wrong with what it sent.
  /// - Parameter answer: gets the header fields of the answer.
  static func answering<Answer>(
    _ request: Request, allowing origins: [String], _ answer: ([(name: String, value: String)]) async throws -> Answer
  ) async throws -> Answer {
    let headers = try headers(request, allowing: origins)
    do {
      return try await answer(headers)
    } catch var problem as Problem {
      problem.headers += headers
      throw problem
    }
  }

  /// What a browser asks before it sends (`OPTIONS`).
  static func preflight(_ path: String, _ operationID: String, tag: String, origins: @escaping @Sendable (Request) async throws -> [String]) -> Endpoint {
    Endpoint(
      .options, path, access: .open,
      documentation: .init(
        operationID, tag: tag, "What pages of other origins may send", parameters: parameters(path), answers: [(204, "They may.", nil, nil)], refusals: [403]),
      handler: .operation { request in
        let allowed = try headers(request, allowing: try await origins(request))
        return Response(
          status: 204,
          headers: allowed + [
            ("access-control-allow-methods", "GET, POST, DELETE"), ("access-control-allow-headers", "authorization, content-type, last-event-id"),
            ("access-control-max-age", "600"),
          ])
      })
  }

  static func parameters(_ path: String) -> [Endpoint.Documentation.Parameter] {
    path.split(separator: "/").filter { $0.hasPrefix("{") }.map { .init(String($0.dropFirst().dropLast()), in: .path, required: true, "Its code.") }
  }
}
