import CRMCore
import Foundation
import PostgresClient

/// A page of a list, newest first.
private struct PortalPage: OperationInput {
  let limit: Int
  let after: UUID?
  let before: Date?

  init(_ fields: inout InputReader) {
    limit = fields.optionalInteger("limit", "At most so many; 50 when left out.", in: 1...200) ?? 50
    after = fields.optionalID("after", "The id of the last one seen: what comes behind it.")
    before = fields.optionalInstant("before", "Only what is older than this instant.")
  }
}

/// What a customer sees. The statements name no customer: the role they run as sees no other's rows.
extension ReadOperation {
  static let portal = [me, tickets, orders, orderLines, shipments, invoices, invoiceLines, consents, conversations, messages]

  private static func id(_ request: Request) -> UUID? { request.parameters["id"].flatMap(UUID.init(uuidString:)) }

  private static let me = ReadOperation(
    "get_portal_customer", "/v1/portal/me", tag: "portal", access: .portal, "Whose token it is", input: NoInput.self,
    row: [
      "customer_id": AnswerField.id, "name": AnswerField.text, "locale": AnswerField.text, "contact_id": AnswerField.optional(AnswerField.id),
      "contact_name": AnswerField.optional(AnswerField.text),
    ], reading: []
  ) { _, _ in
    """
    SELECT c.id AS customer_id, c.name, coalesce(p.locale, c.locale) AS locale, p.id AS contact_id, p.name AS contact_name
      FROM crm.customer c LEFT JOIN crm.contact p ON p.customer_id = c.id
    """
  }

  private static let tickets = ReadOperation(
    "list_portal_tickets", "/v1/portal/tickets", tag: "portal", access: .portal, "The customer's tickets", input: PortalPage.self,
    row: [
      "id": AnswerField.id, "number": AnswerField.text, "subject": AnswerField.text, "description": AnswerField.optional(AnswerField.text),
      "type": AnswerField.text,
      "status": AnswerField.text, "conversation_id": AnswerField.optional(AnswerField.id), "order_id": AnswerField.optional(AnswerField.id),
      "opened_at": AnswerField.instant, "resolved_at": AnswerField.optional(AnswerField.instant), "closed_at": AnswerField.optional(AnswerField.instant),
    ], reading: []
  ) { _, page in
    """
    SELECT t.id, t.number, t.subject, t.description, t.type, t.status, t.conversation_id, t.order_id, t.opened_at, t.resolved_at, t.closed_at FROM crm.ticket t
     WHERE (\(page.before)::timestamptz IS NULL OR t.opened_at < \(page.before)::timestamptz)
       AND (\(page.after)::uuid IS NULL OR (t.opened_at, t.id) < (SELECT x.opened_at, x.id FROM crm.ticket x WHERE x.id = \(page.after)::uuid))
     ORDER BY t.opened_at DESC, t.id DESC LIMIT \(page.limit)
    """
  }

  private static let orders = ReadOperation(
    "list_portal_orders", "/v1/portal/orders", tag: "portal", access: .portal, "The customer's orders", input: PortalPage.self,
    row: [
      "id": AnswerField.id, "number": AnswerField.optional(AnswerField.text), "status": AnswerField.text, "ordered_at": AnswerField.instant,
      "currency": AnswerField.text, "amount": AnswerField.decimal,
    ], reading: []
  ) { _, page in
    """
    SELECT o.id, coalesce(o.number, o.external_number) AS number, o.status, o.ordered_at, o.currency, o.amount FROM crm.sales_order o
     WHERE (\(page.before)::timestamptz IS NULL OR o.ordered_at < \(page.before)::timestamptz)
       AND (\(page.after)::uuid IS NULL OR (o.ordered_at, o.id) < (SELECT x.ordered_at, x.id FROM crm.sales_order x WHERE x.id = \(page.after)::uuid))
     ORDER BY o.ordered_at DESC, o.id DESC LIMIT \(page.limit)
    """
  }

  private static let orderLines = ReadOperation(
    "list_portal_order_lines", "/v1/portal/orders/{id}/lines", tag: "portal", access: .portal, "What was ordered", input: NoInput.self,
    row: [
      "line_number": AnswerField.integer, "product": AnswerField.optional(AnswerField.text), "quantity": AnswerField.decimal,
      "unit_price": AnswerField.optional(AnswerField.decimal), "amount": AnswerField.decimal,
    ], reading: [], mustExist: { "SELECT 1 FROM crm.sales_order o WHERE o.id = \(id($0))" }
  ) { request, _ in
    """
    SELECT l.line_number, p.name AS product, l.quantity, l.unit_price, l.amount FROM crm.sales_order_line l LEFT JOIN crm.product p ON p.id = l.product_id
     WHERE l.order_id = \(id(request)) ORDER BY l.line_number
    """
  }

  private static let shipments = ReadOperation(
    "list_portal_order_shipments", "/v1/portal/orders/{id}/shipments", tag: "portal", access: .portal, "What of an order is under way", input: NoInput.self,
    row: [
      "number": AnswerField.text, "shipped_on": AnswerField.day, "carrier": AnswerField.optional(AnswerField.text),
      "tracking_number": AnswerField.optional(AnswerField.text),
    ], reading: [], mustExist: { "SELECT 1 FROM crm.sales_order o WHERE o.id = \(id($0))" }
  ) { request, _ in
    "SELECT s.number, s.shipped_on, s.carrier, s.tracking_number FROM crm.shipment s WHERE s.order_id = \(id(request)) ORDER BY s.shipped_on, s.number"
  }

  private static let invoices = ReadOperation(
    "list_portal_invoices", "/v1/portal/invoices", tag: "portal", access: .portal, "The customer's issued invoices", input: PortalPage.self,
    row: [
      "id": AnswerField.id, "number": AnswerField.text, "type": AnswerField.text, "issue_date": AnswerField.day,
      "due_on": AnswerField.optional(AnswerField.day),
      "currency": AnswerField.text, "net_amount": AnswerField.decimal, "vat_amount": AnswerField.decimal,
      "payable_amount": AnswerField.optional(AnswerField.decimal),
    ], reading: []
  ) { _, page in
    """
    SELECT i.id, i.number, i.type, i.issue_date, i.due_on, i.currency, i.net_amount, i.vat_amount, i.payable_amount FROM crm.invoice i
     WHERE (\(page.before)::timestamptz IS NULL OR i.issue_date < (\(page.before)::timestamptz AT TIME ZONE 'Europe/Istanbul')::date)
       AND (\(page.after)::uuid IS NULL OR (i.issue_date, i.id) < (SELECT x.issue_date, x.id FROM crm.invoice x WHERE x.id = \(page.after)::uuid))
     ORDER BY i.issue_date DESC, i.id DESC LIMIT \(page.limit)
    """
  }

  private static let invoiceLines = ReadOperation(
    "list_portal_invoice_lines", "/v1/portal/invoices/{id}/lines", tag: "portal", access: .portal, "What was invoiced", input: NoInput.self,
    row: [
      "line_number": AnswerField.integer, "description": AnswerField.text, "quantity": AnswerField.decimal, "unit_code": AnswerField.text,
      "unit_price": AnswerField.decimal, "discount_percent": AnswerField.decimal, "vat_rate": AnswerField.decimal,
      "net_amount": AnswerField.optional(AnswerField.decimal), "vat_amount": AnswerField.decimal,
    ], reading: [], mustExist: { "SELECT 1 FROM crm.invoice i WHERE i.id = \(id($0))" }
  ) { request, _ in
    """
    SELECT l.line_number, l.description, l.quantity, l.unit_code, l.unit_price, l.discount_percent, l.vat_rate, l.net_amount, l.vat_amount
      FROM crm.invoice_line l WHERE l.invoice_id = \(id(request)) ORDER BY l.line_number
    """
  }

  private static let consents = ReadOperation(
    "list_portal_consents", "/v1/portal/consents", tag: "portal", access: .portal, "What was last allowed or refused, for each address, purpose and brand",
    input: NoInput.self,
    row: [
      "channel": AnswerField.text, "address": AnswerField.text, "purpose": AnswerField.text, "brand_id": AnswerField.optional(AnswerField.id),
      "brand": AnswerField.optional(AnswerField.text), "status": AnswerField.text, "consented_at": AnswerField.instant,
      "valid_until": AnswerField.optional(AnswerField.instant), "source": AnswerField.text,
    ], reading: []
  ) { _, _ in
    """
    SELECT e.channel, e.address, e.purpose, e.brand_id, b.name AS brand, e.status, e.consented_at, e.valid_until, e.source
      FROM (SELECT DISTINCT ON (e.channel, e.address, e.purpose, e.brand_id)
                   e.channel, e.address, e.purpose, e.brand_id, e.status, e.consented_at, e.valid_until, e.source
              FROM crm.consent_event e WHERE e.address IS NOT NULL
             ORDER BY e.channel, e.address, e.purpose, e.brand_id, e.consented_at DESC, e.status DESC, e.id DESC) AS e
      LEFT JOIN crm.brand b ON b.id = e.brand_id
     ORDER BY e.channel, e.address, e.purpose
    """
  }

  private static let conversations = ReadOperation(
    "list_portal_conversations", "/v1/portal/conversations", tag: "portal", access: .portal, "What was written to each other", input: PortalPage.self,
    row: [
      "id": AnswerField.id, "channel": AnswerField.text, "subject": AnswerField.optional(AnswerField.text),
      "last_interaction_at": AnswerField.optional(AnswerField.instant), "created_at": AnswerField.instant,
    ], reading: []
  ) { _, page in
    """
    SELECT c.id, c.channel, c.subject, c.last_interaction_at, c.created_at FROM crm.conversation c
     WHERE (\(page.before)::timestamptz IS NULL OR c.created_at < \(page.before)::timestamptz)
       AND (\(page.after)::uuid IS NULL OR (c.created_at, c.id) < (SELECT x.created_at, x.id FROM crm.conversation x WHERE x.id = \(page.after)::uuid))
     ORDER BY c.created_at DESC, c.id DESC LIMIT \(page.limit)
    """
  }

  private static let messages = ReadOperation(
    "list_portal_messages", "/v1/portal/conversations/{id}/messages", tag: "portal", access: .portal, "The messages of a conversation", input: PortalPage.self,
    row: [
      "id": AnswerField.id, "occurred_at": AnswerField.instant, "channel": AnswerField.text, "direction": AnswerField.text,
      "subject": AnswerField.optional(AnswerField.text), "body_text": AnswerField.optional(AnswerField.text),
    ], reading: [], mustExist: { "SELECT 1 FROM crm.conversation c WHERE c.id = \(id($0))" }
  ) { request, page in
    """
    SELECT i.id, i.occurred_at, i.channel, i.direction, i.subject, i.body_text FROM crm.interaction i
     WHERE i.conversation_id = \(id(request)) AND (\(page.before)::timestamptz IS NULL OR i.occurred_at < \(page.before)::timestamptz)
       AND (\(page.after)::uuid IS NULL OR (i.occurred_at, i.id) < (SELECT x.occurred_at, x.id FROM crm.interaction x WHERE x.id = \(page.after)::uuid))
     ORDER BY i.occurred_at DESC, i.id DESC LIMIT \(page.limit)
    """
  }
}
