import CRMCore
import Foundation
import Logging
import NIOCore
import PostgresClient

/// How requests are handled once they have arrived.
extension ExchangeHandler {
  func handle(_ exchange: Exchange) {
    guard let route = exchange.route, var request = exchange.request, let context else { return }
    do {
      if route.endpoint.body == .collected {
        request.body = exchange.body.isEmpty ? .empty : .bytes(exchange.body)
        exchange.body = []
      }
      request.deadline = .after(server.configuration.deadlines.handler)
      switch route.endpoint.handler {
      case .immediate(let respond):
        answer(try respond(request))
      case .read(let prepare):
        start(try prepare(request), exchange, request, context.eventLoop)
      case .live(let wish):
        exchange.handlerDue = .now() + server.configuration.deadlines.handler.amount
        startLive(wish, exchange, request, context.eventLoop)
      case .operation(let run):
        exchange.handlerDue = .now() + server.configuration.deadlines.handler.amount
        start(run, exchange, request, context.eventLoop)
      }
    } catch {
      fail(error)
    }
  }

  /// A read runs as callbacks: the pool answers on its own thread, the answer is written on this event loop. No task is made.
  /// It ends with the connection, as an operation does.
  private func start(_ read: Endpoint.Read, _ exchange: Exchange, _ request: Request, _ loop: any EventLoop) {
    phase = .handling
    // The pool keeps the deadline itself; this one is for a pool that does not answer at all.
    exchange.handlerDue = .now() + server.configuration.deadlines.handler.amount
    let bound = NIOLoopBound((self, exchange), eventLoop: loop)
    exchange.execution = server.pool.execute(read.statements, context: read.context, lane: read.lane, deadline: request.deadline) { result in
      loop.execute {
        let (handler, exchange) = bound.value
        exchange.execution = nil
        guard handler.isCurrent(exchange) else { return }
        do {
          handler.answer(try read.answer(try result.get()))
        } catch let problem as Problem where problem.status == 404 && read.otherwise != nil {
          if let next = read.otherwise?() { handler.start(next, exchange, request, loop) }
        } catch {
          handler.fail(error)
        }
      }
    }
  }

  /// An operation runs as a task that ends with the connection or at the deadline.
  private func start(
    _ run: @escaping @Sendable (Request) async throws -> Response, _ exchange: Exchange, _ request: Request, _ loop: any EventLoop
  ) {
    phase = .handling
    let bound = NIOLoopBound((self, exchange), eventLoop: loop)
    exchange.work = Task {
      let result: Result<Response, any Error>
      do { result = .success(try await run(request)) } catch { result = .failure(error) }
      loop.execute {
        let (handler, exchange) = bound.value
        exchange.work = nil
        guard handler.isCurrent(exchange) else { return }
        switch result {
        case .success(let response): handler.answer(response)
        case .failure(let error): handler.fail(error)
        }
      }
    }
  }

  /// An endpoint that streams its body starts with the head; its deadline is that of a transfer.
  func startUpload(_ exchange: Exchange) {
    guard let route = exchange.route, var request = exchange.request, let context else { return }
    guard case .operation(let run) = route.endpoint.handler else {
      fail(MisdeclaredEndpoint(path: route.endpoint.path))
      return
    }
    let loop = context.eventLoop
    let bound = NIOLoopBound(self, eventLoop: loop)
    let upload = UploadStream { loop.execute { bound.value.resumeReading() } }
    exchange.upload = upload
    request.body = .stream(upload.pieces)
    request.deadline = .after(server.configuration.deadlines.transfer)
    exchange.handlerDue = .now() + server.configuration.deadlines.transfer.amount
    start(run, exchange, request, loop)
  }

  /// Whether an exchange is still waited for: its client may have gone, or been told that it took too long.
  func isCurrent(_ exchange: Exchange) -> Bool {
    guard self.exchange === exchange, case .handling = phase else { return false }
    return true
  }

  func fail(_ error: any Error) {
    answer(problem: Problem(describing: error), because: error)
  }

  func answer(problem: Problem, because error: (any Error)? = nil) {
    guard let exchange else { return }
    if problem.status >= 500, let error, !(error is Problem) {
      server.logger.log(
        level: problem.status == 500 ? .error : .warning, "request failed",
        metadata: [
          "request_id": "\(exchange.id.lowercase)", "method": "\(exchange.method)", "route": "\(exchange.route?.endpoint.path ?? "")",
          "code": "\(problem.code)", "error": "\(String(reflecting: error))",
        ])
    }
    answer(render(problem, exchange))
  }

  func render(_ problem: Problem, _ exchange: Exchange) -> Response {
    let path = exchange.request?.path ?? String(exchange.target.prefix { $0 != "?" })
    return .problem(problem, instance: path, requestID: exchange.id, language: exchange.language)
  }
}

/// Only an operation can read a streamed body.
struct MisdeclaredEndpoint: Error {
  let path: String
}
