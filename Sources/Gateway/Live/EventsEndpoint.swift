import CRMCore
import Foundation

/// `GET /v1/events`: all changes the caller may see, as they happen.
func eventsEndpoint(_ feed: LiveFeed, authenticator: Authenticator, signs: SignsOfLife) -> Endpoint {
  Endpoint(
    .get, "/v1/events", access: .signedIn,
    documentation: .init(
      "follow_events", tag: "changes", "Be told of changes as they happen",
      description: """
        Server-sent events, or a WebSocket if the request asks for one (RFC 6455). Each change comes once and in order, as `list_changes` shows it, if the caller \
        may see it at that moment; rights that change take effect at once. The id of an event (the cursor of a WebSocket's message) is where to go on after the \
        connection was lost: as Last-Event-ID, or as `after`. Without it the answer begins now. A `heartbeat` comes when nothing else does, and moves the cursor \
        on; `end` says why nothing more comes. A client that reads too slowly is cut off, and goes on where it was. Sensitive fields, such as identity numbers, come \
        without their values: `withheld` names those that had one; read the record.
        """,
      parameters: [
        .init("after", in: .query, "The cursor of the last change that was seen, from here or from list_changes."),
        .init("resource", in: .query, "Only changes of these resources, comma-separated."),
        .init(
          "record", in: .query, "Only changes of this record and, if it is a customer, of what belongs to it.", schema: ["type": "string", "format": "uuid"]),
        .init("last-event-id", in: .header, "The same as `after`, as browsers send it."),
      ],
      answers: [(200, "Changes, as long as the connection lasts.", "text/event-stream", ["type": "string"])], refusals: [426]),
    handler: .live { request in
      var wish = try feed.wish(of: request)
      let authorization = request.headers["authorization"]
      wish.reviewer = {
        let caller = try await authenticator.caller(authorization: authorization)
        if let user = caller.userID { signs.note(user, isConnected: true) }
        return caller
      }
      return wish
    })
}
