import CRMCore
import Foundation
import PostgresClient

struct NewLeads: OperationInput {
  /// What becomes of a lead that seems to be known already, by a record or by a lead before it in the same request.
  enum Duplicates: String, CaseIterable, Sendable {
    /// Nothing at all is stored.
    case refuse
    /// It is left out, the others are stored.
    case skip
    /// It is stored all the same.
    case keep
  }

  let leads: [NewLead]
  let duplicates: Duplicates

  init(_ fields: inout InputReader) {
    leads = fields.list("leads", "The leads, as create_lead takes them.", of: NewLead.self, minimum: 1, maximum: 1_000)
    duplicates =
      fields.optionalOption(
        "duplicates", "What becomes of those that seem to be known: refuse (nothing is stored; also when left out), skip (the others are stored) or keep.",
        of: Duplicates.self) ?? .refuse
  }
}

extension BusinessOperation {
  /// Takes many leads in, in one transaction.
  static let createLeads = BusinessOperation(
    "create_leads", .post, "/v1/leads/batch", of: "leads", access: .write(.sales), "Take in up to 1,000 leads",
    description: """
      Each is checked for duplicates among what is known and among those before it, stored, and given to a seller, as create_lead does. With duplicates=refuse one \
      that seems to be known keeps all from being stored, and possible-duplicate lists them; force_duplicate on a lead exempts it.
      """,
    input: NewLeads.self,
    answer: .json(
      [
        "type": "object", "required": ["created", "results"],
        "properties": [
          "created": ["type": "integer"],
          "results": [
            "type": "array", "description": "One a lead, in their order.",
            "items": [
              "type": "object", "required": ["id", "candidates"],
              "properties": [
                "id": ["type": ["string", "null"], "format": "uuid", "description": "The lead; null where it was left out."],
                "candidates": ["type": "array", "description": "What it seems to be.", "items": DuplicateCandidate.schema],
              ],
            ],
          ],
        ],
      ], status: 201)
  ) { run, input in
    var results: [JSON] = []
    var known: [(index: Int, candidates: [DuplicateCandidate])] = []
    var stored: [(index: Int, id: UUID)] = []
    for (index, lead) in input.leads.enumerated() {
      let candidates = lead.forceDuplicate || input.duplicates == .keep ? [] : try await lead.likelyDuplicates(run.tx)
      if !candidates.isEmpty { known.append((index, candidates)) }
      // Once one is refused nothing will be stored; the others are still looked at, so that all are told at once.
      let pointer = "/leads/\(index)"
      let id = candidates.isEmpty ? try await run.at(pointer) { try await lead.store(run, pointer: pointer) } : nil
      if let id { stored.append((index, id)) }
      results.append([
        "id": id.map { .string($0.lowercase) } ?? .null, "candidates": .array(candidates.map { $0.json(in: run.request.language) }),
      ])
    }
    if input.duplicates == .refuse, !known.isEmpty { throw try Problem.possibleDuplicates(known, run.request.language) }
    for (index, id) in stored { try await run.at("/leads/\(index)") { try await input.leads[index].assign(id, run.tx) } }
    return .json(["created": .number(Decimal(stored.count)), "results": .array(results)])
  }
}

extension Problem {
  /// Some of the leads of a request seem to be known already; each is named with what it seems to be.
  fileprivate static func possibleDuplicates(_ known: [(index: Int, candidates: [DuplicateCandidate])], _ language: Language) throws -> Problem {
    let list = JSON.array(
      known.map { lead in ["pointer": .string("/leads/\(lead.index)"), "candidates": .array(lead.candidates.map { $0.json(in: language) })] })
    return Problem(
      409, "possible-duplicate",
      Phrase("\(known.count) of these leads may be known already.", tr: "Bu adayların \(known.count) tanesi zaten var olabilir."),
      detail: Phrase(
        "Nothing was stored. Look at the candidates; send those that are new with \"force_duplicate\": true, or leave the others out with \"duplicates\": \"skip\".",
        tr: "Hiçbiri kaydedilmedi. Adaylara bakın; yeni olanları \"force_duplicate\": true ile gönderin ya da \"duplicates\": \"skip\" ile diğerlerini atlayın."
      ),
      extensions: [("leads", String(decoding: try list.encoded(), as: UTF8.self))])
  }
}
