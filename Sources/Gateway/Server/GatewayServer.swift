package import CRMCore
package import Logging
import NIOCore
import NIOExtras
import NIOPosix
import NIOSSL
import PostgresClient
import Synchronization

/// The HTTP server: answers the API's endpoints, and its own for probes, metrics and documentation.
package final class GatewayServer: Sendable {
  private struct Running {
    let channel: any Channel
    let quiescing: ServerQuiescingHelper
  }

  private let configuration: GatewayConfiguration
  private let logger: Logger
  private let group: MultiThreadedEventLoopGroup
  private let server: ServerContext
  private let tls: NIOSSLContext?
  private let passwords: Passwords
  private let signs: SignsOfLife
  private let database: Database
  /// The addresses that the gateway adds to the API's.
  private let own: [Endpoint]
  private let documentation: Documentation
  private let running = Mutex<Running?>(nil)
  private let listening = Mutex<[Task<Void, Never>]>([])

  /// - Parameters:
  ///   - database: what the endpoints' reads and the callers' rights come from.
  ///   - endpoints: the API; the gateway adds its own.
  ///   - live: where `/v1/events` and other endpoints of kind `live` hear of changes; without it they answer 503.
  ///   - registry: where metrics are kept.
  /// - Throws: when two endpoints claim one address, or the TLS configuration is not usable.
  package init(
    configuration: GatewayConfiguration, database: Database, endpoints: [Endpoint], live: LiveFeed? = nil,
    registry: PrometheusRegistry = PrometheusRegistry(), logger: Logger
  ) async throws {
    self.configuration = configuration
    self.logger = logger
    self.database = database
    let inFlight = InFlight(limit: configuration.limits.inFlight)
    let metrics = RequestMetrics(factory: registry)
    let draining = DrainingFlag()
    let passwords = Passwords(cost: configuration.authentication.password)
    self.passwords = passwords
    let authentication = configuration.authentication
    let signs = SignsOfLife()
    self.signs = signs
    let authenticator = Authenticator(
      lookup: CallerLookup(
        database: database, issuer: authentication.issuer.map { TokenIssuer($0, logger: logger) }, patience: configuration.deadlines.handler),
      signs: signs, cacheFor: authentication.cacheFor,
      logger: logger)
    own =
      accessEndpoints(database: database, passwords: passwords, configuration: configuration.authentication)
      + operatorEndpoints(registry: registry, draining: draining, metricsToken: configuration.metricsToken)
      + (live.map { [eventsEndpoint($0, authenticator: authenticator, signs: signs)] } ?? [])
    documentation = Documentation(server: configuration.publicAddress)
    try documentation.describe(endpoints + own)
    let router = try Router(endpoints + own + documentation.endpoints, metrics: metrics)
    tls = try configuration.tls.map { given in
      var tls = given
      tls.applicationProtocols = configuration.http2 ? ["h2", "http/1.1"] : ["http/1.1"]
      return try NIOSSLContext(configuration: tls)
    }
    registry.observe { [.init("muhatap_requests_in_flight", [], Double(inFlight.count))] }
    if let live { registry.observe { [.init("muhatap_live_connections", [], Double(live.count))] } }
    registry.observe { await database.pool.statistics().readings }
    let group = MultiThreadedEventLoopGroup(numberOfThreads: configuration.eventLoops)
    self.group = group
    var clocks: [ObjectIdentifier: NIOLoopBound<ConnectionClock>] = [:]
    for loop in group.makeIterator() {
      clocks[ObjectIdentifier(loop)] = try await loop.submit { NIOLoopBound(ConnectionClock(loop: loop), eventLoop: loop) }.get()
    }
    server = ServerContext(
      configuration: configuration, router: router, authenticator: authenticator, pool: database.pool, logger: logger, metrics: metrics,
      inFlight: inFlight, draining: draining, live: live, clocks: clocks)
  }

  /// Describes the API anew, after a custom field was added or changed. The addresses stay the same.
  package func describe(_ endpoints: [Endpoint]) throws { try documentation.describe(endpoints + own) }

  /// The port the server listens on, once started.
  package var port: Int? { running.withLock { $0?.channel.localAddress?.port } }

  /// Begins to listen.
  package func start() async throws {
    let quiescing = ServerQuiescingHelper(group: group)
    let pipeline = ConnectionPipeline(server: server, tls: tls)
    let bootstrap = ServerBootstrap(group: group)
      .serverChannelOption(.backlog, value: 1024)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .serverChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(quiescing.makeServerChannelHandler(channel: channel))
        }
      }
      .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
      .childChannelOption(.maxMessagesPerRead, value: 1)
      .childChannelInitializer { pipeline.configure($0) }
    let channel: any Channel
    do {
      channel = try await bootstrap.bind(host: configuration.host, port: configuration.port).get()
    } catch let error as IOError {
      throw CannotListen(host: configuration.host, port: configuration.port, error)
    }
    running.withLock { $0 = Running(channel: channel, quiescing: quiescing) }
    let notifications = database.pool.notifications(on: ["muhatap_access"])
    listening.withLock { tasks in
      tasks.append(
        Task { [server] in
          // First the callers are forgotten, then those who listen are looked up anew.
          await server.authenticator.listen(to: notifications) { server.live?.review() }
        })
      tasks.append(
        Task { [self] in await signs.run(writingTo: database, every: configuration.authentication.signsEvery, logger: logger) })
      if let live = server.live { tasks.append(Task { [server] in await live.run { server.authenticator.forget() } }) }
    }
    let interval = tickInterval
    try await onEveryLoop { $0.start(interval: interval) }
    logger.info("listening", metadata: ["host": "\(configuration.host)", "port": "\(port ?? 0)"])
  }

  /// How often deadlines are looked at: often enough for the shortest of them.
  private var tickInterval: TimeAmount {
    let deadlines = configuration.deadlines
    let shortest =
      [
        deadlines.headers, deadlines.body, deadlines.handler, deadlines.handlerGrace, deadlines.stalledReader, deadlines.idle, deadlines.linger,
      ].min()?.amount ?? .seconds(1)
    return max(.milliseconds(10), min(.milliseconds(500), .nanoseconds(shortest.nanoseconds / 8)))
  }

  /// Goes down gracefully: readiness turns false, then nothing more is accepted and idle connections close, and requests under way
  /// are waited for up to the drain deadline. Returns when all is closed; further calls do nothing.
  package func drain() async throws {
    guard running.withLock({ $0 != nil }) else { return }
    logger.info("draining", metadata: ["in_flight": "\(server.inFlight.count)"])
    server.draining.raise()
    server.live?.close()
    try await Task.sleep(for: configuration.deadlines.drainNotice)
    var isClosed = true
    do { try await closeConnections() } catch is ConnectionsLeft { isClosed = false }
    try await onEveryLoop { $0.stop() }
    // Handlers that were told to stop still answer to their event loop; it has to be there.
    let patience = Deadline.after(configuration.deadlines.handlerGrace)
    while server.inFlight.count > 0, !patience.hasPassed { try await Task.sleep(for: .milliseconds(10)) }
    for task in listening.withLock({ $0 }) { task.cancel() }
    try await passwords.shutdown()
    if isClosed, server.inFlight.count == 0 { try await group.shutdownGracefully() }
    logger.info("stopped")
  }

  private func closeConnections() async throws {
    guard let running = running.withLock({ $0.take() }) else { return }
    let deadlines = configuration.deadlines
    let loop = group.any()
    let closed = loop.makePromise(of: Void.self)
    server.draining.beginClosing()
    running.quiescing.initiateShutdown(promise: closed)
    let cutOff = loop.scheduleTask(in: deadlines.drain.amount) { [self] in
      logger.warning("requests under way are cut off", metadata: ["in_flight": "\(server.inFlight.count)"])
      for loop in group.makeIterator() { loop.execute { [server] in server.clock(of: loop)?.closeAll() } }
    }
    // Cut off or not, the event loops are needed until the last connection has said that it is closed.
    let end = loop.scheduleTask(in: (deadlines.drain + deadlines.handlerGrace).amount) { closed.fail(ConnectionsLeft()) }
    defer {
      cutOff.cancel()
      end.cancel()
    }
    try await closed.futureResult.get()
  }

  private func onEveryLoop(_ work: @escaping @Sendable (ConnectionClock) -> Void) async throws {
    for loop in group.makeIterator() {
      try await loop.submit { [server] in
        if let clock = server.clock(of: loop) { work(clock) }
      }.get()
    }
  }
}

/// Connections stayed open although they were closed.
struct ConnectionsLeft: Error {}
