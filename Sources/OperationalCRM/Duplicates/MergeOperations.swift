package import CRMCore
import Foundation
import PostgresClient

extension Resource {
  /// That a record was merged into another one; parting them again is an operation.
  package static let merges = Resource("merges", singular: "merge", table: "crm.merge", area: .customers, search: ["merged_name"])
}

extension DuplicateQuery.Kind {
  var resource: Resource {
    switch self {
    case .customers: .customers
    case .contacts: .contacts
    case .leads: .leads
    }
  }

  /// What the survivor may take from the merged record. Whose a record is and who reads it are not facts about it, so the survivor's stay.
  var takenFields: [String] {
    (resource.change + ["custom"]).filter { !["department_id", "owner_id", "visibility"].contains($0) }
  }

  fileprivate var pair: SQL {
    switch self {
    case .customers: "SELECT r.id, r.tax_number AS identifier, NULL::uuid AS customer_id FROM crm.customer AS r"
    case .contacts: "SELECT r.id, NULL::text AS identifier, r.customer_id FROM crm.contact AS r"
    case .leads: "SELECT r.id, r.tax_number AS identifier, r.customer_id FROM crm.lead AS r"
    }
  }
}

private struct Merging: OperationInput {
  let mergedID: UUID
  let take: [String]
  let keep: [String]
  let differentIdentifiers: Bool
  let reason: String?

  init(_ fields: inout InputReader) {
    mergedID = fields.id("merged_id", "The record that goes into the one in the address.")
    take = fields.texts("take", "Fields whose values come from the merged record; the others keep the survivor's, and what the survivor lacks is filled in.")
    keep = fields.texts("keep", "Fields that stay empty although the merged record has a value.")
    differentIdentifiers = fields.flag("different_identifiers", "Merge them although their tax or identity numbers differ.")
    reason = fields.optionalText("reason", "Why they mean the same.")
  }
}

/// One of two records that shall be merged.
private struct Half: RowDecodable {
  let id: UUID
  let identifier: String?
  let customerID: UUID?

  init(row: PostgresRow) throws {
    id = try row.decode(UUID.self, "id")
    identifier = try row.decode(String?.self, "identifier")
    customerID = try row.decode(UUID?.self, "customer_id")
  }
}

extension BusinessOperation {
  /// Merges one record into another.
  static func merge(_ kind: DuplicateQuery.Kind, area: Area) -> BusinessOperation {
    let singular = kind.resource.singular
    return BusinessOperation(
      "merge_\(singular)", .post, "/v1/\(kind.rawValue)/{id}/merge", of: kind.rawValue, access: .write(area), "Merge another \(singular) into this one",
      description:
        "Everything that refers to the merged record is moved to the survivor, in one transaction. The merged id leads to the survivor from then on. unmerge_records takes it back exactly. Records with different tax or identity numbers are merged only with different_identifiers.",
      input: Merging.self, answer: .record("merges", status: 201)
    ) { run, input in
      let survivorID = try run.id()
      try check(input, kind, survivorID)
      let halves = try await run.tx.all(Half.self, "\(kind.pair) WHERE r.id = ANY(\([survivorID, input.mergedID]))")
      guard let survivor = halves.first(where: { $0.id == survivorID }) else { throw Problem.notFound }
      guard let merged = halves.first(where: { $0.id == input.mergedID }) else {
        throw Problem.invalid([
          .init("/merged_id", code: "not-found", Phrase("There is no such record, or you may not see it.", tr: "Böyle bir kayıt yok ya da görme yetkiniz yok."))
        ])
      }
      try refuse(survivor, merged, kind, input)
      do {
        let merge = try await run.tx.value(
          UUID.self,
          "SELECT crm.merge_records(\(kind.rawValue), \(survivorID), \(input.mergedID), \(input.take), \(input.keep), \(kind.takenFields), \(input.differentIdentifiers), \(input.reason))"
        )
        return .record(merge)
      } catch let error as PostgresError where error.sqlState == "CR003" {
        throw Problem(
          409, "merge-conflict", Phrase("These records cannot be merged as they are.", tr: "Bu kayıtlar bu halleriyle birleştirilemez."),
          detail: Phrase(
            "Both have something that may be there only once, or one of them is named in something that may no longer change, such as a quote that was sent.",
            tr: "İkisinde de yalnızca bir kez bulunabilecek bir şey var ya da biri artık değişemeyecek bir kayıtta geçiyor, örneğin gönderilmiş bir teklifte."))
      }
    }
  }

  private static func check(_ input: Merging, _ kind: DuplicateQuery.Kind, _ survivor: UUID) throws(Problem) {
    var errors: [Problem.FieldError] = []
    if input.mergedID == survivor {
      errors.append(.init("/merged_id", code: "same", Phrase("A record cannot be merged with itself.", tr: "Bir kayıt kendisiyle birleştirilemez.")))
    }
    for (name, list) in [("take", input.take), ("keep", input.keep)] {
      for (index, field) in list.enumerated() where !kind.takenFields.contains(field) {
        let known = kind.takenFields.joined(separator: ", ")
        errors.append(.init("/\(name)/\(index)", code: "unknown-field", Phrase("Use only: \(known).", tr: "Yalnızca şunlar olabilir: \(known).")))
      }
    }
    if !errors.isEmpty { throw .invalid(errors) }
  }

  private static func refuse(_ survivor: Half, _ merged: Half, _ kind: DuplicateQuery.Kind, _ input: Merging) throws(Problem) {
    if let one = survivor.identifier, let other = merged.identifier, one != other, !input.differentIdentifiers {
      throw Problem(
        409, "different-identifiers", Phrase("Their tax or identity numbers differ.", tr: "Vergi ya da kimlik numaraları farklı."),
        detail: Phrase(
          "They are probably not the same. If you are sure, send \"different_identifiers\": true with a reason.",
          tr: "Büyük olasılıkla aynı değiller. Eminseniz bir gerekçeyle \"different_identifiers\": true gönderin."))
    }
    switch kind {
    case .customers: return
    case .contacts:
      if survivor.customerID != merged.customerID {
        throw Problem(
          409, "different-customers",
          Phrase("The contacts belong to different customers. Merge the customers first.", tr: "Kişiler farklı müşterilere ait. Önce müşterileri birleştirin."))
      }
    case .leads:
      if merged.customerID != nil, merged.customerID != survivor.customerID {
        throw Problem(
          409, "lead-converted",
          Phrase("The merged lead is a customer already; let it be the survivor.", tr: "Birleştirilecek aday zaten müşteri olmuş; kalan kayıt o olsun."))
      }
    }
  }

  private struct MadeMerge: RowDecodable {
    let isUndone: Bool
    /// A later merge into which the survivor went.
    let laterID: UUID?

    init(row: PostgresRow) throws {
      isUndone = try row.decode(Bool.self, "undone")
      laterID = try row.decode(UUID?.self, "later_id")
    }
  }

  /// Parts two merged records again.
  static let unmerge = BusinessOperation(
    "unmerge_records", .post, "/v1/merges/{id}/unmerge", of: "merges", access: .write(.customers), "Part two merged records again",
    description:
      "What the merge moved, changed or removed goes back exactly. What was changed since keeps that change; what was added to the survivor since stays there.",
    input: NoInput.self, answer: .record("merges")
  ) { run, _ in
    let id = try run.id()
    guard
      let merge = try await run.tx.first(
        MadeMerge.self,
        """
        SELECT m.unmerged_at IS NOT NULL AS undone, (SELECT l.id FROM crm.merge AS l
            WHERE l.resource = m.resource AND l.merged_id = m.survivor_id AND l.unmerged_at IS NULL) AS later_id
          FROM crm.merge AS m WHERE m.id = \(id)
        """)
    else { throw Problem.notFound }
    if merge.isUndone {
      throw Problem(409, "unmerged", Phrase("They were parted already.", tr: "Bu kayıtlar zaten ayrılmış."))
    }
    if let later = merge.laterID {
      throw Problem(
        409, "merged-on",
        Phrase("The survivor was merged into another record. Part those first.", tr: "Kalan kayıt da başka bir kayda birleştirilmiş. Önce onları ayırın."),
        extensions: [("merge_id", "\"\(later.lowercase)\"")])
    }
    do {
      try await run.tx.run("SELECT crm.unmerge_records(\(id))")
    } catch let error as PostgresError where error.sqlState == "CR003" {
      throw Problem(
        409, "merge-conflict", Phrase("These records cannot be parted any more.", tr: "Bu kayıtlar artık ayrılamaz."),
        detail: Phrase(
          "The survivor is gone, or something that was moved now refers to what was added to the survivor since.",
          tr: "Kalan kayıt yok ya da taşınmış bir şey, kalan kayda sonradan eklenen bir şeye bağlanmış."))
    }
    return .record(id)
  }
}
