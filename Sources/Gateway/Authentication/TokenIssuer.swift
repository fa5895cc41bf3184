import AsyncHTTPClient
import CRMCore
import Foundation
import JWTKit
import Logging
import NIOCore
import NIOHTTP1

/// What a token says of its bearer (OpenID Connect Core §2).
struct TokenClaims: JWTPayload {
  let iss: String
  let sub: String
  let aud: AudienceClaim
  /// Seconds since 1970.
  let exp: Double
  let nbf: Double?
  let email: String?
  let email_verified: Bool?

  // The claims are compared with the configuration, which is not known here: `TokenIssuer.verify`.
  func verify(using algorithm: some JWTAlgorithm) async throws {}
}

/// Checks the tokens of one OpenID Connect issuer with the keys it publishes.
actor TokenIssuer {
  private struct Discovery: Decodable {
    let issuer: String
    let jwks_uri: String
  }

  private struct Header: Decodable {
    let alg: String
    let kid: String
  }

  /// The issuer did not say what OpenID Connect Discovery requires.
  struct DiscoveryFailure: Error {
    let reason: String
  }

  private static let answerLimit = 1 << 20
  private static let patience = TimeAmount.seconds(5)

  private let configuration: TokenIssuerConfiguration
  private let client: HTTPClient
  private let logger: Logger
  private var keys: [String: JWK] = [:]
  private var fetchedAt: ContinuousClock.Instant?
  private var askedAt: ContinuousClock.Instant?
  private var fetching: Task<[String: JWK], any Error>?

  init(_ configuration: TokenIssuerConfiguration, client: HTTPClient = .shared, logger: Logger) {
    self.configuration = configuration
    self.logger = logger
    self.client = client
  }

  /// The claims of a token whose signature, issuer, audience and times are right.
  func verify(_ token: String) async throws -> TokenClaims {
    let parts = token.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 3, let bytes = Data(base64URL: parts[0]), let header = try? JSONDecoder().decode(Header.self, from: bytes),
      configuration.algorithms.contains(header.alg), !header.alg.hasPrefix("HS"), header.alg != "none"
    else { throw Problem.unauthenticated }
    guard let key = try await key(header.kid), key.keyType != .octetKeyPair || header.alg == "EdDSA",
      key.algorithm == nil || key.algorithm?.rawValue == header.alg
    else { throw Problem.unauthenticated }
    let claims: TokenClaims
    do {
      claims = try await JWTKeyCollection().add(jwk: key).verify(token, as: TokenClaims.self)
    } catch {
      throw Problem.unauthenticated
    }
    let now = Date().timeIntervalSince1970
    let leeway = Double(configuration.leeway.components.seconds)
    guard claims.iss == configuration.issuer, claims.aud.value.contains(configuration.audience), !claims.sub.isEmpty,
      claims.exp + leeway > now, (claims.nbf ?? 0) - leeway <= now
    else { throw Problem.unauthenticated }
    return claims
  }

  /// The key of that id. An unknown id makes the issuer be asked again, because it may have a new key, though not at every token.
  private func key(_ id: String) async throws -> JWK? {
    if let key = keys[id], let fetchedAt, ContinuousClock.now - fetchedAt < configuration.keysFor { return key }
    if let askedAt, ContinuousClock.now - askedAt < configuration.keysAtMostEvery, fetching == nil {
      guard fetchedAt != nil else { throw Problem.issuerUnavailable }
      return keys[id]
    }
    let task = fetching ?? Task { try await fetch() }
    fetching = task
    askedAt = .now
    defer { fetching = nil }
    do {
      keys = try await task.value
      fetchedAt = .now
    } catch {
      // Known keys outlive a short absence of the issuer.
      guard let key = keys[id] else {
        logger.warning("the token issuer's keys could not be read", metadata: ["error": "\(String(reflecting: error))"])
        throw Problem.issuerUnavailable
      }
      return key
    }
    return keys[id]
  }

  private func fetch() async throws -> [String: JWK] {
    let base = configuration.issuer.hasSuffix("/") ? String(configuration.issuer.dropLast()) : configuration.issuer
    let discovery = try await get(Discovery.self, "\(base)/.well-known/openid-configuration")
    guard discovery.issuer == configuration.issuer else { throw DiscoveryFailure(reason: "the document names the issuer \(discovery.issuer)") }
    guard discovery.jwks_uri.hasPrefix("https://") || configuration.issuer.hasPrefix("http://") else {
      throw DiscoveryFailure(reason: "its keys are not offered by https")
    }
    let set = try await get(JWKS.self, discovery.jwks_uri)
    return Dictionary(set.keys.compactMap { key in key.keyIdentifier.map { ($0.string, key) } }, uniquingKeysWith: { $1 })
  }

  private func get<T: Decodable>(_ type: T.Type, _ address: String) async throws -> T {
    let response = try await client.execute(HTTPClientRequest(url: address), timeout: Self.patience)
    guard response.status == .ok else { throw DiscoveryFailure(reason: "\(address) answered \(response.status.code)") }
    let body = try await response.body.collect(upTo: Self.answerLimit)
    return try JSONDecoder().decode(type, from: Data(body.readableBytesView))
  }
}

extension Data {
  /// Bytes from Base64url without padding (RFC 7515); nil if the text is none.
  init?(base64URL text: some StringProtocol) {
    var base64 = String(text).replacing("-", with: "+").replacing("_", with: "/")
    base64 += String(repeating: "=", count: (4 - base64.count % 4) % 4)
    self.init(base64Encoded: base64)
  }
}

extension Problem {
  static let issuerUnavailable = Problem(
    503, "issuer-unavailable",
    Phrase(
      "Your token cannot be checked right now because its issuer does not answer. Try again shortly.",
      tr: "Jetonunuz şu anda denetlenemiyor, çünkü sağlayıcısı yanıt vermiyor. Kısa süre sonra yeniden deneyin."),
    retryAfter: 5)
}
