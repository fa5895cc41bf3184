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
        ["id": AnswerField.id, "number": AnswerField.text, "conversation_id": AnswerField.id], open),
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
        ], refusals: [404, 422]),
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

  private struct OpenedTicket: RowDecodable, Sendable {
    let number: String
    let conversationID: UUID

    init(row: PostgresRow) throws {
      number = try row.decode("number")
      conversationID = try row.decode("conversation_id")
    }
  }

  private func open(_ request: Request, _ visitor: Caller.PortalVisitor, _ input: PortalTicket) async throws -> JSON {
    if let order = input.orderID, try await !sees("SELECT 1 FROM crm.sales_order o WHERE o.id = \(order)", request) {
      throw Problem.invalid([.init("/order_id", code: "not-found", Phrase("There is no such order.", tr: "Böyle bir sipariş yok."))])
    }
    let conversation = UUID.v7()
    let customer = visitor.customerID
    let opened = try await database.transaction(as: system(visitor), request: request.id, deadline: request.deadline, retries: true) { tx in
      let earlier = try await tx.first(
        OpenedTicket.self, "SELECT t.number, t.conversation_id FROM crm.ticket t WHERE t.customer_id = \(customer) AND t.id = \(input.id)")
      if let earlier { return earlier }
      let statements: [SQL] = [
        """
        INSERT INTO crm.conversation (customer_id, id, contact_id, channel, subject, department_id)
        SELECT c.id, \(conversation), \(visitor.contactID)::uuid, 'web', \(input.subject), c.department_id FROM crm.customer c WHERE c.id = \(customer)
        """,
        """
        INSERT INTO crm.interaction (customer_id, conversation_id, contact_id, channel, direction, kind, subject, body_text, department_id)
        SELECT c.id, \(conversation), \(visitor.contactID)::uuid, 'web', 'in', 'message', \(input.subject), \(input.description), c.department_id
          FROM crm.customer c WHERE c.id = \(customer)
        """,
        """
        INSERT INTO crm.ticket (customer_id, id, subject, description, type, channel, contact_id, order_id, conversation_id, department_id)
        SELECT c.id, \(input.id), \(input.subject), \(input.description), \(input.type), 'portal', \(visitor.contactID)::uuid, \(input.orderID)::uuid, \(conversation),
               coalesce((SELECT a.department_id FROM crm.channel_account a WHERE a.is_active AND a.opens_tickets ORDER BY a.created_at, a.id LIMIT 1), c.department_id)
          FROM crm.customer c WHERE c.id = \(customer)
        RETURNING number, conversation_id
        """,
      ]
      guard let made = try await tx.results(statements).last?.rows.first else { throw Problem.notFound }
      return try OpenedTicket(row: made)
    }
    return ["id": .string(input.id.lowercase), "number": .string(opened.number), "conversation_id": .string(opened.conversationID.lowercase)]
  }

  private func write(_ request: Request, _ visitor: Caller.PortalVisitor, _ input: PortalMessage) async throws -> JSON {
    guard let conversation = request.parameters["id"].flatMap(UUID.init(uuidString:)),
      try await sees("SELECT 1 FROM crm.conversation c WHERE c.id = \(conversation)", request)
    else { throw Problem.notFound }
    try await database.transaction(as: system(visitor), request: request.id, deadline: request.deadline, retries: true) { tx in
      _ = try await tx.run(
        """
        INSERT INTO crm.interaction (customer_id, id, conversation_id, contact_id, channel, direction, kind, body_text, department_id)
        SELECT c.customer_id, \(input.id), c.id, \(visitor.contactID)::uuid, 'web', 'in', 'message', \(input.text), c.department_id
          FROM crm.conversation c
         WHERE c.customer_id = \(visitor.customerID) AND c.id = \(conversation)
           AND NOT EXISTS (SELECT FROM crm.interaction i WHERE i.customer_id = \(visitor.customerID) AND i.id = \(input.id))
        """)
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
