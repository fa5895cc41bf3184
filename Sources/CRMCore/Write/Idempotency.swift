import Crypto
import Foundation
import PostgresClient

/// Keeps the first answer to a request with an `Idempotency-Key`, in the same transaction as its effect, and gives it again.
struct Idempotency {
  let key: String
  let method: String
  let path: String
  let fingerprint: [UInt8]

  /// - Returns: nil when the request carries no key.
  init?(_ request: Request) throws(Problem) {
    guard let key = request.headers["idempotency-key"] else { return nil }
    guard (1...255).contains(key.utf8.count), key.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else {
      throw .badRequest(
        "bad-idempotency-key",
        Phrase("Idempotency-Key is 1 to 255 printable ASCII characters.", tr: "Idempotency-Key 1–255 yazdırılabilir ASCII karakterdir."))
    }
    self.key = key
    method = request.method.rawValue
    path = request.path
    var hash = SHA256()
    hash.update(data: Data("\(method) \(path)\n".utf8))
    if case .bytes(let bytes) = request.body { hash.update(data: bytes) }
    fingerprint = Array(hash.finalize())
  }

  /// Takes the key for this request; the answer stored under it when it was taken before.
  func claim(_ tx: PostgresTransaction, caller: Caller) async throws -> Response? {
    let claimed = try await tx.run(
      """
      INSERT INTO crm.idempotency_key (user_id, key, method, path, fingerprint)
      VALUES (\(caller.userID), \(key), \(method), \(path), \(fingerprint)) ON CONFLICT (user_id, key) DO NOTHING
      """)
    if claimed == 1 { return nil }
    let stored = try await tx.result(
      "SELECT fingerprint, status, headers, response FROM crm.idempotency_key WHERE user_id = \(caller.userID) AND key = \(key)")
    guard stored.count == 1, try stored[0].decode([UInt8].self, "fingerprint") == fingerprint
    else {
      throw Problem(
        422, "idempotency-key-reused",
        Phrase("This Idempotency-Key was used for another request.", tr: "Bu Idempotency-Key başka bir istek için kullanılmış."))
    }
    let headers = try JSONDecoder().decode([String: String].self, from: Data(try stored[0].decode(String.self, "headers").utf8))
    let body = try stored[0].decode([UInt8].self, "response")
    return Response(
      status: try stored[0].decode(Int.self, "status"),
      headers: headers.sorted { $0.key < $1.key }.map { ($0.key, $0.value) } + [("idempotency-replayed", "true")],
      body: body.isEmpty ? .empty : .bytes(body))
  }

  func store(_ response: Response, _ tx: PostgresTransaction, caller: Caller) async throws {
    let body: [UInt8] = if case .bytes(let bytes) = response.body { bytes } else { [] }
    let headers = JSON.object(Dictionary(response.headers.map { ($0.name, JSON.string($0.value)) }, uniquingKeysWith: { $1 }))
    try await tx.run(
      """
      UPDATE crm.idempotency_key SET status = \(response.status), headers = \(String(decoding: try headers.encoded(), as: UTF8.self))::jsonb,
             response = \(body) WHERE user_id = \(caller.userID) AND key = \(key)
      """)
  }
}
