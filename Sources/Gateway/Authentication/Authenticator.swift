import CRMCore

final class Authenticator: Sendable {
  func known(authorization: String?) throws(Problem) -> Caller? {
    throw .unauthenticated
  }
  func lookUp(authorization: String?, completion: @escaping @Sendable (Result<Caller, Problem>) -> Void) {
    completion(.failure(.unauthenticated))
  }
}
