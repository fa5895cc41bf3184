package import CRMCore
import Foundation

/// The OpenAPI document as a contract: every exchange of a test is held against it.
package struct APIContract: Sendable {
  /// An exchange that is not as the document says.
  package struct Violation: Error, CustomStringConvertible {
    package let description: String
  }

  /// What was asked and what came back.
  package struct Exchange: Sendable {
    package var method: Request.Method
    /// Without the query, as it was sent.
    package var path: String
    package var query: [(name: String, value: String)]
    package var body: [UInt8]?
    package var status: Int
    /// The answer's, without parameters.
    package var mediaType: String?
    package var answer: [UInt8]

    package init(
      method: Request.Method, path: String, query: [(name: String, value: String)], body: [UInt8]?, status: Int, mediaType: String?, answer: [UInt8]
    ) {
      self.method = method
      self.path = path
      self.query = query
      self.body = body
      self.status = status
      self.mediaType = mediaType.map { String($0.prefix { $0 != ";" }) }
      self.answer = answer
    }
  }

  private struct Operation: Sendable {
    let segments: [Substring]
    let description: JSON
  }

  private let operations: [String: [Operation]]
  private let responses: [String: JSON]
  private let schema: JSONSchema

  package init(document: JSON) {
    var operations: [String: [Operation]] = [:]
    for (path, item) in document["paths"]?.object ?? [:] {
      for (method, description) in item.object ?? [:] {
        operations[method, default: []].append(Operation(segments: path.split(separator: "/", omittingEmptySubsequences: false), description: description))
      }
    }
    self.operations = operations
    responses = document["components"]?["responses"]?.object ?? [:]
    schema = JSONSchema(components: document["components"]?["schemas"]?.object ?? [:])
  }

  /// What is not as documented; empty when all is.
  package func mistakes(in exchange: Exchange) -> [String] {
    // Pages outside of the API, such as a customer's link to a quote, choose among several forms.
    guard exchange.path.hasPrefix("/v1/") else { return [] }
    guard let operation = operation(exchange) else {
      // Nothing is documented there, and nothing may be there.
      return [404, 405, 204].contains(exchange.status) || exchange.status >= 400 ? [] : ["an address that is not documented answers \(exchange.status)"]
    }
    var mistakes = mistakes(inAnswer: exchange, operation)
    if (200..<300).contains(exchange.status) { mistakes += self.mistakes(inRequest: exchange, operation) }
    return mistakes
  }

  /// A literal segment wins over a parameter, as in the gateway.
  private func operation(_ exchange: Exchange) -> JSON? {
    let method = exchange.method == .head ? "get" : exchange.method.rawValue.lowercased()
    let segments = exchange.path.split(separator: "/", omittingEmptySubsequences: false)
    let fitting = (operations[method] ?? []).filter { operation in
      operation.segments.count == segments.count && zip(operation.segments, segments).allSatisfy { $0.hasPrefix("{") ? !$1.isEmpty : $0 == $1 }
    }
    return fitting.min { $0.segments.count { $0.hasPrefix("{") } < $1.segments.count { $0.hasPrefix("{") } }?.description
  }

  private func mistakes(inAnswer exchange: Exchange, _ operation: JSON) -> [String] {
    guard var response = operation["responses"]?["\(exchange.status)"] else { return ["the status \(exchange.status) is not documented"] }
    if let name = response["$ref"]?.string?.split(separator: "/").last { response = responses[String(name)] ?? response }
    if exchange.method == .head { return [] }
    guard let content = response["content"]?.object else {
      return exchange.answer.isEmpty ? [] : ["an answer with status \(exchange.status) has no body, says the document"]
    }
    guard let mediaType = exchange.mediaType, let described = content[mediaType] else {
      return ["the media type \(exchange.mediaType ?? "none") is not documented for \(exchange.status)"]
    }
    guard mediaType == "application/json" || mediaType.hasSuffix("+json"), let wanted = described["schema"] else { return [] }
    guard let json = try? JSONDecoder().decode(JSON.self, from: Data(exchange.answer)) else { return ["the answer is no JSON"] }
    return schema.mistakes(in: json, wanted).map { "answer \($0)" }
  }

  private func mistakes(inRequest exchange: Exchange, _ operation: JSON) -> [String] {
    var mistakes: [String] = []
    for parameter in operation["parameters"]?.array ?? [] where parameter["in"] == "query" {
      guard let name = parameter["name"]?.string, let wanted = parameter["schema"] else { continue }
      let given = exchange.query.filter { $0.name == name }
      if parameter["required"] == true, given.isEmpty { mistakes.append("the parameter \(name) is required, says the document") }
      for (_, value) in given { mistakes += self.mistakes(inParameter: value, wanted).map { "parameter \(name)\($0)" } }
    }
    guard let input = operation["requestBody"] else { return mistakes }
    guard let body = exchange.body, !body.isEmpty else {
      return input["required"] == true ? mistakes + ["a request without a body is accepted, and the document requires one"] : mistakes
    }
    guard let described = input["content"]?.object?.first(where: { $0.key == "application/json" || $0.key.hasSuffix("+json") })?.value["schema"],
      let json = try? JSONDecoder().decode(JSON.self, from: Data(body))
    else { return mistakes }
    return mistakes + schema.mistakes(in: json, described).map { "request \($0)" }
  }

  /// A parameter is text on the wire: it is read as the type that the document gives it.
  private func mistakes(inParameter text: String, _ wanted: JSON) -> [String] {
    if wanted["type"] == "array" {
      // Fields of neighbours and custom fields are more than a list of names could hold.
      let items = text.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.contains(".") }
      if items.isEmpty, text.contains(".") { return [] }
      return schema.mistakes(in: .array(items.map(JSON.string)), wanted)
    }
    if schema.mistakes(in: .string(text), wanted).isEmpty { return [] }
    guard let json = try? JSONDecoder().decode(JSON.self, from: Data(text.utf8)) else { return schema.mistakes(in: .string(text), wanted) }
    return schema.mistakes(in: json, wanted)
  }
}
