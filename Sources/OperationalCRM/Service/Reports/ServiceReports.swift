import CRMCore
import Foundation
import PostgresClient

extension Concept {
  /// Whether promises are kept, and what is still open.
  static let serviceReports = Concept(reads: [.slaReport, .ticketAgeing, .resolutionCurve])
}

enum ServiceGrouping: String, CaseIterable, Sendable {
  case all, team, agent, policy, type, priority, tier, channel
}

enum ClockKind: String, CaseIterable, Sendable {
  case firstResponse = "first_response"
  case nextResponse = "next_response"
  case resolution
}

private struct ReportPeriod: OperationInput {
  let from: CalendarDate?
  let to: CalendarDate?
  let clock: ClockKind
  let groupBy: ServiceGrouping

  init(_ fields: inout InputReader) {
    from = fields.optionalDay("from", "The first day, in Türkiye; the first of this month when left out.")
    to = fields.optionalDay("to", "The last day, in Türkiye; today when left out.")
    clock = fields.optionalOption("clock", "Which promise: first_response when left out.", of: ClockKind.self) ?? .firstResponse
    groupBy = fields.optionalOption("group_by", "What to break it down by; all together when left out.", of: ServiceGrouping.self) ?? .all
    if let from, let to, from.daysSince1970 > to.daysSince1970 {
      fields.refuse("to", code: "range", Phrase("The last day lies before the first.", tr: "Son gün ilk günden önce."))
    }
  }

  /// The first instant of the first day.
  var since: SQL { "(coalesce(\(from), date_trunc('month', crm.business_day(now()))::date)::timestamp AT TIME ZONE 'Europe/Istanbul')" }
  /// The instant at which the last day ends.
  var until: SQL { "((coalesce(\(to), crm.business_day(now())) + 1)::timestamp AT TIME ZONE 'Europe/Istanbul')" }
}

private struct AgeingGrouping: OperationInput {
  let groupBy: ServiceGrouping

  init(_ fields: inout InputReader) {
    groupBy = fields.optionalOption("group_by", "What to break it down by; all together when left out.", of: ServiceGrouping.self) ?? .all
  }
}

private struct CurveScope: OperationInput {
  let days: Int
  let teamID: UUID?
  let type: TicketType?
  let priority: TicketPriority?

  init(_ fields: inout InputReader) {
    days = fields.optionalInteger("days", "Tickets that came in so many days; 365 when left out.", in: 1...3_650) ?? 365
    teamID = fields.optionalID("team_id", "Of one team.")
    type = fields.optionalOption("type", "Of one type.", of: TicketType.self)
    priority = fields.optionalOption("priority", "Of one priority.", of: TicketPriority.self)
  }
}

extension ReadOperation {
  private static let group: [String: JSON] = ["group_key": AnswerField.optional(AnswerField.text), "label": AnswerField.optional(AnswerField.text)]

  static let slaReport = ReadOperation(
    "sla_report", "/v1/service/sla", tag: "sla_policies", access: .read(.service), "How many promises were kept",
    description: """
      Promises whose outcome became known in the period: kept when they were done, broken when their limit passed, be they done by now or not. Attainment is \
      kept ÷ all of them. Percentiles are of what is done, in seconds of the policies' calendars: continuous (Hyndman and Fan, type 7), and of an actual ticket.
      """, input: ReportPeriod.self,
    row: group.merging([
      "met": AnswerField.count, "breached": AnswerField.count, "still_open": AnswerField.count, "attainment": AnswerField.number,
      "median_seconds": AnswerField.optional(AnswerField.number), "p90_seconds": AnswerField.optional(AnswerField.number),
      "median_ticket_seconds": AnswerField.optional(AnswerField.number), "p90_ticket_seconds": AnswerField.optional(AnswerField.number),
    ]) { $1 }, reading: [.service], lane: .reports
  ) { _, period in
    """
    SELECT r.group_key, r.label, r.met, r.breached, r.still_open, r.attainment, r.median_seconds, r.p90_seconds, r.median_ticket_seconds, r.p90_ticket_seconds
      FROM analytics.sla_report(\(period.since), \(period.until), \(period.clock.rawValue), \(period.groupBy.rawValue)) AS r ORDER BY r.label NULLS LAST
    """
  }

  static let ticketAgeing = ReadOperation(
    "ticket_ageing", "/v1/service/ageing", tag: "tickets", access: .read(.service), "Tickets that are not resolved, by how long ago they came",
    input: AgeingGrouping.self,
    row: group.merging([
      "tickets": AnswerField.count, "breached": AnswerField.count, "hours_0_24": AnswerField.count, "days_1_3": AnswerField.count,
      "days_3_7": AnswerField.count, "days_7_30": AnswerField.count, "days_30": AnswerField.count,
      "oldest_opened_at": AnswerField.optional(AnswerField.instant),
    ]) { $1 }, reading: [.service], lane: .reports
  ) { _, input in
    """
    SELECT a.group_key, a.label, a.tickets, a.breached, a.hours_0_24, a.days_1_3, a.days_3_7, a.days_7_30, a.days_30, a.oldest_opened_at
      FROM analytics.ticket_ageing(now(), \(input.groupBy.rawValue)) AS a ORDER BY a.label NULLS LAST
    """
  }

  static let resolutionCurve = ReadOperation(
    "resolution_curve", "/v1/service/resolution_curve", tag: "tickets", access: .read(.service), "Which share of tickets is not resolved after how long",
    description: "Kaplan and Meier: open tickets count as censored instead of being left out. Seconds are those of the policies' calendars, without pauses.",
    input: CurveScope.self,
    row: [
      "seconds": AnswerField.number, "at_risk": AnswerField.count, "resolved": AnswerField.count, "censored": AnswerField.count,
      "unresolved_share": AnswerField.number,
    ], reading: [.service], lane: .reports
  ) { _, scope in
    """
    SELECT s.seconds, s.at_risk, s.resolved, s.censored, s.unresolved_share
      FROM analytics.ticket_survival(now(), now() - make_interval(days => \(scope.days)), \(scope.teamID), \(scope.type?.rawValue), \(scope.priority?.rawValue)) AS s
     ORDER BY s.seconds
    """
  }
}
