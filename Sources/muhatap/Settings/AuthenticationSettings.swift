import Gateway

/// The keys that say how callers prove who they are.
enum AuthenticationSettings {
  /// Asymmetric signatures that may be allowed; shared secrets never are.
  private static let algorithms: Set<String> = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]

  static func read(from source: inout SettingsReader) -> AuthenticationConfiguration {
    let hours = source.integer("authentication.sessionHours", default: 12, in: 1...720, "Hours that a session lasts from signing in.")
    return AuthenticationConfiguration(sessionFor: .seconds(hours * 3600), issuer: issuer(from: &source))
  }

  private static func issuer(from source: inout SettingsReader) -> TokenIssuerConfiguration? {
    let issuer = source.text("authentication.issuer", "The OpenID Connect issuer whose tokens sign users in, exactly as its tokens spell it (iss).")
    let audience = source.text("authentication.audience", "Who the issuer's tokens have to be meant for (aud).")
    let listed = source.text("authentication.algorithms", default: "RS256,ES256", "The signature algorithms of the issuer's tokens that are accepted.")
    let leeway = source.integer("authentication.leeway", default: 60, in: 0...600, "Seconds that the issuer's clock may differ.")
    let chosen = Set(listed.split(separator: ",").map { $0.filter { !$0.isWhitespace } })
    let unknown = chosen.subtracting(algorithms).sorted()
    if !unknown.isEmpty || chosen.isEmpty {
      source.object("authentication.algorithms", "has to be some of \(algorithms.sorted().joined(separator: ", "))")
    }
    switch (issuer, audience) {
    case (nil, nil): return nil
    case (let issuer?, let audience?):
      if !issuer.hasPrefix("https://") && !issuer.hasPrefix("http://127.0.0.1") && !issuer.hasPrefix("http://localhost") {
        source.object("authentication.issuer", "has to begin with https://")
      }
      return TokenIssuerConfiguration(issuer: issuer, audience: audience, algorithms: chosen, leeway: .seconds(leeway))
    default:
      source.object(issuer == nil ? "authentication.issuer" : "authentication.audience", "has to be set too: tokens are checked against both")
      return nil
    }
  }
}
