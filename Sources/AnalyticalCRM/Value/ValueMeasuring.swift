import Foundation
import PostgresClient

/// Puts the measuring of all keys together: each source is gone over once a window, however many keys use it.
struct ValueMeasuring {
  let asOf: Date
  let department: UUID?
  let currency: String
  let timeZone: String
  /// Days of the model's own window, in which the amounts of tiers count.
  let windowDays: Int?
  let activeDays: Int?
  let keys: [ValueKey]

  /// A measuring function with the window it is asked for.
  private struct Source: Hashable {
    enum Function: Hashable { case orders, months, breadth(level: Int), costs, returns, referrals, services, payments, observations(kind: String) }
    let function: Function
    let windowDays: Int?
  }

  private static let names: [SQL] = [
    "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "s12", "s13", "s14", "s15", "s16", "s17", "s18", "s19", "s20", "s21", "s22", "s23",
    "s24", "s25", "s26",
    "s27", "s28", "s29", "s30", "s31", "s32", "s33", "s34", "s35", "s36", "s37", "s38", "s39", "s40", "s41", "s42", "s43", "s44", "s45", "s46", "s47", "s48",
    "s49", "s50",
    "s51", "s52", "s53", "s54", "s55", "s56", "s57", "s58", "s59", "s60", "s61", "s62", "s63", "s64", "s65", "s66", "s67", "s68", "s69", "s70", "s71", "s72",
    "s73", "s74",
    "s75", "s76", "s77", "s78", "s79", "s80", "s81", "s82", "s83", "s84", "s85", "s86", "s87", "s88", "s89", "s90",
  ]

  private func since(_ days: Int?) -> SQL { "analytics.since(\(asOf)::timestamptz, \(days)::integer)" }

  private func call(_ source: Source) -> SQL {
    let window: SQL = "\(asOf)::timestamptz, \(since(source.windowDays))"
    switch source.function {
    case .orders: return "analytics.order_measures(\(window), \(currency), \(department)::uuid)"
    case .months: return "analytics.month_measures(\(window), \(department)::uuid, \(timeZone))"
    case .breadth(let level): return "analytics.breadth_measures(\(window), \(department)::uuid, \(level))"
    case .costs: return "analytics.cost_measures(\(window), \(currency), \(department)::uuid)"
    case .returns: return "analytics.return_measures(\(window), \(currency), \(department)::uuid)"
    case .referrals: return "analytics.referral_measures(\(window), \(currency), \(department)::uuid)"
    case .services: return "analytics.service_measures(\(window), \(currency), \(department)::uuid)"
    case .payments: return "analytics.payment_measures(\(window), \(department)::uuid, \(timeZone))"
    case .observations(let kind): return "analytics.observation_measures(\(kind), \(window), \(currency), \(department)::uuid)"
    }
  }

  /// `INSERT` into `pg_temp.value_measured`: one row an active customer with what was measured, the same on the scale, and the amounts of the model's window.
  func statement() -> SQL {
    var sources: [Source] = []
    func name(_ function: Source.Function, _ days: Int?) -> SQL {
      let source = Source(function: function, windowDays: days)
      if let place = sources.firstIndex(of: source) { return Self.names[place] }
      sources.append(source)
      return Self.names[sources.count - 1]
    }
    let active = name(.orders, activeDays)
    let raws = keys.map { raw($0, name) }
    let orders = name(.orders, windowDays)
    let revenue = self.revenue(windowDays, name)
    let cost: SQL = "coalesce(\(name(.costs, windowDays)).product_cost, 0)"
    let service: SQL = "coalesce(\(name(.services, windowDays)).cost, 0)"
    let joins = sources.enumerated().dropFirst().map { place, source -> SQL in
      "LEFT JOIN \(call(source)) AS \(Self.names[place]) ON \(Self.names[place]).customer_id = \(active).customer_id"
    }.joined(separator: " ")
    let scale = keys.map { key -> SQL in
      "analytics.scale_value(m.raw[\(key.place)], \(key.missing.rawValue), \(key.direction), \(key.cap)::double precision)"
    }.joined(separator: ", ")
    return """
      INSERT INTO pg_temp.value_measured (customer_id, orders, revenue, margin, cost, raw, scale)
      SELECT m.customer_id, m.orders, m.revenue, m.revenue - m.product_cost, m.cost, m.raw, ARRAY[\(scale)]
        FROM (SELECT \(active).customer_id, coalesce(\(orders).orders, 0) AS orders, coalesce(round(\(revenue), 2), 0) AS revenue, round(\(cost), 2) AS product_cost,
                     round(\(service), 2) AS cost, ARRAY[\(raws.joined(separator: ", "))]::double precision[] AS raw
                FROM \(call(sources[0])) AS \(active) \(joins) OFFSET 0) AS m
      """
  }

  /// Revenue without what came back on its own.
  private func revenue(_ days: Int?, _ name: (Source.Function, Int?) -> SQL) -> SQL {
    "\(name(.orders, days)).revenue - coalesce(\(name(.returns, days)).unbooked, 0)"
  }

  /// What is measured of a key, as `analytics.measures` has it.
  private func raw(_ key: ValueKey, _ name: (Source.Function, Int?) -> SQL) -> SQL {
    let days = key.windowDays ?? windowDays
    switch key.metric {
    case "revenue": return "\(name(.orders, days)).revenue::double precision"
    case "orders": return "\(name(.orders, days)).orders::double precision"
    case "average_order": return "(\(name(.orders, days)).revenue / \(name(.orders, days)).orders)::double precision"
    case "discounts": return "\(name(.orders, days)).discounts::double precision"
    case "tenure": return age("first_at", of: name(.orders, days))
    case "recency": return age("last_at", of: name(.orders, days))
    case "intensity":
      let source = name(.months, days)
      return "\(source).orders::double precision / \(source).months"
    case "product_breadth": return "\(name(.breadth(level: key.level ?? 1), days)).categories::double precision"
    case "margin":
      let cost = name(.costs, days)
      return "CASE WHEN \(cost).product_cost IS NOT NULL THEN coalesce(\(revenue(days, name)), 0) - \(cost).product_cost END::double precision"
    case "profit":
      let (cost, service) = (name(.costs, days), name(.services, days))
      return "(coalesce(\(revenue(days, name)), 0) - coalesce(\(cost).product_cost, 0) - coalesce(\(service).cost, 0))::double precision"
    case "returns":
      let source = name(.returns, days)
      return "(\(source).booked + \(source).unbooked)::double precision"
    case "referrals": return "\(name(.referrals, days)).referrals::double precision"
    case "referred_revenue": return "\(name(.referrals, days)).referred_revenue::double precision"
    case "contacts": return "\(name(.services, days)).contacts::double precision"
    case "cost_to_serve": return "\(name(.services, days)).cost::double precision"
    case "payment_delay": return "\(name(.payments, days)).payment_delay::double precision"
    default: return "\(name(.observations(kind: key.metric), days)).value::double precision"
    }
  }

  private func age(_ column: SQL, of source: SQL) -> SQL {
    "(analytics.day(\(asOf)::timestamptz, \(timeZone)) - analytics.day(\(source).\(column), \(timeZone)))::double precision"
  }
}
