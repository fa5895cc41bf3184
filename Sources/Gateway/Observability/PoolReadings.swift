import PostgresClient

extension PostgresPool.Statistics {
  /// The pool's state as gauges.
  var readings: [PrometheusRegistry.Reading] {
    lanes.flatMap { lane, counts in
      [("idle", counts.idle), ("busy", counts.busy), ("connecting", counts.connecting)].map { state, count in
        PrometheusRegistry.Reading("muhatap_database_connections", [("lane", "\(lane)"), ("state", state)], Double(count))
      } + [PrometheusRegistry.Reading("muhatap_database_waiting", [("lane", "\(lane)")], Double(counts.waiting))]
    } + [
      PrometheusRegistry.Reading("muhatap_database_connects", [], Double(connects)),
      PrometheusRegistry.Reading("muhatap_database_discards", [], Double(discards)),
    ]
  }
}
