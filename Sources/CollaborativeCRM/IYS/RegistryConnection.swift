import AsyncHTTPClient
import CRMCore
import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix

/// The way to the registry: HTTPS, with a token that it gets for itself when it has a user and a password.
package actor RegistryConnection {
  package struct Configuration: Sendable, CustomStringConvertible {
    package enum Credentials: Sendable {
      /// A token that was got elsewhere and is sent as it is.
      case token(String)
      /// The registry's own sign-in, whose tokens last some hours.
      case password(user: String, password: String)
    }

    /// Where the registry's paths begin, without a slash at the end.
    package let address: String
    package let credentials: Credentials
    /// How long an answer may take.
    package var patience: Duration

    package init(address: String, credentials: Credentials, patience: Duration = .seconds(30)) {
      self.address = address.hasSuffix("/") ? String(address.dropLast()) : address
      self.credentials = credentials
      self.patience = patience
    }

    /// Whether what is said to the registry stays between it and us: by TLS, or without leaving this machine.
    package static func isSafe(_ address: String) -> Bool {
      address.hasPrefix("https://") || address.hasPrefix("http://127.0.0.1:") || address.hasPrefix("http://localhost:")
    }

    /// Names the address alone, so that no secret gets into a log.
    package var description: String { address }
  }

  private let configuration: Configuration
  private var token: (text: String, until: Date)?
  /// Nothing is followed elsewhere: the token is meant for this address alone.
  private static let http = HTTPClient(
    eventLoopGroup: .singletonMultiThreadedEventLoopGroup, configuration: HTTPClient.Configuration(redirectConfiguration: .disallow))
  private static let answerLimit = 8 << 20

  package init(_ configuration: Configuration) { self.configuration = configuration }

  /// What speaks to the registry by this way.
  package nonisolated var client: RegistryClient { RegistryClient { try await self.exchange($0) } }

  /// - Throws: `RegistryUnreachable` when the registry does not answer, or not to us.
  package func exchange(_ request: RegistryRequest) async throws -> RegistryAnswer {
    var answer = try await send(request)
    if answer.status == 401, case .password = configuration.credentials {
      // The token may have ended before its time.
      token = nil
      answer = try await send(request)
    }
    switch answer.status {
    case 401, 403: throw RegistryUnreachable("the registry does not accept the credentials (\(answer.status))")
    case 408, 425, 429, 500...599: throw RegistryUnreachable("the registry answered \(answer.status)")
    default: return answer
    }
  }

  private func send(_ request: RegistryRequest) async throws -> RegistryAnswer {
    try await call(request.body == nil ? .GET : .POST, request.path.text, token: try await currentToken(), body: request.body)
  }

  private func currentToken() async throws -> String {
    switch configuration.credentials {
    case .token(let text): return text
    case .password(let user, let password):
      if let token, token.until > Date() { return token.text }
      let answer = try await call(
        .POST, "/oauth2/token", token: nil, body: ["username": .string(user), "password": .string(password), "grant_type": "password"])
      guard answer.status == 200, let text = answer.body["access_token"]?.string, !text.isEmpty else {
        throw RegistryUnreachable("the registry does not accept user and password (\(answer.status))")
      }
      var seconds = 600.0
      if case .number(let number)? = answer.body["expires_in"] { seconds = NSDecimalNumber(decimal: number).doubleValue }
      // A minute early, so that it does not end on its way.
      token = (text, Date().addingTimeInterval(max(seconds - 60, 30)))
      return text
    }
  }

  private func call(_ method: HTTPMethod, _ path: String, token: String?, body: JSON?) async throws -> RegistryAnswer {
    var request = HTTPClientRequest(url: configuration.address + path)
    request.method = method
    request.headers = ["accept": "application/json"]
    if let token { request.headers.add(name: "authorization", value: "Bearer \(token)") }
    if let body {
      request.headers.add(name: "content-type", value: "application/json")
      request.body = .bytes(try body.encoded())
    }
    do {
      let response = try await Self.http.execute(request, timeout: TimeAmount(configuration.patience))
      let bytes = try await response.body.collect(upTo: Self.answerLimit)
      return RegistryAnswer(status: Int(response.status.code), body: (try? JSONDecoder().decode(JSON.self, from: Data(bytes.readableBytesView))) ?? .null)
    } catch let error as CancellationError {
      throw error
    } catch {
      throw RegistryUnreachable("the registry cannot be reached: \(Self.words(for: error))")
    }
  }

  private static func words(for error: any Error) -> String {
    switch error as? HTTPClientError {
    case .connectTimeout?, .deadlineExceeded?, .readTimeout?: "no answer in time"
    case .remoteConnectionClosed?: "it closed the connection"
    default: error is HTTPClientError ? "\(error)" : "no connection"
    }
  }
}
