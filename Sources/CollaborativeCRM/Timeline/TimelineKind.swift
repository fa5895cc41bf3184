import CRMCore
import Foundation
import PostgresClient

/// What a customer's timeline is made of. Each kind is read from one table, under that table's own policies; of tickets and answers to surveys everybody who
/// reads the customer sees the outline, from functions that ask the rest for whom it is.
enum TimelineKind: String, CaseIterable, Sendable {
  case interaction, activity, order, quote, invoice, payment, ticket
  case campaignTouch = "campaign_touch"
  case tierChange = "tier_change"
  case consent
  case internalNote = "internal_note"
  case surveyResponse = "survey_response"

  /// The area without which the table shows nothing, so that it need not be asked at all.
  var area: Area {
    switch self {
    case .interaction, .consent, .ticket, .surveyResponse: .customers
    case .activity, .order, .quote: .sales
    case .invoice, .payment: .finance
    case .internalNote: .service
    case .campaignTouch: .marketing
    case .tierChange: .analytics
    }
  }

  /// Where the rows of a kind are and how they read. Columns stand in the order of `Timeline.columns`, behind `at` and `id`.
  struct Source {
    let from: SQL
    let customer: SQL
    let at: SQL
    let id: SQL
    /// nil for what has no channel: a timeline of one channel leaves it out.
    let channel: SQL?
    let columns: SQL
  }

  func source(of customer: UUID) -> Source {
    switch self {
    case .interaction:
      Source(
        from: "crm.interaction AS x", customer: "x.customer_id", at: "x.occurred_at", id: "x.id", channel: "x.channel",
        columns: """
          'interactions', x.kind, x.channel, x.direction, x.status, x.subject, left(x.body_text, 500), nullif(x.cost, 0)::numeric, x.currency,
          coalesce(x.created_by, x.owner_id), x.contact_id, x.conversation_id, x.attachment_count
          """)
    case .activity:
      Source(
        from: "crm.activity AS x", customer: "x.customer_id", at: "x.starts_at", id: "x.id", channel: nil,
        columns: """
          'activities', x.kind, NULL, NULL, x.status, x.subject, left(coalesce(x.minutes, x.agenda, x.next_step), 500), NULL, NULL,
          x.owner_id, x.contact_id, NULL, NULL
          """)
    case .order:
      Source(
        from: "crm.sales_order AS x", customer: "x.customer_id", at: "x.ordered_at", id: "x.id", channel: "x.channel",
        columns: """
          'orders', NULL, x.channel, NULL, x.status, coalesce(x.number, x.external_number), left(x.note, 500), x.amount::numeric, x.currency,
          x.owner_id, NULL, NULL, NULL
          """)
    case .quote:
      Source(
        from: "crm.quote AS x", customer: "x.customer_id", at: "x.created_at", id: "x.id", channel: nil,
        columns: """
          'quotes', NULL, NULL, NULL, x.status, x.number || '-' || x.revision, left(x.note, 500), x.total_amount::numeric, x.currency,
          x.owner_id, x.contact_id, NULL, NULL
          """)
    case .invoice:
      Source(
        from: "crm.invoice AS x", customer: "x.customer_id",
        at: "coalesce((x.issue_date + x.issue_time) AT TIME ZONE 'Europe/Istanbul', x.created_at)", id: "x.id", channel: nil,
        columns: """
          'invoices', x.type, NULL, NULL, x.status, x.number, left(x.note, 500), x.payable_amount::numeric, x.currency, x.owner_id, NULL, NULL, NULL
          """)
    case .payment:
      Source(
        from: "crm.payment AS x", customer: "x.customer_id", at: "x.paid_on::timestamp AT TIME ZONE 'Europe/Istanbul'", id: "x.id", channel: nil,
        columns: """
          'payments', x.method, NULL, x.direction, NULL, x.reference, left(x.note, 500), x.amount::numeric, x.currency, x.owner_id, NULL, NULL, NULL
          """)
    case .ticket:
      Source(
        from: "crm.tickets_in_timeline(\(customer)) AS x", customer: "x.customer_id", at: "x.opened_at", id: "x.id", channel: "x.channel",
        columns: """
          'tickets', x.type, x.channel, NULL, x.status, x.title, left(x.description, 500), NULL, NULL,
          x.assignee_id, x.contact_id, x.conversation_id, NULL
          """)
    case .campaignTouch:
      Source(
        from: "crm.campaign_touch AS x LEFT JOIN crm.campaign AS c ON c.id = x.campaign_id", customer: "x.customer_id", at: "x.touched_at", id: "x.id",
        channel: "x.channel",
        columns: """
          'campaign_touches', NULL, x.channel, 'out', CASE WHEN x.clicked_at IS NOT NULL THEN 'clicked' WHEN x.opened_at IS NOT NULL THEN 'opened'
            WHEN x.delivered THEN 'delivered' ELSE 'failed' END, c.name, NULL, nullif(x.cost, 0)::numeric, x.currency, x.owner_id, NULL, NULL, NULL
          """)
    case .tierChange:
      Source(
        from: "crm.customer_tier_history AS x", customer: "x.customer_id", at: "x.valid_from", id: "x.model_id", channel: nil,
        columns: """
          'value_models', NULL, NULL, NULL, x.tier, x.tier, (SELECT b.tier FROM crm.customer_tier_history AS b
            WHERE b.customer_id = x.customer_id AND b.model_id = x.model_id AND b.valid_from < x.valid_from ORDER BY b.valid_from DESC LIMIT 1),
          NULL, NULL, NULL, NULL, NULL, NULL
          """)
    case .consent:
      Source(
        from: "crm.consent_event AS x", customer: "x.customer_id", at: "x.consented_at", id: "x.id", channel: "x.channel",
        columns: """
          'consent_events', x.recipient_type, x.channel, NULL, x.status, x.purpose, left(x.note, 500), NULL, NULL, x.created_by, x.contact_id, NULL, NULL
          """)
    case .internalNote:
      Source(
        from: "crm.internal_note AS x", customer: "x.customer_id", at: "x.created_at", id: "x.id", channel: nil,
        columns: """
          'internal_notes', NULL, NULL, NULL, NULL, NULL, left(x.text, 500), NULL, NULL, x.author_id, NULL, x.conversation_id, NULL
          """)
    case .surveyResponse:
      Source(
        from: "crm.survey_responses_in_timeline(\(customer)) AS x", customer: "x.customer_id", at: "x.answered_at", id: "x.id", channel: nil,
        columns: """
          'survey_responses', x.kind, NULL, 'in', x.band, x.score::text, NULL, NULL, NULL, x.agent_id, x.contact_id, NULL, NULL
          """)
    }
  }
}
