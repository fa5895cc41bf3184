package import PostgresClient

extension Database {
  /// Runs a request's effect in one transaction: with its `Idempotency-Key` when it has one, rolled back when `Prefer: tx=rollback` asks for a
  /// dry run, and with PostgreSQL's refusals put into words.
  package func write(
    _ request: Request, model: Model, _ body: @Sendable @escaping (PostgresTransaction) async throws -> Response
  ) async throws -> Response {
    let idempotency = try Idempotency(request)
    let isDryRun = request.prefers("tx=rollback")
    do {
      return try await transaction(as: request.caller, request: request.id, deadline: request.deadline, retries: true) { tx in
        if !isDryRun, let stored = try await idempotency?.claim(tx, caller: request.caller) { return stored }
        var response = try await body(tx)
        if isDryRun {
          response.headers.append(("preference-applied", "tx=rollback"))
          throw DryRun(response: response)
        }
        try await idempotency?.store(response, tx, caller: request.caller)
        return response
      }
    } catch let dryRun as DryRun {
      return dryRun.response
    } catch let refusal as RowRefusal {
      throw try await refusal.problem(model) { try await read(as: request.caller, deadline: request.deadline, $0) }
    } catch let placed as PlacedRefusal {
      throw WriteProblem(catalogue: model.catalogue).problem(for: placed.error, pointer: placed.pointer) ?? placed.error
    } catch let error as PostgresError {
      throw WriteProblem(catalogue: model.catalogue).problem(for: error) ?? error
    }
  }
}

extension Database {
  /// Runs a request's effect that is one statement: in one flush, unless an `Idempotency-Key` or a dry run needs more than that.
  package func writeOne(
    _ request: Request, areas: Set<Area>, model: Model,
    _ body: @Sendable @escaping (_ run: @escaping @Sendable (SQL) async throws -> PostgresResult) async throws -> Response
  ) async throws -> Response {
    if request.headers["idempotency-key"] != nil || request.headers["prefer"] != nil {
      return try await write(request, model: model) { tx in try await body { try await tx.result($0) } }
    }
    let context = request.caller.context(writing: areas, request: request.id)
    do {
      return try await body { try await pool.execute([$0], context: context, deadline: request.deadline)[0] }
    } catch let refusal as RowRefusal {
      throw try await refusal.problem(model) { try await read(as: request.caller, deadline: request.deadline, $0) }
    } catch let error as PostgresError {
      throw WriteProblem(catalogue: model.catalogue).problem(for: error) ?? error
    }
  }
}

/// Leaves a transaction without keeping anything of it.
private struct DryRun: Error {
  let response: Response
}
