package import CRMCore
package import Foundation
import PostgresClient

extension Response {
  /// A problem as the answer to a request, in the client's language.
  package static func problem(_ problem: Problem, instance: String, requestID: UUID, language: Language) -> Response {
    var writer = JSONWriter(capacity: 512)
    problem.write(to: &writer, language: language, instance: instance, requestID: requestID.lowercase)
    var headers = [(name: "content-type", value: "application/problem+json"), (name: "content-language", value: language.rawValue)]
    if let seconds = problem.retryAfter { headers.append((name: "retry-after", value: "\(seconds)")) }
    if let location = problem.location { headers.append((name: "location", value: location)) }
    if problem.status == 401 { headers.append((name: "www-authenticate", value: "Bearer realm=\"muhatap\"")) }
    return Response(status: problem.status, headers: headers + problem.headers, body: .bytes(writer.take()))
  }
}
