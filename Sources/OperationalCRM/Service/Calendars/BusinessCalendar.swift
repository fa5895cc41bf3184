package import CRMCore

extension Concept {
  /// When business time passes: weekly hours, holidays and half days, in a time zone.
  static let businessCalendars = Concept(resources: [.businessCalendars, .businessIntervals, .calendarExceptions])
}

extension Resource {
  /// When a team or a promise counts time.
  package static let businessCalendars = Resource(
    "business_calendars", singular: "business_calendar", table: "crm.business_calendar", area: .service,
    create: ["code", "name", "time_zone", "covers_from", "covers_until", "holiday_scope", "note", "active"],
    change: ["code", "name", "time_zone", "covers_from", "covers_until", "holiday_scope", "note", "active"],
    expand: [
      .many("intervals", of: "business_intervals", by: "calendar_id"), .many("exceptions", of: "calendar_exceptions", by: "calendar_id"),
    ], search: ["name", "code"], order: "code")

  /// Hours of every week, or of one day.
  package static let businessIntervals = Resource(
    "business_intervals", singular: "business_interval", table: "crm.business_interval", area: .service,
    create: ["calendar_id", "weekday", "day", "opens", "closes"], change: ["weekday", "day", "opens", "closes"], deletable: true, expand: ["calendar"])

  /// A holiday or a half day.
  package static let calendarExceptions = Resource(
    "calendar_exceptions", singular: "calendar_exception", table: "crm.calendar_exception", area: .service,
    create: ["calendar_id", "day", "name", "closes_at"], change: ["day", "name", "closes_at"], deletable: true, expand: ["calendar"], order: "day")
}
