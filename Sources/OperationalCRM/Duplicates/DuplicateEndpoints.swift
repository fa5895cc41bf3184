import CRMCore
import Foundation
import PostgresClient

extension Concept {
  /// Records that may mean the same, and making one of them.
  static let duplicates = Concept(
    resources: [.merges],
    operations: [.merge(.customers, area: .customers), .merge(.contacts, area: .customers), .merge(.leads, area: .sales), .unmerge],
    reads: [.duplicates(of: .customers, area: .customers), .duplicates(of: .contacts, area: .customers), .duplicates(of: .leads, area: .sales)],
    endpoints: { _, _ in [.checkDuplicates] })
}

private let answerSchema: JSON = [
  "type": "object", "required": ["data"], "properties": ["data": ["type": "array", "items": DuplicateCandidate.schema]],
]

private func answer(_ candidates: PostgresResult, _ request: Request) throws -> Response {
  let rows = try candidates.rows.map { try DuplicateCandidate(row: $0).json(in: request.language) }
  return .json(try JSON.object(["data": .array(rows)]).encoded())
}

private struct DuplicateLimit: OperationInput {
  let limit: Int
  init(_ fields: inout InputReader) {
    limit = fields.optionalInteger("limit", "The most candidates to show; 10 if left out.", in: 1...50) ?? 10
  }
}

extension ReadOperation {
  fileprivate static func duplicates(of kind: DuplicateQuery.Kind, area: Area) -> ReadOperation {
    ReadOperation(
      "\(kind.rawValue)_duplicates", "/v1/\(kind.rawValue)/{id}/duplicates", tag: kind.rawValue, access: .read(area),
      "\(kind.rawValue.capitalized) that may mean the same as this one, most likely first",
      description: "Compared by tax or identity number, e-mail addresses, telephone numbers and the likeness of names; each candidate says why.",
      input: DuplicateLimit.self, answer: ("application/json", answerSchema), reading: [area, .customers]
    ) { request, input in
      guard let id = request.parameters["id"].flatMap(UUID.init(uuidString:)) else { throw Problem.notFound }
      return [DuplicateQuery.presence(of: kind, id), DuplicateQuery.statement(like: kind, id, limit: input.limit)]
    } respond: { request, results in
      guard results[0].count == 1 else { throw Problem.notFound }
      return try answer(results[1], request)
    }
  }
}

private struct DuplicateCheck: OperationInput {
  let query: DuplicateQuery
  let kinds: Set<DuplicateQuery.Kind>
  let limit: Int

  init(_ fields: inout InputReader) {
    query = DuplicateQuery(
      name: fields.optionalText("name", "Name of the person, or of the organisation if there is no company_name.", maximum: 300),
      companyName: fields.optionalText("company_name", "Name of the organisation.", maximum: 300),
      taxNumber: fields.optionalText("tax_number", "Tax number (VKN) or identity number (TCKN).", maximum: 20),
      emails: fields.texts("emails", "E-mail addresses."), phones: fields.texts("phones", "Telephone numbers as people write them."),
      customerID: fields.optionalID("customer_id", "The customer at which a contact would be; namesakes there weigh more."))
    let named = fields.texts("resources", "What to look among; everything if left out.", of: DuplicateQuery.Kind.allCases.map(\.rawValue))
    kinds = named.isEmpty ? Set(DuplicateQuery.Kind.allCases) : Set(named.compactMap(DuplicateQuery.Kind.init(rawValue:)))
    limit = fields.optionalInteger("limit", "The most candidates to show; 10 if left out.", in: 1...50) ?? 10
    if query.name == nil, query.companyName == nil, query.taxNumber == nil, query.emails.isEmpty, query.phones.isEmpty {
      fields.refuse("name", code: "required", Phrase("Give something to compare.", tr: "Karşılaştırılacak bir şey verin."))
    }
  }
}

extension Endpoint {
  fileprivate static let checkDuplicates = Endpoint(
    .post, "/v1/duplicates/check", access: .read(.customers), body: .collected,
    documentation: .init(
      "check_duplicates", tag: "customers", "Who may already be known by this name, number or address",
      description: "Nothing is stored. Candidates are customers, contacts and leads that the caller may read, each with a score and why.",
      input: ("application/json", InputReader.schema(of: DuplicateCheck.self)),
      answers: [(200, "The candidates, most likely first.", "application/json", answerSchema)]),
    handler: .read { request in
      let check = try InputReader.read(DuplicateCheck.self, from: try request.json())
      return Endpoint.Read(
        [check.query.statement(among: check.kinds, limit: check.limit)], context: request.caller.context(reading: [.customers, .sales])
      ) { try answer($0[0], request) }
    })
}
