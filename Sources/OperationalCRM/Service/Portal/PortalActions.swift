import CRMCore
import Foundation
import PostgresClient

/// What a customer does in the portal. What it is about is asked of the portal's role first; it then happens through the system, for this customer alone.
struct PortalActions {
  let database: Database
  let catalogue: Catalogue

  var endpoints: [Endpoint] {
    [
      endpoint(
        "/v1/portal/tickets", "open_portal_ticket", "Open a ticket, with a conversation to answer in", PortalTicket.self,
        [
          "id": AnswerField.id, "number": AnswerField.text, "conversation_id": AnswerField.id,
          "articles": [
            "type": "array", "description": "What is known and may answer it already, best first.",
            "items": [
              "type": "object", "required": ["slug", "title", "summary"],
              "properties": ["slug": AnswerField.text, "title": AnswerField.text, "summary": AnswerField.optional(AnswerField.text)],
            ],
          ],
        ], open),
      endpoint("/v1/portal/conversations/{id}/messages", "write_portal_message", "Write in a conversation", PortalMessage.self, ["id": AnswerField.id], write),
      endpoint(
        "/v1/portal/consents", "give_portal_consent", "Allow or refuse messages to one's own address", PortalConsent.self, ["status": AnswerField.text], consent
      ),
    ]
  }

  private func endpoint<Input: OperationInput>(
    _ path: String, _ name: String, _ summary: String, _ input: Input.Type, _ answer: [String: JSON],
    _ act: @Sendable @escaping (Request, Caller.PortalVisitor, Input) async throws -> JSON
  ) -> Endpoint {
    Endpoint(
      .post, path, access: .portal, body: .collected,
      documentation: .init(
        name, tag: "portal", summary,
        parameters: path.contains("{id}") ? [.init("id", in: .path, required: true, "The conversation.", schema: AnswerField.id)] : [],
        input: ("application/json", InputReader.schema(of: Input.self)),
        answers: [
          (201, "Done.", "application/json", ["type": "object", "required": .array(answer.keys.sorted().map(JSON.string)), "properties": .object(answer)])
        ], refusals: [404, 409, 422]),
      handler: .operation { request in
        guard let visitor = request.caller.portalVisitor else { throw Problem.unauthenticated }
        let given = try InputReader.read(Input.self, from: request.json())
        do {
          return .json(try await act(request, visitor, given).encoded(), status: 201)
        } catch let error as PostgresError {
          throw WriteProblem(catalogue: catalogue).problem(for: error) ?? error
        }
      })
  }

  /// Whether the visitor sees what a statement looks for.
  private func sees(_ statement: SQL, _ request: Request) async throws -> Bool {
    try await database.read(as: request.caller, areas: [], deadline: request.deadline, statement).count > 0
  }

  private func system(_ visitor: Caller.PortalVisitor) -> Caller { .system("portal \(visitor.accessID.lowercase)") }

  private func open(_ request: Request, _ visitor: Caller.PortalVisitor, _ input: PortalTicket) async throws -> JSON {
    if let order = input.orderID, try await !sees("SELECT 1 FROM crm.sales_order o WHERE o.id = \(order)", request) {
      throw Problem.invalid([.init("/order_id", code: "not-found", Phrase("There is no such order.", tr: "Böyle bir sipariş yok."))])
    }
    let articles = try await articles(for: input, request)
    if let earlier = try await opened(input, articles, request) { return earlier }
    let conversation = UUID.v7()
    let customer = visitor.customerID
    try await database.transaction(as: system(visitor), request: request.id, deadline: request.deadline, retries: true) { tx in
      // Sent twice at once, it is opened once.
      try await tx.run("SELECT pg_advisory_xact_lock(hashtext('crm.portal'), hashtext(\(input.id.lowercase)))")
      guard try await tx.result("SELECT 1 FROM crm.ticket t WHERE t.id = \(input.id)").count == 0 else { return }
      // Service answers; what is not the whole company's about the customer is seen by service and the customer's owner alone.
      let place: SQL = """
        SELECT c.id AS customer_id, CASE c.visibility WHEN 'company' THEN 'company' ELSE 'department' END AS visibility,
               CASE WHEN c.visibility <> 'company' THEN c.owner_id END AS owner_id,
               coalesce((SELECT a.department_id FROM crm.channel_account a WHERE a.is_active AND a.opens_tickets ORDER BY a.created_at, a.id LIMIT 1),
                        (SELECT m.department_id FROM crm.team m WHERE m.active ORDER BY m.created_at, m.id LIMIT 1), c.department_id) AS service_id
          FROM crm.customer c WHERE c.id = \(customer)
        """
      _ = try await tx.results([
        """
        INSERT INTO crm.conversation (customer_id, id, contact_id, channel, subject, department_id, owner_id, visibility)
        SELECT p.customer_id, \(conversation), \(visitor.contactID)::uuid, 'web', \(input.subject), p.service_id, p.owner_id, p.visibility FROM (\(place)) AS p
        """,
        """
        INSERT INTO crm.interaction (customer_id, conversation_id, contact_id, channel, direction, kind, subject, body_text, department_id)
        SELECT c.customer_id, c.id, c.contact_id, 'web', 'in', 'message', \(input.subject), \(input.description), c.department_id
          FROM crm.conversation c WHERE c.customer_id = \(customer) AND c.id = \(conversation)
        """,
        """
        INSERT INTO crm.ticket (customer_id, id, subject, description, type, channel, contact_id, order_id, conversation_id, department_id, visibility)
        SELECT p.customer_id, \(input.id), \(input.subject), \(input.description), \(input.type), 'portal', \(visitor.contactID)::uuid, \(input.orderID)::uuid, \(conversation),
               p.service_id, p.visibility FROM (\(place)) AS p
        """,
      ])
    }
    guard let made = try await opened(input, articles, request) else { throw Self.idTaken }
    return made
  }

  /// The ticket that has this id already, or now, as the visitor sees it.
  private func opened(_ input: PortalTicket, _ articles: [JSON], _ request: Request) async throws -> JSON? {
    let found = try await database.read(
      as: request.caller, areas: [], deadline: request.deadline,
      "SELECT t.number, t.conversation_id FROM crm.ticket t WHERE t.id = \(input.id) AND t.conversation_id IS NOT NULL")
    guard let row = found.rows.first else { return nil }
    return [
      "id": .string(input.id.lowercase), "number": .string(try row.decode("number")),
      "conversation_id": .string(try row.decode(UUID.self, "conversation_id").lowercase), "articles": .array(articles),
    ]
  }

  /// What of the articles for customers may answer a ticket, in the visitor's language.
  private func articles(for input: PortalTicket, _ request: Request) async throws -> [JSON] {
    let found = try await database.read(
      as: request.caller, areas: [], deadline: request.deadline,
      """
      SELECT a.slug, v.title, v.summary
        FROM (SELECT coalesce(p.locale, c.locale) AS locale FROM crm.customer c LEFT JOIN crm.contact p ON p.customer_id = c.id) AS x
        CROSS JOIN LATERAL crm.find_articles(\(input.subject + " " + input.description), CASE x.locale WHEN 'en' THEN 'en' ELSE 'tr' END, false, 3) f
        JOIN crm.article a ON a.id = f.article_id JOIN crm.article_version v ON v.id = f.version_id ORDER BY f.rank DESC, f.version_id
      """)
    return try found.rows.map { row in
      [
        "slug": .string(try row.decode("slug")), "title": .string(try row.decode("title")),
        "summary": try row.decode(String?.self, "summary").map(JSON.string) ?? .null,
      ]
    }
  }

  private static let idTaken = Problem(
    409, "id-taken", Phrase("This id is used already. Make a new one, or leave it out.", tr: "Bu kimlik kullanılmış. Yenisini üretin ya da vermeyin."))

  private func write(_ request: Request, _ visitor: Caller.PortalVisitor, _ input: PortalMessage) async throws -> JSON {
    guard let conversation = request.parameters["id"].flatMap(UUID.init(uuidString:)),
      try await sees("SELECT 1 FROM crm.conversation c WHERE c.id = \(conversation)", request)
    else { throw Problem.notFound }
    let customer = visitor.customerID
    try await database.transaction(as: system(visitor), request: request.id, deadline: request.deadline, retries: true) { tx in
      // Sent twice at once, it is written once.
      try await tx.run("SELECT pg_advisory_xact_lock(hashtext('crm.portal'), hashtext(\(input.id.lowercase)))")
      let earlier = try await tx.result("SELECT i.conversation_id, i.direction FROM crm.interaction i WHERE i.customer_id = \(customer) AND i.id = \(input.id)")
      if let row = earlier.rows.first {
        guard try row.decode(UUID?.self, "conversation_id") == conversation, try row.decode(String.self, "direction") == "in" else { throw Self.idTaken }
        return
      }
      _ = try await tx.results([
        """
        INSERT INTO crm.interaction (customer_id, id, conversation_id, contact_id, channel, direction, kind, body_text, department_id)
        SELECT c.customer_id, \(input.id), c.id, \(visitor.contactID)::uuid, 'web', 'in', 'message', \(input.text), c.department_id
          FROM crm.conversation c WHERE c.customer_id = \(customer) AND c.id = \(conversation)
        """,
        // Whoever writes again after everything was closed has something new to say.
        """
        INSERT INTO crm.ticket (customer_id, subject, description, type, channel, contact_id, order_id, conversation_id, department_id, visibility)
        SELECT t.customer_id, t.subject, \(input.text), t.type, 'portal', \(visitor.contactID)::uuid, t.order_id, t.conversation_id, t.department_id,
               CASE t.visibility WHEN 'company' THEN 'company' ELSE 'department' END
          FROM crm.ticket t
         WHERE t.customer_id = \(customer) AND t.conversation_id = \(conversation) AND NOT EXISTS (
           SELECT FROM crm.ticket x LEFT JOIN crm.ticket s ON s.customer_id = x.customer_id AND s.id = x.merged_into_id
            WHERE x.customer_id = t.customer_id AND x.conversation_id = t.conversation_id AND coalesce(s.status, x.status) <> 'closed')
         ORDER BY t.opened_at DESC, t.id DESC LIMIT 1
        """,
      ])
    }
    return ["id": .string(input.id.lowercase)]
  }

  private func consent(_ request: Request, _ visitor: Caller.PortalVisitor, _ input: PortalConsent) async throws -> JSON {
    let agent = request.headers["user-agent"].map { String($0.prefix(500)) }
    let stored = try await database.transaction(as: system(visitor), request: request.id, deadline: request.deadline, retries: true) { tx in
      try await tx.run(
        """
        INSERT INTO crm.consent_event (customer_id, contact_id, channel, address, brand_id, purpose, status, source, remote_address, user_agent)
        SELECT p.customer_id, p.contact_id, \(input.channel), p.value, \(input.brandID)::uuid, \(input.purpose), \(input.status), 'HS_WEB', \(request.remoteAddress), \(agent)
          FROM crm.contact_point p
         WHERE p.customer_id = \(visitor.customerID) AND (\(visitor.contactID)::uuid IS NULL OR p.contact_id = \(visitor.contactID)::uuid)
           AND p.kind = CASE \(input.channel)::text WHEN 'email' THEN 'email' ELSE 'phone' END
           AND crm.normal_address(\(input.channel)::text, p.value) = crm.normal_address(\(input.channel)::text, \(input.address))
         ORDER BY p.contact_id IS NULL, p.id LIMIT 1
        """)
    }
    guard stored == 1 else {
      throw Problem.invalid([.init("/address", code: "not-found", Phrase("This is none of your addresses.", tr: "Bu, sizin adreslerinizden biri değil."))])
    }
    return ["status": .string(input.status.rawValue)]
  }
}
