import CRMCore
import Crypto
import Foundation
import Gateway
import JWTKit
import MuhatapTestKit
import PostgresClient
import Synchronization
import Testing

/// Tokens of an OpenID Connect issuer, which is another server of this test.
@Suite struct TokenIssuerTests {
  /// The issuer: its discovery document and its keys, which can change.
  private final class Issuer: Sendable {
    struct Key: Sendable {
      let id: String
      let key: P256.Signing.PrivateKey

      init(_ id: String) {
        self.id = id
        key = P256.Signing.PrivateKey()
      }

      var jwk: String {
        let point = key.publicKey.rawRepresentation
        let (x, y) = (Issuer.base64URL(point.prefix(32)), Issuer.base64URL(point.suffix(32)))
        return #"{"kty":"EC","crv":"P-256","use":"sig","alg":"ES256","kid":"\#(id)","x":"\#(x)","y":"\#(y)"}"#
      }
    }

    let keys = Mutex<[Key]>([])
    let port = Mutex(0)
    let questions = Mutex(0)

    var address: String { "http://127.0.0.1:\(port.withLock { $0 })" }

    var endpoints: [Endpoint] {
      [
        Endpoint(
          .get, "/.well-known/openid-configuration", access: .open, documentation: BareServer.documentation("discovery"),
          handler: .immediate { [self] _ in .json(Array(#"{"issuer":"\#(address)","jwks_uri":"\#(address)/keys"}"#.utf8)) }),
        Endpoint(
          .get, "/keys", access: .open, documentation: BareServer.documentation("keys"),
          handler: .immediate { [self] _ in
            questions.withLock { $0 += 1 }
            return .json(Array("{\"keys\":[\(keys.withLock { $0.map(\.jwk).joined(separator: ",") })]}".utf8))
          }),
      ]
    }

    static func base64URL(_ bytes: some Sequence<UInt8>) -> String {
      Data(bytes).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
    }
  }

  private struct Claims: JWTPayload {
    var iss: String
    var sub = UUID().uuidString
    var aud = "muhatap"
    var exp = Date().timeIntervalSince1970 + 300
    var nbf: Double?
    var email: String?
    var email_verified: Bool? = true

    func verify(using algorithm: some JWTAlgorithm) async throws {}
  }

  private static func sign(_ claims: Claims, with key: Issuer.Key, as id: String? = nil) async throws -> String {
    let keys = await JWTKeyCollection().add(ecdsa: try ES256PrivateKey(pem: key.key.pemRepresentation))
    return try await keys.sign(claims, header: ["kid": .string(id ?? key.id)])
  }

  /// Runs `body` with an issuer that has one key, and a server that trusts it.
  private func run(
    _ adjust: @escaping (inout TokenIssuerConfiguration) -> Void = { _ in },
    _ body: (Issuer, Issuer.Key, People, BareServer) async throws -> Void
  ) async throws {
    let issuer = Issuer()
    let key = Issuer.Key("one")
    issuer.keys.withLock { $0 = [key] }
    let people = try await People(in: .suite())
    try await BareServer.run(endpoints: issuer.endpoints) { (issuing) async throws in
      issuer.port.withLock { $0 = issuing.port }
      var configuration = TokenIssuerConfiguration(
        issuer: issuer.address, audience: "muhatap", algorithms: ["ES256"], leeway: .seconds(5), keysAtMostEvery: .zero)
      adjust(&configuration)
      try await people.serve({ $0.authentication.issuer = configuration }) { (server) async throws in
        try await body(issuer, key, people, server)
      }
    }
  }

  @Test func `a token with a verified address signs its user in, and from then on its subject does`() async throws {
    try await run { issuer, key, people, server in
      let user = try await people.add("nil")
      var claims = Claims(iss: issuer.address, email: user.email)
      let first = try await server.get("/whoami", as: Self.sign(claims, with: key))
      #expect(first.status == 200)
      #expect(first.json["user"] as? String == user.id.lowercase)
      claims.email = "other@example.com"
      claims.email_verified = false
      let later = try await server.get("/whoami", as: Self.sign(claims, with: key))
      #expect(later.json["user"] as? String == user.id.lowercase)
    }
  }

  @Test func `tokens that must not be believed are refused`() async throws {
    try await run { issuer, key, people, server in
      let user = try await people.add("oya")
      let good = Claims(iss: issuer.address, email: user.email)
      var tokens: [String: String] = [:]
      func add(_ name: String, _ change: (inout Claims) -> Void) async throws {
        var claims = good
        change(&claims)
        tokens[name] = try await Self.sign(claims, with: key)
      }
      try await add("another issuer") { $0.iss = "http://evil.example" }
      try await add("another audience") { $0.aud = "another" }
      try await add("expired") { $0.exp = Date().timeIntervalSince1970 - 600 }
      try await add("not yet valid") { $0.nbf = Date().timeIntervalSince1970 + 600 }
      try await add("unverified address") { $0.email_verified = false }
      try await add("no address") { $0.email = nil }
      try await add("unknown address") { $0.email = "nobody@example.com" }
      try await add("no subject") { $0.sub = "" }
      // The folded key of the address is the same, the mailbox is not.
      try await add("look-alike address") { $0.email = user.email.replacing("oya", with: "öya") }
      tokens["another key under a known id"] = try await Self.sign(good, with: Issuer.Key("one"))
      tokens["an unknown key"] = try await Self.sign(good, with: Issuer.Key("two"))

      let payload = try await Self.sign(good, with: key).split(separator: ".")[1]
      func forge(_ header: String, _ signature: (String) -> String) -> String {
        let signed = "\(Issuer.base64URL(header.utf8)).\(payload)"
        return "\(signed).\(signature(signed))"
      }
      tokens["alg none"] = forge(#"{"alg":"none","kid":"one"}"#) { _ in "" }
      tokens["alg None"] = forge(#"{"alg":"None","kid":"one"}"#) { _ in "" }
      tokens["HMAC with the public key"] = forge(#"{"alg":"HS256","kid":"one"}"#) { signed in
        let secret = SymmetricKey(data: Array(key.jwk.utf8))
        return Issuer.base64URL(HMAC<SHA256>.authenticationCode(for: Array(signed.utf8), using: secret))
      }
      tokens["no key id"] = forge(#"{"alg":"ES256"}"#) { _ in "AAAA" }
      tokens["an algorithm not allowed"] = forge(#"{"alg":"ES384","kid":"one"}"#) { _ in "AAAA" }
      for (name, token) in tokens {
        let answer = try await server.get("/whoami", as: token)
        #expect(answer.status == 401, "\(name)")
      }
      let believed = try await server.get("/whoami", as: Self.sign(good, with: key))
      #expect(believed.status == 200)
    }
  }

  @Test func `clocks may differ by the leeway`() async throws {
    try await run({ $0.leeway = .seconds(60) }) { issuer, key, people, server in
      let user = try await people.add("su")
      var claims = Claims(iss: issuer.address, email: user.email)
      claims.exp = Date().timeIntervalSince1970 - 10
      claims.nbf = Date().timeIntervalSince1970 + 10
      let answer = try await server.get("/whoami", as: Self.sign(claims, with: key))
      #expect(answer.status == 200)
    }
  }

  @Test func `a key that the issuer changes is found, and one it withdraws is believed no longer than it is kept`() async throws {
    try await run({ $0.keysFor = .seconds(2) }) { issuer, key, people, server in
      let user = try await people.add("ada")
      let claims = Claims(iss: issuer.address, email: user.email)
      #expect(try await server.get("/whoami", as: Self.sign(claims, with: key)).status == 200)
      let next = Issuer.Key("two")
      issuer.keys.withLock { $0 = [next] }
      #expect(try await server.get("/whoami", as: Self.sign(claims, with: next)).status == 200)
      try await Task.sleep(for: .seconds(2))
      #expect(try await server.get("/whoami", as: Self.sign(claims, with: key)).status == 401)
    }
  }

  @Test func `unknown key ids do not make the issuer be asked at every token`() async throws {
    try await run({ $0.keysAtMostEvery = .seconds(3600) }) { issuer, key, people, server in
      let user = try await people.add("lale")
      let claims = Claims(iss: issuer.address, email: user.email)
      for number in 0..<10 {
        let answer = try await server.get("/whoami", as: Self.sign(claims, with: key, as: "unknown-\(number)"))
        #expect(answer.status == 401)
      }
      #expect(issuer.questions.withLock { $0 } == 1)
    }
  }

  @Test func `an issuer that cannot be reached is a passing trouble, not a refusal`() async throws {
    let people = try await People(in: .suite())
    let key = Issuer.Key("one")
    let configuration = TokenIssuerConfiguration(issuer: "http://127.0.0.1:9", audience: "muhatap", algorithms: ["ES256"])
    try await people.serve({ $0.authentication.issuer = configuration }) { (server) async throws in
      let answer = try await server.get("/whoami", as: Self.sign(Claims(iss: "http://127.0.0.1:9", email: "a@b.example"), with: key))
      #expect(answer.status == 503)
      #expect(answer.json["code"] as? String == "issuer-unavailable")
    }
  }
}
