import CRMCore
import PostgresClient

/// What load balancers and monitoring ask: whether the process lives, whether it can serve, and its metrics.
func operatorEndpoints(registry: PrometheusRegistry, draining: DrainingFlag) -> [Endpoint] {
  let status: JSON = ["type": "object", "properties": ["status": ["type": "string"]], "required": ["status"]]
  return [
    Endpoint(
      .get, "/livez", access: .open,
      documentation: .init(
        "getLiveness", tag: "operations", "Whether the process answers at all.",
        answers: [(200, "It does.", "application/json", status)]),
      handler: .immediate { _ in .json(Array(#"{"status":"alive"}"#.utf8)) }),
    Endpoint(
      .get, "/readyz", access: .open,
      documentation: .init(
        "getReadiness", tag: "operations", "Whether requests should be sent here: the database answers and the server is not going down.",
        answers: [(200, "They should.", "application/json", status)]),
      handler: .read { _ in
        if draining.isRaised { throw Problem.draining }
        return Endpoint.Read(["SELECT 1"], context: PostgresPool.Context(readOnly: true), lane: .health) { _ in
          .json(Array(#"{"status":"ready"}"#.utf8))
        }
      }),
    Endpoint(
      .get, "/metrics", access: .open,
      documentation: .init(
        "getMetrics", tag: "operations", "Metrics in Prometheus' text format.",
        answers: [(200, "All metrics of this process.", "text/plain", ["type": "string"])]),
      handler: .operation { _ in
        Response(
          status: 200, headers: [("content-type", "text/plain; version=0.0.4; charset=utf-8")],
          body: .bytes(Array(await registry.text().utf8)))
      }),
  ]
}

extension Problem {
  static let draining = Problem(
    503, "draining", Phrase("This server is going down; use another.", tr: "Bu sunucu kapanıyor; başka birini kullanın."), retryAfter: 5)
}
