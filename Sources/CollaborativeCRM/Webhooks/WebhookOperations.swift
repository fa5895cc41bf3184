import CRMCore
import Foundation
import PostgresClient

private struct NewWebhook: OperationInput {
  let name: String
  let url: String
  let resources: [String]

  init(_ fields: inout InputReader) {
    name = fields.text("name", "What it is for.", maximum: 200)
    url = fields.text("url", "The address that messages are posted to: https, and no private network.", maximum: 2_000)
    resources = fields.texts("resources", "The resources whose changes it is told of; all if left out.", maximum: 200)
  }
}

private struct Rotation: OperationInput {
  let hours: Int?

  init(_ fields: inout InputReader) {
    hours = fields.optionalInteger("hours", "How long messages are signed with the previous secret too; 24 if left out.", in: 0...720)
  }
}

private struct Replay: OperationInput {
  let after: String?
  let since: Date?

  init(_ fields: inout InputReader) {
    after = fields.optionalText("after", "A cursor of list_changes or follow_events: everything behind it is sent again.", maximum: 500)
    since = fields.optionalInstant("since", "Everything that happened from then on is sent again.")
  }
}

extension BusinessOperation {
  private static let secretSchema: JSON = [
    "type": "object", "required": ["id", "secret"],
    "properties": [
      "id": ["type": "string", "format": "uuid"], "secret": ["type": "string", "description": "What messages are signed with; shown this once."],
    ],
  ]

  static let createWebhook = BusinessOperation(
    "create_webhook", .post, "/v1/webhooks", of: "webhooks", access: .write(.admin), "Have a program elsewhere told of changes",
    description: """
      Messages are Standard Webhooks: signed with the secret in the answer, which is shown this once, tried again for three days, in order for each record. They \
      tell what the caller may see at the time, from now on.
      """,
    input: NewWebhook.self, answer: .json(secretSchema, status: 201), extending: [.admin]
  ) { run, input in
    guard let user = run.caller.userID else { throw Problem.unauthenticated }
    guard run.caller.scopes == nil else {
      throw Problem.forbidden(
        Phrase(
          "A webhook sees what you see: make it signed in, or with a key that is not narrowed.",
          tr: "Web kancası sizin gördüğünüzü görür: oturum açarak ya da kısıtlanmamış bir anahtarla oluşturun."))
    }
    let known = try await run.tx.value(
      [String].self,
      "SELECT array(SELECT n FROM unnest(\(input.resources)::text[]) AS n WHERE NOT EXISTS (SELECT FROM crm.protection AS p WHERE p.resource = n))")
    if let unknown = known.first {
      throw Problem.invalid([
        .init("/resources", code: "unknown-resource", Phrase("There is no resource \"\(unknown)\".", tr: "\"\(unknown)\" adında bir kaynak yok."))
      ])
    }
    let id = UUID.v7()
    let secret = WebhookSignature.newSecret()
    try await run.tx.run(
      """
      INSERT INTO crm.webhook (id, name, url, resources, department_id, owner_id)
      VALUES (\(id), \(input.name), \(input.url), \(input.resources), \(try run.department()), \(user))
      """)
    try await run.tx.run("INSERT INTO crm.webhook_state (webhook_id, secret) VALUES (\(id), \(secret))")
    return .json(["id": .string(id.lowercase), "secret": .string(WebhookSignature.text(of: secret))])
  }

  static let rotateWebhookSecret = BusinessOperation(
    "rotate_webhook_secret", .post, "/v1/webhooks/{id}/rotate_secret", of: "webhooks", access: .write(.admin), "Sign a webhook's messages with a new secret",
    description: "For its owner, and for no key that was narrowed. Messages are signed with both secrets for a while, so that the receiver can change over.",
    input: Rotation.self, answer: .json(secretSchema), extending: [.admin]
  ) { run, input in
    let id = try run.id()
    guard run.caller.scopes == nil else {
      throw Problem.forbidden(
        Phrase(
          "With its secret a webhook's messages can be forged: change it signed in, or with a key that is not narrowed.",
          tr: "Web kancasının iletileri, gizli anahtarıyla taklit edilebilir: oturum açarak ya da kısıtlanmamış bir anahtarla değiştirin."))
    }
    let secret = WebhookSignature.newSecret()
    let changed = try await run.tx.run(
      """
      UPDATE crm.webhook_state AS s SET previous_secret = s.secret, previous_until = now() + make_interval(hours => \(input.hours ?? 24)), secret = \(secret)
      WHERE s.webhook_id = \(id) AND EXISTS (SELECT FROM crm.webhook AS w WHERE w.id = s.webhook_id AND w.owner_id = \(run.caller.userID))
      """)
    guard changed == 1 else { throw Problem.notFound }
    return .json(["id": .string(id.lowercase), "secret": .string(WebhookSignature.text(of: secret))])
  }

  static let replayWebhook = BusinessOperation(
    "replay_webhook", .post, "/v1/webhooks/{id}/replay", of: "webhooks", access: .write(.admin), "Send a webhook's messages again",
    description: """
      For its owner. Messages have the ids they had, so that a receiver that took one already can tell. What was not sent yet is sent in any case.
      """,
    input: Replay.self, answer: .empty, extending: [.admin]
  ) { run, input in
    let id = try run.id()
    guard (input.after == nil) != (input.since == nil) else {
      throw Problem.invalid([
        .init("/after", code: "required", Phrase("Give either after or since.", tr: "after ya da since alanlarından birini verin."))
      ])
    }
    let place: ChangePosition
    if let cursor = input.after {
      place = try ChangePosition(cursor: cursor, signer: run.signer, pointer: "/after")
    } else {
      let found = try await run.tx.result(
        """
        SELECT coalesce(min(c.xid), pg_snapshot_xmin(pg_current_snapshot()))::text AS xid FROM crm.change AS c WHERE c.at >= \(input.since)
        """)
      guard let xid = UInt64(try found[0].decode(String.self, "xid")) else { throw Problem.unexpected }
      place = ChangePosition(before: xid)
    }
    let changed = try await run.tx.run(
      """
      UPDATE crm.webhook_state AS s SET closed_until = NULL, failures = 0,
        -- Back, never forward: nobody asked for anything to be left out.
        (xid, seq) = (SELECT p.xid, p.seq FROM (VALUES (s.xid, s.seq), (\(place.arguments))) AS p (xid, seq) ORDER BY p.xid, p.seq LIMIT 1)
      WHERE s.webhook_id = \(id) AND EXISTS (SELECT FROM crm.webhook AS w WHERE w.id = s.webhook_id AND w.owner_id = \(run.caller.userID))
      """)
    guard changed == 1 else { throw Problem.notFound }
    try await run.tx.run("DELETE FROM crm.webhook_delivery AS d WHERE d.webhook_id = \(id) AND (d.xid, d.seq) > (\(place.arguments))")
    return .empty
  }
}

extension ReadOperation {
  private struct Page: OperationInput {
    let state: String?
    let before: ChangePosition?
    init(_ fields: inout InputReader) {
      state = fields.optionalText("state", "Only those in this state: pending, delivered, failed or withheld.", maximum: 20)
      let message = fields.optionalText("before", "Only what is older than this message: the message_id of the last one of the page before.", maximum: 60)
      before = message.flatMap { id in
        let parts = id.split(separator: "_", omittingEmptySubsequences: false).map(String.init)
        return parts.count == 3 && parts[0] == "msg" ? ChangePosition(xid: parts[1], sequence: parts[2]) : nil
      }
      if message != nil, before == nil {
        fields.refuse("before", code: "format", Phrase("Give a message_id of this list.", tr: "Bu listedeki bir message_id değerini verin."))
      }
    }
  }

  static let webhookDeliveries = ReadOperation(
    "list_webhook_deliveries", "/v1/webhooks/{id}/deliveries", tag: "webhooks", access: .read(.admin), "A webhook's last messages, and what became of them",
    description: "Latest first, 200 a page.", input: Page.self,
    row: [
      "message_id": AnswerField.text, "resource": AnswerField.text, "record_id": AnswerField.id, "op": AnswerField.text, "state": AnswerField.text,
      "attempts": AnswerField.count, "next_attempt_at": AnswerField.optional(AnswerField.instant), "last_status": AnswerField.optional(AnswerField.integer),
      "last_problem": AnswerField.optional(AnswerField.text), "last_attempt_at": AnswerField.optional(AnswerField.instant), "created_at": AnswerField.instant,
    ], reading: [.admin], mustExist: { request in "SELECT w.id FROM crm.webhook AS w WHERE w.id = \(try request.recordID())" }
  ) { request, input in
    """
    SELECT 'msg_' || d.xid || '_' || d.seq AS message_id, d.resource, d.record_id, d.op, d.state, d.attempts,
      CASE WHEN d.state = 'pending' THEN d.next_attempt_at END AS next_attempt_at, d.last_status, d.last_problem, d.last_attempt_at, d.created_at
    FROM crm.webhook_delivery AS d WHERE d.webhook_id = \(try request.recordID()) AND (\(input.state)::text IS NULL OR d.state = \(input.state))
      \(input.before.map { "AND (d.xid, d.seq) < (\($0.arguments))" as SQL } ?? "")
    ORDER BY d.xid DESC, d.seq DESC LIMIT 200
    """
  }
}
