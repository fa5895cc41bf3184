/// How callers prove who they are.
package struct AuthenticationConfiguration: Sendable {
  /// How long a caller's rights are kept when no notification of a change arrives.
  package var cacheFor: Duration
  package init(cacheFor: Duration = .seconds(60)) {
    self.cacheFor = cacheFor
  }
}
