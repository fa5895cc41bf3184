import CRMCore
import Foundation
import PostgresClient

private struct NewCalendarFeed: OperationInput {
  let name: String?
  let departmentID: UUID?
  init(_ fields: inout InputReader) {
    name = fields.optionalText("name", "What the calendar is called.", maximum: 200)
    departmentID = fields.optionalID("department_id", "The department whose activities it shows; the caller's own activities if left out.")
  }
}

/// What makes a calendar's address impossible to guess: 256 random bits.
private func newToken() -> String {
  var generator = SystemRandomNumberGenerator()
  let bytes = (0..<32).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
  return Data(bytes).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
}

extension BusinessOperation {
  static let createCalendarFeed = BusinessOperation(
    "create_calendar_feed", .post, "/v1/calendar_feeds", of: "activities", access: .read(.sales),
    "Make an address at which calendar programs read activities (iCalendar)",
    description:
      "The address needs no sign-in and is shown this once; only its hash is kept. It shows what whoever made it may read at the time, until it is deleted.",
    input: NewCalendarFeed.self,
    answer: .json(
      [
        "type": "object", "required": ["id", "name", "path", "link"],
        "properties": [
          "id": ["type": "string", "format": "uuid"], "name": ["type": "string"], "path": ["type": "string", "description": "The address on this server."],
          "link": ["type": ["string", "null"], "description": "The whole address; null where http.publicAddress is not set."],
        ],
      ], status: 201)
  ) { run, input in
    guard let user = run.caller.userID else { throw Problem.unauthenticated }
    let token = newToken()
    let id = UUID.v7()
    let name = try await run.tx.value(
      String.self,
      """
      INSERT INTO crm.calendar_feed (id, user_id, department_id, name, token_hash)
      VALUES (\(id), \(user),
        CASE WHEN \(input.departmentID)::uuid IS NOT NULL THEN
          coalesce((SELECT d.id FROM crm.department AS d WHERE d.id = \(input.departmentID)), crm.missing_reference('department_id')) END,
        coalesce(\(input.name), (SELECT d.name FROM crm.department AS d WHERE d.id = \(input.departmentID)), \(run.caller.name)),
        sha256(convert_to(\(token), 'UTF8')))
      RETURNING name
      """)
    let path = "/v1/calendars/\(token).ics"
    return .json([
      "id": .string(id.lowercase), "name": .string(name), "path": .string(path), "link": run.request.link(to: path).map(JSON.string) ?? .null,
    ])
  }

  static let deleteCalendarFeed = BusinessOperation(
    "delete_calendar_feed", .delete, "/v1/calendar_feeds/{id}", of: "activities", access: .signedIn, "Shut a calendar's address", input: NoInput.self,
    answer: .empty
  ) { run, _ in
    guard try await run.tx.run("DELETE FROM crm.calendar_feed WHERE id = \(try run.id())") == 1 else { throw Problem.notFound }
    return .empty
  }
}

extension ReadOperation {
  static let calendarFeeds = ReadOperation(
    "list_calendar_feeds", "/v1/calendar_feeds", tag: "activities", access: .signedIn, "The calendar addresses the caller has made", input: NoInput.self,
    row: [
      "id": ["type": "string", "format": "uuid"], "name": ["type": "string"], "department_id": ["type": ["string", "null"], "format": "uuid"],
      "created_at": ["type": "string", "format": "date-time"],
    ], reading: []
  ) { request, _ in
    "SELECT f.id, f.name, f.department_id, f.created_at FROM crm.calendar_feed AS f WHERE f.user_id = \(request.caller.userID) ORDER BY f.id"
  }
}

extension Endpoint {
  /// The calendar behind an address: no sign-in but the token in it.
  static func calendar(_ database: Database) -> Endpoint {
    Endpoint(
      .get, "/v1/calendars/{token}", access: .open,
      documentation: .init(
        "get_calendar", tag: "activities", "A calendar of activities (iCalendar, RFC 5545)",
        description:
          "Meetings, calls and follow-ups from 90 days ago to a year ahead, cancelled ones with their status. The address comes from create_calendar_feed.",
        parameters: [.init("token", in: .path, required: true, "The secret part of the address; .ics may follow.")],
        answers: [(200, "The calendar.", "text/calendar", ["type": "string"])]),
      handler: .operation { request in
        let token = request.parameters["token"] ?? ""
        let secret = token.hasSuffix(".ics") ? String(token.dropLast(4)) : token
        guard secret.utf8.count == 43 else { throw Problem.notFound }
        let found = try await database.read(
          as: .system("calendar feed"), areas: [.admin], deadline: request.deadline,
          "SELECT f.user_id, f.department_id, f.name FROM crm.calendar_feed AS f WHERE f.token_hash = sha256(convert_to(\(secret), 'UTF8'))")
        guard let feed = found.rows.first,
          let caller = try await Caller.current(try feed.decode(UUID.self, "user_id"), via: "calendar", in: database)
        else { throw Problem.notFound }
        let activities = try await database.read(
          as: caller, areas: [.sales, .customers], deadline: request.deadline,
          CalendarActivity.statement(of: try feed.decode(UUID.self, "user_id"), department: try feed.decode(UUID?.self, "department_id")))
        var calendar = ICalendar(name: try feed.decode(String.self, "name"))
        for row in activities.rows { try CalendarActivity(row: row).write(to: &calendar) }
        return Response(status: 200, headers: [("content-type", "text/calendar; charset=utf-8")], body: .bytes(calendar.closed()))
      })
  }
}
