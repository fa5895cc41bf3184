import CRMCore
import Foundation
import NIOCore
import NIOHTTP1
import PostgresClient

/// How requests come in.
extension ExchangeHandler {
  /// Bodies up to this size are read and dropped when the answer does not need them; beyond it the connection is closed.
  private static let droppableBody = 64 << 10

  func take(_ part: HTTPServerRequestPart) {
    switch part {
    case .head(let head):
      if case .idle = phase { begin(head) }
    case .body(let buffer):
      takeBody(buffer)
    case .end:
      end()
    }
  }

  private func newRequestID() -> UUID { clock?.newRequestID() ?? .v7() }

  private func begin(_ head: HTTPRequestHead) {
    headArrived()
    let fields: RequestFields
    do {
      fields = try RequestFields(head, limits: server.configuration.limits, isHTTP2: wire == .http2)
    } catch {
      let exchange = Exchange(head, id: newRequestID(), fields: nil, language: .english, inFlight: server.inFlight)
      self.exchange = exchange
      answer(problem: error)
      return
    }
    let exchange = Exchange(
      head, id: fields.requestID ?? newRequestID(), fields: fields,
      language: fields.acceptLanguage.map { Language(acceptLanguage: $0) } ?? .english, inFlight: server.inFlight)
    self.exchange = exchange
    do {
      try route(exchange, head, fields)
    } catch {
      refuse(exchange, fields, Problem(describing: error))
    }
  }

  /// Finds the endpoint and the caller. Once both are known the body is taken in.
  private func route(_ exchange: Exchange, _ head: HTTPRequestHead, _ fields: RequestFields) throws(Problem) {
    let target = try RequestTarget(head.uri)
    let method = Request.Method(rawValue: exchange.method)
    let route: Router.Route
    let parameters: [String: String]
    if target.isServerWide {
      refuse(exchange, fields, answer: Response(status: method == .options ? 204 : 404))
      return
    }
    switch server.router.match(method, target.segments) {
    case .found(let found, let values): (route, parameters) = (found, values)
    case .none: throw .unknownRoute
    case .otherMethods(let allow):
      refuse(exchange, fields, answer: method == .options ? Response(status: 204, headers: [("allow", allow)]) : methodNotAllowed(exchange, allow))
      return
    }
    exchange.route = route
    guard exchange.enter(isForOperators: route.isForOperators) else { throw .busy }
    try checkMediaType(route, fields)
    if let length = fields.contentLength { try checkSize(length, route.endpoint) }
    exchange.request = Request(
      method: method ?? .get, path: target.path, parameters: parameters, query: target.query,
      headers: HeaderFields(head.headers.map { (name: $0.name, value: $0.value) }), caller: .anonymous, language: exchange.language,
      id: exchange.id, deadline: .after(.zero), remoteAddress: clientAddress(fields),
      publicAddress: server.configuration.publicAddress)
    guard route.endpoint.access != .open else {
      receive(exchange, fields)
      return
    }
    if let caller = try server.authenticator.known(authorization: fields.authorization) {
      try admit(exchange, caller)
      receive(exchange, fields)
    } else {
      lookUpCaller(exchange, fields)
    }
  }

  private func lookUpCaller(_ exchange: Exchange, _ fields: RequestFields) {
    guard let loop = context?.eventLoop else { return }
    phase = .authenticating
    let bound = NIOLoopBound((self, exchange, fields), eventLoop: loop)
    server.authenticator.lookUp(authorization: fields.authorization) { result in
      loop.execute {
        let (handler, exchange, fields) = bound.value
        handler.authenticated(exchange, fields, result)
      }
    }
  }

  private func authenticated(_ exchange: Exchange, _ fields: RequestFields, _ result: Result<Caller, Problem>) {
    guard self.exchange === exchange, case .authenticating = phase else { return }
    do {
      try admit(exchange, result.get())
      receive(exchange, fields)
    } catch {
      refuse(exchange, fields, Problem(describing: error))
    }
    takeWaiting()
  }

  /// Whether the caller may use the endpoint at all.
  private func admit(_ exchange: Exchange, _ caller: Caller) throws(Problem) {
    exchange.request?.caller = caller
    let isVisitor = caller.portalVisitor != nil
    switch exchange.route?.endpoint.access {
    case .portal where !isVisitor:
      throw .forbidden(Phrase("This address is for customers with a token of the portal.", tr: "Bu adres, portal jetonu olan müşteriler içindir."))
    case .signedIn where isVisitor, .read where isVisitor, .write where isVisitor:
      throw .forbidden(Phrase("A token of the portal reaches the portal only.", tr: "Portal jetonu yalnızca portala erişir."))
    case .read(let area) where !caller.reads(area):
      throw .forbidden(
        Phrase("Reading in the area \(area.rawValue) is not among your rights.", tr: "\(area.rawValue) alanında okuma yetkiniz yok."))
    case .write(let area) where !caller.writes(area):
      throw .forbidden(
        Phrase("Writing in the area \(area.rawValue) is not among your rights.", tr: "\(area.rawValue) alanında yazma yetkiniz yok."))
    default: break
    }
    try checkQuery(exchange)
  }

  /// What a write does not know in its query is refused: somebody who asks for `?dry_run=true` and is not understood would have changed something.
  private func checkQuery(_ exchange: Exchange) throws(Problem) {
    guard let query = exchange.request?.query, !query.isEmpty, let known = exchange.route?.queryNames,
      let unknown = query.first(where: { !known.contains($0.name) })
    else { return }
    let list = known.sorted().joined(separator: ", ")
    let cure =
      known.isEmpty
      ? Phrase("This address takes no parameters.", tr: "Bu adres parametre almaz.") : Phrase("Use: \(list).", tr: "Şunları kullanın: \(list).")
    let dryRun =
      exchange.request?.method != .get
      ? Phrase(" A dry run is asked for by the header Prefer: tx=rollback.", tr: " Deneme için Prefer: tx=rollback başlığını gönderin.") : Phrase("", tr: "")
    throw .badParameter(Problem.clipped(unknown.name), Phrase(cure.english + dryRun.english, tr: cure.turkish + dryRun.turkish))
  }

  /// Begins to take the body in.
  private func receive(_ exchange: Exchange, _ fields: RequestFields) {
    exchange.bodyStarted = .now()
    exchange.lastBodyAt = exchange.bodyStarted
    if exchange.awaitsContinue {
      exchange.awaitsContinue = false
      if fields.announcesBody { sendContinue() }
    }
    if exchange.route?.endpoint.body == .streamed {
      startUpload(exchange)
    } else {
      exchange.body.reserveCapacity(min(fields.contentLength ?? 0, Self.droppableBody))
      phase = .receiving
    }
  }

  private func takeBody(_ buffer: ByteBuffer) {
    guard let exchange else { return }
    exchange.bodyReceived += buffer.readableBytes
    exchange.lastBodyAt = .now()
    switch phase {
    case .receiving:
      guard exchange.bodyReceived <= server.configuration.limits.jsonBody else {
        answer(problem: tooLarge(server.configuration.limits.jsonBody))
        return
      }
      if exchange.route?.endpoint.body == .collected { exchange.body += buffer.readableBytesView }
    case .handling, .answering:
      guard let upload = exchange.upload else { return }
      if exchange.bodyReceived > server.configuration.limits.upload {
        exchange.keepsConnection = false
        upload.end(.failure(tooLarge(server.configuration.limits.upload)))
      } else {
        upload.push(Array(buffer.readableBytesView))
      }
    case .idle, .authenticating, .discarding, .lingering, .closed:
      break
    }
  }

  private func end() {
    guard let exchange else { return }
    exchange.inputEnded = true
    switch phase {
    case .receiving: handle(exchange)
    case .discarding(let response): answer(response)
    case .handling, .answering: exchange.upload?.end(.success(()))
    case .idle, .authenticating, .lingering, .closed: break
    }
  }

  // MARK: - Refusals

  private func refuse(_ exchange: Exchange, _ fields: RequestFields, _ problem: Problem) {
    refuse(exchange, fields, answer: render(problem, exchange))
  }

  /// Answers before the body was read. The connection stays if there is little or nothing to drop.
  private func refuse(_ exchange: Exchange, _ fields: RequestFields, answer response: Response) {
    let isSmall = !fields.isChunked && (fields.contentLength ?? 0) <= Self.droppableBody
    if isSmall, !(exchange.awaitsContinue && fields.announcesBody), !exchange.inputEnded {
      exchange.bodyStarted = .now()
      exchange.lastBodyAt = exchange.bodyStarted
      phase = .discarding(response)
    } else {
      answer(response)
    }
  }

  /// Input that is no HTTP, or that came too slowly to be any: the connection ends once earlier requests are answered.
  func refuseInput(_ problem: Problem) {
    switch phase {
    case .idle:
      let head = HTTPRequestHead(version: .http1_1, method: .GET, uri: "")
      exchange = Exchange(head, id: newRequestID(), fields: nil, language: .english, inFlight: server.inFlight)
      answer(problem: problem)
    case .receiving, .discarding:
      exchange?.keepsConnection = false
      answer(problem: problem)
    case .authenticating, .handling, .answering:
      decodingProblem = problem
      exchange?.upload?.end(.failure(problem))
    case .lingering, .closed:
      break
    }
  }

  private func methodNotAllowed(_ exchange: Exchange, _ allow: String) -> Response {
    var response = render(
      Problem(
        405, "method-not-allowed",
        Phrase("This address does not know the method \(exchange.method).", tr: "Bu adres \(exchange.method) yöntemini bilmiyor."),
        detail: Phrase("Allowed: \(allow).", tr: "İzin verilenler: \(allow).")), exchange)
    response.headers.append(("allow", allow))
    return response
  }

  private func checkMediaType(_ route: Router.Route, _ fields: RequestFields) throws(Problem) {
    guard route.takesJSON, fields.announcesBody, let given = fields.contentType, !isJSON(mediaType: given)
    else { return }
    throw Problem(
      415, "unsupported-media-type",
      Phrase("Send the body as application/json, not as \(given).", tr: "Gövdeyi \(given) olarak değil, application/json olarak gönderin."))
  }

  private func checkSize(_ length: Int, _ endpoint: Endpoint) throws(Problem) {
    let limits = server.configuration.limits
    let limit = endpoint.body == .streamed ? limits.upload : limits.jsonBody
    if length > limit { throw tooLarge(limit) }
  }

  private func tooLarge(_ limit: Int) -> Problem {
    Problem(
      413, "body-too-large", Phrase("The body is larger than \(limit) bytes.", tr: "Gövde \(limit) bayttan büyük."))
  }

  private func clientAddress(_ fields: RequestFields) -> String? {
    guard server.configuration.trustsForwardedFor, let last = fields.forwardedFor?.split(separator: ",").last else { return remoteAddress }
    // Some proxies add the port: 192.0.2.1:4711, [2001:db8::1]:4711. What is no address stands for nobody.
    let text = last.trimmingCharacters(in: .whitespaces)
    let colons = text.count { $0 == ":" }
    let bare = text.hasPrefix("[") ? String(text.dropFirst().prefix { $0 != "]" }) : colons == 1 ? String(text.prefix { $0 != ":" }) : text
    return (try? SocketAddress(ipAddress: bare, port: 0))?.ipAddress ?? remoteAddress
  }
}
