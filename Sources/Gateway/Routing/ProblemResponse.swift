package import CRMCore
package import Foundation

extension Response {
  /// A problem as `application/problem+json` (RFC 9457) in the client's language. Errors of fields carry a JSON pointer into the body or
  /// the name of a query parameter.
  package static func problem(_ problem: Problem, instance: String, requestID: UUID, language: Language) -> Response {
    var members: [String: JSON] = [
      "type": .string("urn:muhatap:problem:\(problem.code)"),
      "title": .string(problem.title.text(in: language)),
      "status": .number(Decimal(problem.status)),
      "code": .string(problem.code),
      "instance": .string(instance),
      "request_id": .string(requestID.lowercase),
    ]
    if let detail = problem.detail { members["detail"] = .string(detail.text(in: language)) }
    if !problem.errors.isEmpty {
      members["errors"] = .array(
        problem.errors.map { error in
          let isPointer = error.pointer.isEmpty || error.pointer.hasPrefix("/")
          return [
            isPointer ? "pointer" : "parameter": .string(error.pointer),
            "code": .string(error.code),
            "detail": .string(error.message.text(in: language)),
          ]
        })
    }
    for member in problem.extensions {
      members[member.name] = (try? JSONDecoder().decode(JSON.self, from: Data(member.json.utf8))) ?? .string(member.json)
    }
    var headers = [(name: "content-type", value: "application/problem+json"), (name: "content-language", value: language.rawValue)]
    if let seconds = problem.retryAfter { headers.append((name: "retry-after", value: "\(seconds)")) }
    if problem.status == 401 { headers.append((name: "www-authenticate", value: "Bearer realm=\"muhatap\"")) }
    // A dictionary of strings and numbers always encodes; an empty body would still carry the status.
    let body = (try? JSON.object(members).encoded()) ?? []
    return Response(status: problem.status, headers: headers, body: .bytes(body))
  }
}
