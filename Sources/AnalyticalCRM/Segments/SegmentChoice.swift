import CRMCore
import Foundation
import PostgresClient

struct ChosenCustomers: OperationInput {
  let customerIDs: [UUID]

  init(_ fields: inout InputReader) {
    customerIDs = fields.ids("customer_ids", "The customers.")
    if customerIDs.isEmpty { fields.refuse("customer_ids", code: "required", Phrase("Name at least one customer.", tr: "En az bir müşteri belirtin.")) }
  }
}

/// Members that somebody chooses.
extension BusinessOperation {
  private static let moved: JSON = [
    "type": "object", "required": ["changed", "members"], "properties": ["changed": AnswerField.count, "members": AnswerField.count],
  ]

  static let addSegmentMembers = BusinessOperation(
    "add_segment_members", .post, "/v1/segments/{id}/members", of: "segments", access: .write(.analytics), "Put customers into a static segment",
    description: "Those that are in already stay as they are.", input: ChosenCustomers.self, answer: .json(moved)
  ) { run, input in
    let id = try await run.chosenSegment()
    let known = try await run.tx.value([UUID].self, "SELECT coalesce(array_agg(c.id), '{}') FROM crm.customer c WHERE c.id = ANY(\(input.customerIDs))")
    let missing = input.customerIDs.enumerated().filter { !known.contains($0.element) }
    guard missing.isEmpty else {
      throw Problem.invalid(
        missing.map {
          .init(
            "/customer_ids/\($0.offset)", code: "not-found",
            Phrase("There is no such customer, or you may not see it.", tr: "Böyle bir müşteri yok ya da görme yetkiniz yok."))
        })
    }
    let changed = try await run.tx.run(
      """
      INSERT INTO crm.segment_member (segment_id, customer_id, reason)
      SELECT DISTINCT \(id)::uuid, c, 'chosen' FROM unnest(\(input.customerIDs)::uuid[]) c
       WHERE NOT EXISTS (SELECT FROM crm.segment_member m WHERE m.segment_id = \(id) AND m.customer_id = c AND m.left_at IS NULL)
      """)
    return try await run.size(id, changed: changed)
  }

  static let removeSegmentMembers = BusinessOperation(
    "remove_segment_members", .post, "/v1/segments/{id}/members/remove", of: "segments", access: .write(.analytics), "Take customers out of a static segment",
    input: ChosenCustomers.self, answer: .json(moved)
  ) { run, input in
    let id = try await run.chosenSegment()
    let changed = try await run.tx.run(
      """
      UPDATE crm.segment_member SET left_at = greatest(now(), entered_at), left_reason = 'chosen'
       WHERE segment_id = \(id) AND customer_id = ANY(\(input.customerIDs)) AND left_at IS NULL
      """)
    return try await run.size(id, changed: changed)
  }
}

extension BusinessOperation.Run {
  /// The segment in the path, locked, if its members are chosen.
  fileprivate func chosenSegment() async throws -> UUID {
    let id = try id()
    guard try await lockedSegment(id).kind == .fixed else {
      throw Problem(
        409, "segment-is-dynamic", Phrase("The members of a dynamic segment follow its definition.", tr: "Dinamik bir segmentin üyeleri tanımından gelir."),
        detail: Phrase("Change the definition, or make a static segment.", tr: "Tanımı değiştirin ya da static bir segment oluşturun."))
    }
    return id
  }

  fileprivate func size(_ id: UUID, changed: Int) async throws -> BusinessOperation.Outcome {
    let members = try await tx.value(Int.self, "SELECT count(*) FROM crm.segment_member WHERE segment_id = \(id) AND left_at IS NULL")
    return .json(["changed": .number(Decimal(changed)), "members": .number(Decimal(members))])
  }
}
