import Foundation
import NIOCore
import NIOPosix

/// An address elsewhere that is about to be called: resolved, checked, and pinned, so that what was checked is what is called.
package struct OutgoingTarget: Sendable {
  package enum Refusal: Error, CustomStringConvertible {
    case malformed
    case insecure
    case unresolved(String)
    case notPublic(String)

    package var description: String {
      switch self {
      case .malformed: "the address is no http(s) address with a host"
      case .insecure: "the address is not https"
      case .unresolved(let host): "the host \(host) has no address"
      case .notPublic(let host): "the host \(host) leads to a network that is not public"
      }
    }
  }

  package let url: String
  package let host: String
  /// The address that was checked.
  package let address: String

  /// - Parameter allowsLoopback: lets this machine itself be called, and without TLS: for tests and trying out.
  package static func resolve(_ url: String, allowsLoopback: Bool) async throws -> OutgoingTarget {
    guard let components = URLComponents(string: url), let scheme = components.scheme?.lowercased(), ["http", "https"].contains(scheme),
      components.user == nil, components.password == nil, let host = components.host.map({ $0.trimmingCharacters(in: ["[", "]"]) }), !host.isEmpty,
      // The client that calls it reads the host by itself: one that can be read in two ways would not be pinned.
      host.utf8.allSatisfy({ $0 < 0x80 }), URL(string: url)?.host()?.trimmingCharacters(in: ["[", "]"]) == host
    else { throw Refusal.malformed }
    let port = components.port ?? (scheme == "https" ? 443 : 80)
    // The resolver blocks; it runs on NIO's threads for that.
    let addresses: [SocketAddress]
    do {
      addresses = try await NIOThreadPool.singleton.runIfActive { [try SocketAddress.makeAddressResolvingHost(host, port: port)] }
    } catch {
      throw Refusal.unresolved(host)
    }
    guard let address = addresses.first, let text = address.ipAddress, let found = NetworkAddress(address) else { throw Refusal.unresolved(host) }
    let isOwn = allowsLoopback && found.isLoopback
    guard found.isPublic || isOwn else { throw Refusal.notPublic(host) }
    guard scheme == "https" || isOwn else { throw Refusal.insecure }
    return OutgoingTarget(url: url, host: host, address: text)
  }
}

extension NetworkAddress {
  init?(_ address: SocketAddress) {
    switch address {
    case .v4(let v4): self.init(bytes: withUnsafeBytes(of: v4.address.sin_addr) { Array($0) })
    case .v6(let v6): self.init(bytes: withUnsafeBytes(of: v6.address.sin6_addr) { Array($0) })
    case .unixDomainSocket: return nil
    }
  }
}
