package import Foundation
package import PostgresClient

/// What a client asked for, freed of any server's types. Made by the gateway once the caller is known.
package struct Request: Sendable {
  package enum Method: String, Sendable, CaseIterable {
    case get = "GET"
    case head = "HEAD"
    case post = "POST"
    case put = "PUT"
    case patch = "PATCH"
    case delete = "DELETE"
    case options = "OPTIONS"
  }

  /// The body, as the endpoint asked for it (`Endpoint.Body`).
  package enum Body: Sendable {
    case empty
    /// The whole body, within the limit for JSON.
    case bytes([UInt8])
    /// A body that is read piece by piece and never held whole; the reader's pace is the sender's.
    case stream(AsyncThrowingStream<[UInt8], any Error>)
  }

  package var method: Method
  /// The path, percent-decoded, without the query.
  package var path: String
  /// The values of `{name}` in the endpoint's path.
  package var parameters: [String: String]
  /// The query string's pairs in their order, percent-decoded.
  package var query: [(name: String, value: String)]
  package var headers: HeaderFields
  package var body: Body
  package var caller: Caller
  package var language: Language
  /// Names this request in the log, in the change log and in every problem.
  package var id: UUID
  package var deadline: Deadline
  /// The address of the client as the gateway knows it.
  package var remoteAddress: String?
  /// The base address under which clients reach this program, such as `https://crm.example.com`; nil where nobody said.
  package var publicAddress: String?

  package init(
    method: Method, path: String, parameters: [String: String] = [:], query: [(name: String, value: String)] = [],
    headers: HeaderFields = [:], body: Body = .empty, caller: Caller, language: Language = .english, id: UUID,
    deadline: Deadline, remoteAddress: String? = nil, publicAddress: String? = nil
  ) {
    self.method = method
    self.path = path
    self.parameters = parameters
    self.query = query
    self.headers = headers
    self.body = body
    self.caller = caller
    self.language = language
    self.id = id
    self.deadline = deadline
    self.remoteAddress = remoteAddress
    self.publicAddress = publicAddress
  }

  /// The whole address of a path on this server, for people who are sent it.
  package func link(to path: String) -> String? {
    publicAddress.map { ($0.hasSuffix("/") ? String($0.dropLast()) : $0) + path }
  }
}
