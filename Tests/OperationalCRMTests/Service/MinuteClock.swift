import Foundation

/// The rules of business time, applied to every minute by itself: slow, and plain enough to be checked by hand.
struct MinuteCalendar {
  struct Hours {
    /// 1 Monday to 7 Sunday; nil for hours of one day.
    let weekday: Int?
    /// Days since 1970, for hours of one day.
    let day: Int?
    let opens: Int
    let closes: Int
  }

  let zone: TimeZone
  var hours: [Hours]
  /// By days since 1970: from which minute of the day on it is closed; 0 for all day.
  var closedFrom: [Int: Int]
  /// The first minute that is asked, in minutes since 1970.
  let start: Int
  let minutes: Int

  /// Whether each minute from `start` on is open.
  func openMinutes() -> [Bool] {
    (0..<minutes).map { offset in
      let instant = (start + offset) * 60
      let local = (instant + zone.secondsFromGMT(for: Date(timeIntervalSince1970: Double(instant)))) / 60
      let day = local / 1_440
      let minute = local % 1_440
      let own = hours.filter { $0.day == day }
      if !own.isEmpty { return own.contains { $0.opens <= minute && minute < $0.closes } }
      // The first of January 1970 was a Thursday.
      let weekday = (day + 3) % 7 + 1
      return hours.contains { $0.weekday == weekday && $0.opens <= minute && minute < $0.closes } && minute < closedFrom[day] ?? 1_440
    }
  }
}

/// What a clock comes to, counted minute by minute.
struct MinuteClock {
  /// Open minutes while it ran.
  private(set) var elapsed = 0
  /// The last instant at which the goal is still met, in minutes since 1970; nil when the time never comes in what is asked.
  private(set) var breachesAt: Int?

  /// - Parameters:
  ///   - stays: what the ticket was in from when on, in order, with whether the clock stands still in it.
  ///   - stop: when it was done, in minutes since 1970; nil when it is not.
  init(open: [Bool], start: Int, stays: [(from: Int, paused: Bool)], stop: Int?, goal: Int) {
    let lastKnown = stays.last?.from ?? start
    var stay = 0
    for minute in (stays.first?.from ?? start)..<min(stop ?? .max, start + open.count) {
      while stay + 1 < stays.count, stays[stay + 1].from <= minute { stay += 1 }
      guard !stays[stay].paused, open[minute - start] else { continue }
      if counted == goal, breachesAt == nil { breachesAt = minute }
      counted += 1
      // Of a clock that is not done, what has elapsed is known up to its last change.
      if stop != nil || minute < lastKnown { elapsed += 1 }
    }
  }

  private var counted = 0
}
