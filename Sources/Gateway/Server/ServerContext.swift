import CRMCore
import Logging
import NIOCore
import PostgresClient

/// What all connections of a server share.
final class ServerContext: Sendable {
  let configuration: GatewayConfiguration
  let router: Router
  let authenticator: Authenticator
  let pool: PostgresPool
  let logger: Logger
  let metrics: RequestMetrics
  let inFlight: InFlight
  let heads: ResponseHeads
  let draining: DrainingFlag
  /// The change log as it grows; nil in a server that has none.
  let live: LiveFeed?
  private let clocks: [ObjectIdentifier: NIOLoopBound<ConnectionClock>]

  init(
    configuration: GatewayConfiguration, router: Router, authenticator: Authenticator, pool: PostgresPool, logger: Logger,
    metrics: RequestMetrics, inFlight: InFlight, draining: DrainingFlag, live: LiveFeed?, clocks: [ObjectIdentifier: NIOLoopBound<ConnectionClock>]
  ) {
    self.configuration = configuration
    self.router = router
    self.authenticator = authenticator
    self.pool = pool
    self.logger = logger
    self.metrics = metrics
    self.inFlight = inFlight
    self.draining = draining
    self.live = live
    self.clocks = clocks
    heads = ResponseHeads(isSecure: configuration.tls != nil)
  }

  /// The clock of an event loop, to be asked for on that loop.
  func clock(of loop: any EventLoop) -> ConnectionClock? { clocks[ObjectIdentifier(loop)]?.value }
}
