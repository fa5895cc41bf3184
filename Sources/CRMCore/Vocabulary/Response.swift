/// An answer, freed of any server's types.
package struct Response: Sendable {
  /// Writes a streamed body piece by piece; `write` returns when the client has room again.
  package typealias Stream = @Sendable (_ write: (_ piece: [UInt8]) async throws -> Void) async throws -> Void

  package enum Body: Sendable {
    case empty
    case bytes([UInt8])
    case stream(Stream)
  }

  package var status: Int
  /// Header fields beyond those that the gateway sets itself (length, date, request id, security headers).
  package var headers: [(name: String, value: String)]
  package var body: Body

  package init(status: Int, headers: [(name: String, value: String)] = [], body: Body = .empty) {
    self.status = status
    self.headers = headers
    self.body = body
  }

  /// A JSON answer from text that is already JSON.
  package static func json(_ bytes: [UInt8], status: Int = 200, headers: [(name: String, value: String)] = []) -> Response {
    Response(status: status, headers: [("content-type", "application/json")] + headers, body: .bytes(bytes))
  }
}
