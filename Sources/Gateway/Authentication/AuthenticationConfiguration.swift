/// How callers prove who they are.
package struct AuthenticationConfiguration: Sendable {
  /// How long a caller's rights are kept when no notification of a change arrives.
  package var cacheFor: Duration
  /// How long a session lasts from signing in.
  package var sessionFor: Duration
  /// How often it is written down who was heard of, by which presences lapse.
  package var signsEvery: Duration = .seconds(30)
  package var password: PasswordCost
  /// The issuer whose tokens are accepted; nil for none.
  package var issuer: TokenIssuerConfiguration?

  package init(
    cacheFor: Duration = .seconds(60), sessionFor: Duration = .seconds(12 * 3600), password: PasswordCost = PasswordCost(),
    issuer: TokenIssuerConfiguration? = nil
  ) {
    self.cacheFor = cacheFor
    self.sessionFor = sessionFor
    self.password = password
    self.issuer = issuer
  }
}

/// An OpenID Connect issuer, and what its tokens must say.
package struct TokenIssuerConfiguration: Sendable {
  /// The issuer's address exactly as its tokens spell it (`iss`); its discovery document is below it.
  package var issuer: String
  /// Who tokens must be meant for (`aud`).
  package var audience: String
  /// The signature algorithms accepted, such as RS256. Symmetric ones never are.
  package var algorithms: Set<String>
  /// How far clocks may differ.
  package var leeway: Duration
  /// How long the issuer's keys are kept.
  package var keysFor: Duration
  /// The shortest time between two questions for keys, however many tokens name unknown ones.
  package var keysAtMostEvery: Duration

  package init(
    issuer: String, audience: String, algorithms: Set<String> = ["RS256", "ES256"], leeway: Duration = .seconds(60),
    keysFor: Duration = .seconds(3600), keysAtMostEvery: Duration = .seconds(10)
  ) {
    self.issuer = issuer
    self.audience = audience
    self.algorithms = algorithms
    self.leeway = leeway
    self.keysFor = keysFor
    self.keysAtMostEvery = keysAtMostEvery
  }
}
