package import CRMCore

/// Finds the endpoint for a method and a path by walking a tree of segments: names first, then parameters.
/// A slash at the end, or two in a row, name nothing.
package struct Router: Sendable {
  /// A class, because every request hands it around, and an endpoint is made of some twenty references that would be counted each time.
  final class Route: Sendable {
    let endpoint: Endpoint
    /// Names of the parameters in the order of the path.
    let parameters: [String]
    /// Whether its body is JSON, collected whole.
    let takesJSON: Bool
    /// The names its query may have; nil where the endpoint reads its query by itself.
    let queryNames: Set<String>?
    let metrics: RouteMetrics
    /// Whether it answers even when the server is full: probes and metrics.
    let isForOperators: Bool

    init(endpoint: Endpoint, parameters: [String], metrics: RouteMetrics, isForOperators: Bool) {
      self.endpoint = endpoint
      let documentation = endpoint.documentation
      takesJSON = endpoint.body == .collected && documentation.input?.mediaType.hasSuffix("json") == true
      let documented = Set(documentation.parameters.filter { $0.place == .query }.map(\.name))
      // Links and callbacks that others write may carry what they like; lists take any field's name.
      queryNames = endpoint.access != .open && (endpoint.method != .get || documented.isEmpty) ? documented : nil
      self.parameters = parameters
      self.metrics = metrics
      self.isForOperators = isForOperators
    }
  }

  enum Match {
    case found(Route, parameters: [String: String])
    /// The path exists, the method does not; what is allowed, for `Allow`.
    case otherMethods(allow: String)
    case none
  }

  private struct Node: Sendable {
    var names: [String: Int] = [:]
    var parameter: Int?
    var routes: [Request.Method: Route] = [:]
  }

  /// Two endpoints that claim one address, listed all at once.
  package struct Conflict: Error, CustomStringConvertible {
    package let description: String
  }

  private var nodes = [Node()]
  /// The endpoints in the order they were declared.
  let routes: [Route]

  package init(_ endpoints: [Endpoint], metrics: RequestMetrics) throws(Conflict) {
    var conflicts: [String] = []
    var declared: [Route] = []
    for endpoint in endpoints {
      var parameters: [String] = []
      var index = 0
      for segment in endpoint.path.dropFirst().split(separator: "/", omittingEmptySubsequences: false) {
        let next: Int
        if segment.hasPrefix("{"), segment.hasSuffix("}") {
          parameters.append(String(segment.dropFirst().dropLast()))
          next = nodes[index].parameter ?? nodes.count
          nodes[index].parameter = next
        } else {
          let name = String(segment)
          next = nodes[index].names[name] ?? nodes.count
          // People write value-models as readily as value_models.
          for joint in [Character("-"), "_"] { nodes[index].names[String(name.map { $0 == "-" || $0 == "_" ? joint : $0 })] = next }
          nodes[index].names[name] = next
        }
        if next == nodes.count { nodes.append(Node()) }
        index = next
      }
      let route = Route(
        endpoint: endpoint, parameters: parameters, metrics: metrics.route(method: endpoint.method.rawValue, path: endpoint.path),
        isForOperators: ["/livez", "/readyz", "/metrics"].contains(endpoint.path))
      if nodes[index].routes.updateValue(route, forKey: endpoint.method) != nil {
        conflicts.append("\(endpoint.method.rawValue) \(endpoint.path)")
      }
      declared.append(route)
    }
    routes = declared
    guard conflicts.isEmpty else {
      throw Conflict(description: "Declared more than once: \(conflicts.joined(separator: ", "))")
    }
  }

  /// `method` is nil for one that HTTP knows and this API does not.
  func match(_ method: Request.Method?, _ segments: [String]) -> Match {
    var values: [String] = []
    guard let index = find(segments[...], from: 0, values: &values) else { return .none }
    let routes = nodes[index].routes
    guard let method, let route = routes[method] ?? (method == .head ? routes[.get] : nil) else {
      return .otherMethods(allow: allow(routes))
    }
    var parameters: [String: String] = [:]
    for (name, value) in zip(route.parameters, values) { parameters[name] = value }
    return .found(route, parameters: parameters)
  }

  private func find(_ segments: ArraySlice<String>, from index: Int, values: inout [String]) -> Int? {
    guard let segment = segments.first else { return nodes[index].routes.isEmpty ? nil : index }
    let rest = segments.dropFirst()
    if let next = nodes[index].names[segment], let found = find(rest, from: next, values: &values) { return found }
    guard let next = nodes[index].parameter, !segment.isEmpty else { return nil }
    values.append(segment)
    if let found = find(rest, from: next, values: &values) { return found }
    values.removeLast()
    return nil
  }

  private func allow(_ routes: [Request.Method: Route]) -> String {
    Request.Method.allCases
      .filter { routes[$0] != nil || $0 == .options || ($0 == .head && routes[.get] != nil) }
      .map(\.rawValue).joined(separator: ", ")
  }
}
