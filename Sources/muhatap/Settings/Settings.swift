import CRMCore
import CollaborativeCRM
import Crypto
import Foundation
import Gateway
import Logging
import NIOCore
import NIOSSL
import PostgresClient

/// Every key of the configuration: its name, default and meaning are written here and nowhere else.
struct Settings: Sendable {
  /// What the configuration is read for: it decides which keys have to be set.
  enum Purpose: Sendable {
    case serve, work, administer, demonstrate, list
  }

  let logLevel: Logger.Level
  let database: PostgresPool.Configuration
  /// The same with the role of workers, for a program that serves and works.
  let worker: PostgresPool.Configuration
  let migratorURL: String
  let gateway: GatewayConfiguration
  let cursorKey: SymmetricKey
  let migrations: URL
  let demoFolder: URL
  /// How many jobs a worker does at a time.
  let jobConcurrency: Int
  let webhooks: WebhookSender.Configuration
  /// The registry of consents; nil when none is configured.
  let registry: RegistryConnection.Configuration?

  init(from source: inout SettingsReader, for purpose: Purpose) {
    logLevel = source.choice("log.level", default: .info, "The least severe log entries that are written.")
    let database = Self.database(from: &source, for: purpose)
    self.database = database
    var worker = database
    worker.connection =
      source.text("demo.workerUrl", secret: true, "As database.url with the role crm_worker: `muhatap demo` serves and works in one process.") ?? ""
    self.worker = worker
    migratorURL =
      source.text("demo.migratorUrl", secret: true, "As database.url with the role crm_migrator: `muhatap demo` migrates and makes BI logins.") ?? ""
    if purpose == .demonstrate {
      for key in ["demo.workerUrl", "demo.migratorUrl"] { source.demand(key, "`make demo` sets it") }
    }
    cursorKey = Self.cursorKey(from: &source, for: purpose)
    gateway = Self.gateway(from: &source)
    jobConcurrency = source.integer("worker.concurrency", default: 2, in: 1...100, "How many jobs a worker does at a time.")
    webhooks = WebhookSender.Configuration(
      allowsLoopback: source.truth(
        "webhooks.allowLoopback", default: false, "Whether receivers of webhooks may be on this machine itself, and without TLS: for trying out."))
    registry = Self.registry(from: &source)
    let resources = Self.resources
    migrations = URL(filePath: source.text("database.sql", default: resources.appending(path: "sql").path, "The folder with migrations/ and current/."))
    demoFolder = URL(
      filePath: source.text(
        "demo.folder", default: resources.appending(path: "demo").path,
        "The folder with the demo company's data/ and mappings/."))
  }

  private static func registry(from source: inout SettingsReader) -> RegistryConnection.Configuration? {
    let address = source.text(
      "registry.address", "Where workers reach the registry of consents (İYS), such as https://api.iys.org.tr; without it nothing is passed to it.")
    let user = source.text("registry.user", "The user of the registry's API.")
    let password = source.text("registry.password", secret: true, "The user's password.")
    let token = source.text("registry.token", secret: true, "A token that was got elsewhere, instead of user and password.")
    guard let address else { return nil }
    if !RegistryConnection.Configuration.isSafe(address) { source.object("registry.address", "has to begin with https://") }
    if let token { return .init(address: address, credentials: .token(token)) }
    guard let user, let password else {
      source.object("registry.user", "and MUHATAP_REGISTRY_PASSWORD have to be set too, or MUHATAP_REGISTRY_TOKEN")
      return nil
    }
    return .init(address: address, credentials: .password(user: user, password: password))
  }

  private static func channelSecrets(from source: inout SettingsReader) -> ChannelSecrets {
    let file = source.text(
      "channels.secrets",
      "A JSON file with the secrets of channel accounts by their codes, such as {\"support\": {\"password\": \"…\"}}; only the program's user should be able to read it."
    )
    guard let file else { return ChannelSecrets() }
    do {
      return ChannelSecrets(try JSONDecoder().decode([String: [String: String]].self, from: Data(contentsOf: URL(filePath: file))))
    } catch {
      // The error itself could quote what stands in the file.
      source.object("channels.secrets", "cannot be read as a JSON object of objects of texts")
      return ChannelSecrets()
    }
  }

  private static func database(from source: inout SettingsReader, for purpose: Purpose) -> PostgresPool.Configuration {
    let connection = source.text(
      "database.url", secret: true,
      "How libpq reaches PostgreSQL; several hosts and any sslmode are fine. DATABASE_URL does as well. "
        + "Its role: crm_app to serve, crm_worker for the worker, crm_migrator to migrate and administer.")
    if purpose != .list { source.demand("database.url", "where is the database? For example postgresql://crm_app@localhost/muhatap") }
    return PostgresPool.Configuration(
      connection: connection ?? "",
      connections: [
        .interactive: source.integer("database.connections", default: 8, in: 1...500, "The most connections for requests."),
        .jobs: source.integer("database.jobConnections", default: 4, in: 1...100, "The most connections for jobs and imports."),
        .reports: source.integer("database.reportConnections", default: 2, in: 1...100, "The most connections for exports and aggregates."),
        .health: 1,
      ],
      queueLimit: source.integer(
        "database.queueLimit", default: 1_000, in: 0...100_000,
        "The most requests that wait for a connection; one more is answered 503."),
      preparedStatements: source.integer(
        "database.preparedStatements", default: 256, in: 0...10_000, "Prepared statements kept for each connection; 0 for a pooler that cannot keep them."),
      lockTimeout: .seconds(source.integer("database.lockTimeout", default: 2, in: 1...60, "Seconds a statement waits for a lock.")),
      connectTimeout: .seconds(source.integer("database.connectTimeout", default: 3, in: 1...60, "Seconds one host may take to accept a connection.")))
  }

  private static func cursorKey(from source: inout SettingsReader, for purpose: Purpose) -> SymmetricKey {
    let text = source.text(
      "http.cursorKey", secret: true,
      "32 bytes or more of base64 that sign page cursors, the same for all gateways of a deployment: `openssl rand -base64 32`.")
    if purpose == .serve { source.demand("http.cursorKey", "make one with: openssl rand -base64 32") }
    guard let text else { return SymmetricKey(size: .bits256) }
    guard let bytes = Data(base64Encoded: text), bytes.count >= 32 else {
      source.object("http.cursorKey", "has to be at least 32 bytes in base64")
      return SymmetricKey(size: .bits256)
    }
    return SymmetricKey(data: bytes)
  }

  private static func gateway(from source: inout SettingsReader) -> GatewayConfiguration {
    GatewayConfiguration(
      host: source.text("http.host", default: "127.0.0.1", "The address to listen on; 0.0.0.0 is every address of the machine."),
      port: source.integer("http.port", default: 8080, in: 0...65535, "The port to listen on; 0 takes a free one."),
      eventLoops: source.integer("http.eventLoops", default: System.coreCount, in: 1...256, "Threads that serve connections."),
      tls: tls(from: &source),
      http2: source.truth("http.http2", default: true, "Whether HTTP/2 is offered to clients that connect by TLS."),
      limits: limits(from: &source), deadlines: deadlines(from: &source),
      gzipFrom: source.integer(
        "http.gzipFrom", default: 4096, in: 0...1 << 30,
        "Bodies of at least this many bytes are compressed for clients that accept gzip."),
      trustsForwardedFor: source.truth(
        "http.trustsForwardedFor", default: false, "Whether the last address in X-Forwarded-For is the client's: only behind a proxy that sets it."),
      publicAddress: source.text("http.publicAddress", "The base address that clients use, such as https://crm.example.com."),
      authentication: AuthenticationSettings.read(from: &source),
      metricsToken: source.text(
        "metrics.token", secret: true, "Who sends it as bearer token sees /metrics from any machine; without it only this machine does."),
      files: FileFolder(
        URL(
          filePath: source.text(
            "files.folder", default: NSHomeDirectory() + "/.local/share/muhatap/files",
            "The folder for attachments; the same for all gateways and workers of a deployment, and part of its backup."), directoryHint: .isDirectory),
        sizeLimit: source.integer("files.sizeLimit", default: 25 << 20, in: 1024...1 << 40, "Bytes of one attachment.")),
      secrets: channelSecrets(from: &source))
  }

  private static func limits(from source: inout SettingsReader) -> Limits {
    var limits = Limits()
    limits.uri = source.integer("limits.uri", default: limits.uri, in: 256...1 << 20, "Bytes of a request's target.")
    limits.headers = source.integer("limits.headers", default: limits.headers, in: 1024...1 << 20, "Bytes of all header fields.")
    limits.headerCount = source.integer("limits.headerCount", default: limits.headerCount, in: 8...10_000, "Header fields of a request.")
    limits.jsonBody = source.integer("limits.jsonBody", default: limits.jsonBody, in: 1024...1 << 30, "Bytes of a JSON body.")
    limits.upload = source.integer("limits.upload", default: limits.upload, in: 1024...1 << 50, "Bytes of an uploaded file.")
    limits.inFlight = source.integer(
      "limits.inFlight", default: limits.inFlight, in: 1...100_000, "Requests answered at once; beyond it clients are told to come back.")
    limits.live.clients = source.integer(
      "limits.liveConnections", default: limits.live.clients, in: 1...100_000, "Clients that are told of changes as they happen, at once.")
    limits.live.clientsPerCaller = source.integer(
      "limits.liveConnectionsPerCaller", default: limits.live.clientsPerCaller, in: 1...100_000, "The same for one user.")
    return limits
  }

  private static func deadlines(from source: inout SettingsReader) -> Deadlines {
    var deadlines = Deadlines()
    func seconds(_ key: String, _ value: inout Duration, _ range: ClosedRange<Int>, _ meaning: String, _ source: inout SettingsReader) {
      let fallback = Int(value.components.seconds)
      value = .seconds(source.integer(key, default: fallback, in: range, "Seconds " + meaning))
    }
    seconds("deadlines.headers", &deadlines.headers, 1...300, "for a request's header fields and the TLS handshake.", &source)
    seconds("deadlines.body", &deadlines.body, 1...3600, "for a body, and for a pause within an upload.", &source)
    seconds("deadlines.handler", &deadlines.handler, 1...3600, "for finding the answer.", &source)
    seconds("deadlines.transfer", &deadlines.transfer, 10...86_400, "for a whole upload.", &source)
    seconds("deadlines.streamPause", &deadlines.streamPause, 1...3600, "for the next piece of a streamed answer.", &source)
    seconds("deadlines.stalledReader", &deadlines.stalledReader, 1...3600, "a client may leave its answer unread.", &source)
    seconds("deadlines.heartbeat", &deadlines.heartbeat, 1...3600, "a client that listens for changes may be sent nothing.", &source)
    seconds("deadlines.idle", &deadlines.idle, 1...3600, "a connection may stay open between requests.", &source)
    seconds("deadlines.drainNotice", &deadlines.drainNotice, 0...300, "that readiness is false before connections are closed at shutdown.", &source)
    seconds("deadlines.drain", &deadlines.drain, 0...3600, "that requests under way may still take at shutdown.", &source)
    return deadlines
  }

  private static func tls(from source: inout SettingsReader) -> TLSConfiguration? {
    let certificate = source.text("tls.certificate", "A PEM file with the certificate chain; with tls.key, HTTPS is served.")
    let key = source.text("tls.key", "A PEM file with the certificate's private key.")
    switch (certificate, key) {
    case (nil, nil): return nil
    case (let certificate?, let key?):
      do {
        return TLSConfiguration.makeServerConfiguration(
          certificateChain: try NIOSSLCertificate.fromPEMFile(certificate).map { .certificate($0) },
          privateKey: .privateKey(try NIOSSLPrivateKey(file: key, format: .pem)))
      } catch {
        source.object("tls.certificate", "and MUHATAP_TLS_KEY cannot be read as PEM files: \(error)")
        return nil
      }
    default:
      source.object(certificate == nil ? "tls.certificate" : "tls.key", "has to be set too: HTTPS needs both")
      return nil
    }
  }

  /// Where sql/ and demo/ lie: beside an installed program's bin/ in share/muhatap/, or in the checkout the program was built from.
  private static let resources: URL = {
    let program = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
    var folder = program.deletingLastPathComponent()
    let installed = folder.deletingLastPathComponent().appending(path: "share/muhatap")
    if FileManager.default.fileExists(atPath: installed.path) { return installed }
    while folder.path != "/" {
      if FileManager.default.fileExists(atPath: folder.appending(path: "sql/bootstrap.sql").path) { return folder }
      folder.deleteLastPathComponent()
    }
    return URL(filePath: FileManager.default.currentDirectoryPath)
  }()
}
