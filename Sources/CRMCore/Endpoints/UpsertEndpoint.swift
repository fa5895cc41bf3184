import Foundation
import PostgresClient

extension ResourceAPI {
  /// `PUT /v1/{resource}/external/{system}/{key}`: creates or changes the record that another system knows by a key of its own.
  func upsertEndpoint(_ entity: Model.Entity) -> Endpoint {
    Endpoint(
      .put, "/v1/\(entity.name)/external/{system}/{key}", access: .write(entity.resource.area), body: .collected,
      documentation: .init(
        "upsert_\(entity.resource.singular)", tag: entity.name, "Create or change \(entity.resource.oneOfThem) by another system's key",
        parameters: [
          .init(
            "system", in: .path, required: true, "The other system, such as erp.",
            schema: ["type": "string", "pattern": "^[a-z][a-z0-9_.-]{0,62}$"]),
          .init(
            "key", in: .path, required: true, "The record's key there.",
            schema: ["type": "string", "minLength": 1, "maxLength": 255, "pattern": .string(InputSchema.storable)]), .ifMatch, .prefer,
        ],
        input: ("application/json", ResourceSchema.createReference(entity)),
        answers: [
          (200, "The record existed and was changed.", "application/json", ResourceSchema.reference(entity)),
          (201, "The record is new.", "application/json", ResourceSchema.reference(entity)),
        ]),
      handler: .operation { request in
        let json = try request.json()
        // Refused before anyone waits for the key.
        guard json.object != nil else { throw Problem.invalid([RowInput.noObject("")]) }
        guard let system = request.parameters["system"], let key = request.parameters["key"] else { throw Problem.unknownRoute }
        let version = try request.expectedVersion()
        // Whoever names a version means a record that is there.
        let mustExist = request.headers["if-match"] != nil
        return try await database.write(request, model: model) { tx in
          try await upsert(json, entity, system: system, key: key, version: version, mustExist: mustExist, tx, request).response
        }
      })
  }

  private func upsert(
    _ json: JSON, _ entity: Model.Entity, system: String, key: String, version: Int?, mustExist: Bool, _ tx: PostgresTransaction, _ request: Request
  ) async throws -> RowWriter.Written {
    // Two writers with the same new key would both find nothing; the lock lets the second find what the first made.
    try await tx.run("SELECT pg_advisory_xact_lock(hashtextextended(\(entity.name) || '/' || \(system) || '/' || \(key), 0))")
    if let known = try await known(entity, system: system, key: key, tx) {
      let changeable = json.object.map { members in JSON.object(members.filter { entity.mayChange($0.key) || !entity.mayCreate($0.key) }) } ?? json
      return try await writer(entity, for: request).change(changeable, id: known, version: version) { try await tx.result($0) }
    }
    let written = try await writer(entity, for: request).create(entity.keyed(json, system: system, key: key), caller: request.caller) {
      try await tx.result($0)
    }
    // What is wrong with the record is said before its condition (RFC 9110 §13.2.1); nothing of it stays.
    if mustExist { throw RowWriter.versionMismatch }
    do {
      try await tx.run(
        """
        INSERT INTO crm.external_id (relation, system, key, row_id, area)
        VALUES (\(entity.name), \(system), \(key), \(written.id), \(entity.resource.area.rawValue))
        """)
    } catch let error as PostgresError where error.sqlState == "23514" {
      // System and key stand in the path and not in the body.
      guard let rule = error.constraint.flatMap({ model.catalogue.constraints[$0] }), let column = rule.columns.first, let phrase = rule.phrase else {
        throw error
      }
      throw Problem.badParameter(column, phrase)
    }
    return written
  }

  /// The record that the other system means: the one that was given its key, or the one that carries it, as imported orders do.
  private func known(_ entity: Model.Entity, system: String, key: String, _ tx: PostgresTransaction) async throws -> UUID? {
    let given = try await tx.result(
      "SELECT row_id FROM crm.external_id WHERE relation = \(entity.name) AND system = \(system) AND key = \(key)")
    if given.count == 1 { return try given[0].decode(UUID.self, at: 0) }
    guard entity.carriesKey else { return nil }
    let carried = try await tx.result("SELECT t.id FROM \(entity.table.sql) t WHERE t.external_number = \(key) AND t.source_system = \(system) LIMIT 2")
    if carried.count > 1 {
      throw Problem(
        409, "ambiguous-key",
        Phrase(
          "Several customers have a record of this number from this system. Change the one you mean by its id.",
          tr: "Birden çok müşterinin bu sistemden bu numaralı kaydı var. Kastettiğinizi kimliğiyle değiştirin."))
    }
    return carried.count == 1 ? try carried[0].decode(UUID.self, at: 0) : nil
  }
}

extension Model.Entity {
  /// Whether a record itself says which system it comes from and what its number is there.
  fileprivate var carriesKey: Bool { ["source_system", "external_number"].allSatisfy { table.column($0) != nil && mayCreate($0) } }

  /// A new record's fields, with the key where the record carries it, so that an import knows it again.
  fileprivate func keyed(_ json: JSON, system: String, key: String) -> JSON {
    guard carriesKey, var members = json.object, members["source_system"] == nil, members["external_number"] == nil else { return json }
    members["source_system"] = .string(system)
    members["external_number"] = .string(key)
    return .object(members)
  }

  fileprivate func mayCreate(_ name: String) -> Bool { resource.create.contains(name) }
  /// Fields that may be set on creation only are left as they are when the record exists already.
  fileprivate func mayChange(_ name: String) -> Bool { resource.change.contains(name) || name == "custom" }
}
