import Foundation
import PostgresClient

extension ResourceAPI {
  func writeEndpoints(_ entity: Model.Entity) -> [Endpoint] {
    var endpoints: [Endpoint] = []
    if !entity.resource.create.isEmpty { endpoints.append(createEndpoint(entity)) }
    if !entity.resource.change.isEmpty { endpoints.append(changeEndpoint(entity)) }
    if entity.resource.deletable { endpoints.append(deleteEndpoint(entity)) }
    if !entity.resource.create.isEmpty, !entity.resource.change.isEmpty {
      endpoints += [batchEndpoint(entity), upsertEndpoint(entity)]
    }
    return endpoints
  }

  func writer(_ entity: Model.Entity, for request: Request) -> RowWriter {
    let (caller, id) = (request.caller, request.id)
    return RowWriter(model: model, entity: entity, customFields: customFields.current[entity.name]) { [reads] result, record, given throws(Problem) in
      try reads.note(entity, record: record, in: result, except: given, caller: caller, request: id)
    }
  }

  private func createEndpoint(_ entity: Model.Entity) -> Endpoint {
    Endpoint(
      .post, "/v1/\(entity.name)", access: .write(entity.resource.area), body: .collected,
      documentation: .init(
        "create_\(entity.resource.singular)", tag: entity.name, "Create \(entity.resource.oneOfThem)",
        parameters: [.idempotencyKey, .prefer], input: ("application/json", ResourceSchema.createReference(entity)),
        answers: [(201, "The new record.", "application/json", ResourceSchema.reference(entity))],
        components: ResourceSchema.inputComponents(entity, customFields.current[entity.name])),
      handler: .operation { request in
        let json = try request.json()
        let writer = writer(entity, for: request)
        return try await database.writeOne(request, areas: writer.compiler.areas, model: model) { run in
          try await writer.create(json, caller: request.caller, run: run).response
        }
      })
  }

  private func changeEndpoint(_ entity: Model.Entity) -> Endpoint {
    Endpoint(
      .patch, "/v1/\(entity.name)/{id}", access: .write(entity.resource.area), body: .collected,
      documentation: .init(
        "change_\(entity.resource.singular)", tag: entity.name, "Change \(entity.resource.oneOfThem)",
        description: "Fields that are left out stay as they are (RFC 7396); null empties a field.",
        parameters: [.id, .ifMatch, .prefer], input: ("application/merge-patch+json", ResourceSchema.changeReference(entity)),
        answers: [(200, "The changed record.", "application/json", ResourceSchema.reference(entity))],
        components: ResourceSchema.inputComponents(entity, customFields.current[entity.name])),
      handler: .operation { request in
        let id = try request.recordID()
        let version = try request.expectedVersion()
        let json = try request.json()
        let writer = writer(entity, for: request)
        return try await database.writeOne(request, areas: writer.compiler.areas, model: model) { run in
          try await writer.change(json, id: id, version: version, run: run).response
        }
      })
  }

  private func deleteEndpoint(_ entity: Model.Entity) -> Endpoint {
    Endpoint(
      .delete, "/v1/\(entity.name)/{id}", access: .write(entity.resource.area),
      documentation: .init(
        "delete_\(entity.resource.singular)", tag: entity.name, "Delete \(entity.resource.oneOfThem)",
        parameters: [.id, .ifMatch, .prefer], answers: [(204, "It is gone.", nil, nil)]),
      handler: .operation { request in
        let id = try request.recordID()
        let version = try request.expectedVersion()
        let writer = writer(entity, for: request)
        return try await database.writeOne(request, areas: writer.compiler.areas, model: model) { run in
          try await writer.delete(id: id, version: version, run: run).response
        }
      })
  }
}

extension RowWriter.Written {
  var response: Response {
    status == 204 ? Response(status: 204, headers: headers) : .json(json, status: status, headers: headers)
  }
}
