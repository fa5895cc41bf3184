package import CRMCore
import NIOCore
package import NIOSSL

/// Where and how the gateway listens, and what it grants every client.
package struct GatewayConfiguration: Sendable {
  /// The address to listen on.
  package var host: String
  /// The port to listen on; 0 takes a free one (`GatewayServer.port` tells which).
  package var port: Int
  /// Threads that serve connections.
  package var eventLoops: Int
  /// Certificate, key and protocol versions; nil serves plain HTTP. ALPN is set by the gateway.
  package var tls: TLSConfiguration?
  /// Whether HTTP/2 is offered to clients that connect by TLS.
  package var http2: Bool
  package var limits: Limits
  package var deadlines: Deadlines
  /// Bodies of at least this many bytes are compressed for clients that accept gzip.
  package var gzipFrom: Int
  /// Whether the last address in `X-Forwarded-For` is the client's: only true behind a proxy that sets it.
  package var trustsForwardedFor: Bool
  /// The base address clients use, such as `https://crm.example.com`; named in the OpenAPI document.
  package var publicAddress: String?
  package var authentication: AuthenticationConfiguration
  /// With it metrics are shown to other machines too, as `Authorization: Bearer <token>`; this machine itself needs none.
  package var metricsToken: String?
  /// Where attachments and other files lie.
  package var files: FileFolder
  package var secrets: ChannelSecrets

  package init(
    host: String = "127.0.0.1", port: Int = 8080, eventLoops: Int = System.coreCount, tls: TLSConfiguration? = nil, http2: Bool = true,
    limits: Limits = Limits(), deadlines: Deadlines = Deadlines(), gzipFrom: Int = 4096, trustsForwardedFor: Bool = false,
    publicAddress: String? = nil, authentication: AuthenticationConfiguration = AuthenticationConfiguration(), metricsToken: String? = nil,
    files: FileFolder = FileFolder(), secrets: ChannelSecrets = ChannelSecrets()
  ) {
    self.host = host
    self.port = port
    self.eventLoops = eventLoops
    self.tls = tls
    self.http2 = http2
    self.limits = limits
    self.deadlines = deadlines
    self.gzipFrom = gzipFrom
    self.trustsForwardedFor = trustsForwardedFor
    self.publicAddress = publicAddress
    self.authentication = authentication
    self.metricsToken = metricsToken
    self.files = files
    self.secrets = secrets
  }
}

/// How much one client may send or ask at once. Sizes are in bytes.
package struct Limits: Sendable {
  package var uri = 8 << 10
  package var headers = 32 << 10
  package var headerCount = 128
  package var jsonBody = 1 << 20
  package var upload = 4 << 30
  /// Requests being answered at once by the whole process; beyond it clients are told to come back.
  package var inFlight = 512
  /// Requests one HTTP/2 connection may have open at once.
  package var http2Streams = 100
  /// Bytes of a streamed answer that wait for a slow client before its source is paused.
  package var streamWindow = 128 << 10
  /// Clients that are told of changes as they happen.
  package var live = LiveFeed.Limits()

  package init() {}
}

/// How long each part of an exchange may take.
package struct Deadlines: Sendable {
  /// From the first byte of a request to the end of its header fields; also the TLS handshake.
  package var headers: Duration = .seconds(5)
  /// For a body, to which every `bodyRate` bytes received add a second; also the longest pause inside an upload.
  package var body: Duration = .seconds(10)
  /// The slowest acceptable body, in bytes a second.
  package var bodyRate = 1024
  /// For finding the answer, from the end of the body on.
  package var handler: Duration = .seconds(10)
  /// How much longer a handler that was told to stop is waited for, so that a COMMIT under way can end.
  package var handlerGrace: Duration = .seconds(2)
  /// For the whole of an upload.
  package var transfer: Duration = .seconds(7200)
  /// How long the source of a streamed answer may take for its next piece.
  package var streamPause: Duration = .seconds(60)
  /// How long a client may leave its answer unread.
  package var stalledReader: Duration = .seconds(15)
  /// How long a client that listens for changes may be sent nothing; then it is told that the connection lives.
  package var heartbeat: Duration = .seconds(15)
  /// How long a connection may stay open between requests.
  package var idle: Duration = .seconds(75)
  /// How long input is still read and dropped after an answer that ends the connection.
  package var linger: Duration = .seconds(1)
  /// At shutdown: how long readiness is false before connections are told to close, so that a load balancer can notice.
  package var drainNotice: Duration = .seconds(2)
  /// At shutdown: how long requests under way may still take.
  package var drain: Duration = .seconds(20)

  package init() {}
}

extension Duration {
  /// The same length as NIO counts it.
  var amount: TimeAmount { TimeAmount(self) }
}
