import CRMCore
import Crypto
import PostgresClient

/// What load balancers and monitoring ask: whether the process lives, whether it can serve, and its metrics.
func operatorEndpoints(registry: PrometheusRegistry, draining: DrainingFlag, metricsToken: String?) -> [Endpoint] {
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
        description: "Shown to the machine that the server runs on, and to whoever sends the configured metrics token as bearer token.",
        answers: [(200, "All metrics of this process.", "text/plain", ["type": "string"])], refusals: [401]),
      handler: .operation { request in
        guard isLoopback(request.remoteAddress) || isToken(request.headers["authorization"], metricsToken) else { throw Problem.metricsClosed }
        return Response(
          status: 200, headers: [("content-type", "text/plain; version=0.0.4; charset=utf-8")],
          body: .bytes(Array(await registry.text().utf8)))
      }),
  ]
}

/// Whether an address is this machine's own.
private func isLoopback(_ address: String?) -> Bool {
  guard let address else { return false }
  return address == "::1" || address.hasPrefix("127.") || address.hasPrefix("::ffff:127.")
}

/// Whether the expected token was sent; how long the answer takes tells nothing of it.
private func isToken(_ authorization: String?, _ expected: String?) -> Bool {
  guard let expected, let given = bearerToken(authorization) else { return false }
  return SHA256.hash(data: Array(given.utf8)) == SHA256.hash(data: Array(expected.utf8))
}

extension Problem {
  static let metricsClosed = Problem(
    401, "unauthenticated",
    Phrase(
      "Metrics are shown to this machine itself, or with the metrics token.", tr: "Ölçümler yalnızca bu makineye ya da ölçüm jetonuyla gösterilir."))
  static let draining = Problem(
    503, "draining", Phrase("This server is going down; use another.", tr: "Bu sunucu kapanıyor; başka birini kullanın."), retryAfter: 5)
}
