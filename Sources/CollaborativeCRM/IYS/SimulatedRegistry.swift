import CRMCore
package import Foundation
import Synchronization

/// The registry as its developer pages describe it, in memory: what it stores, its rules and its answers. For tests, demonstrations and trying out an integration.
package final class SimulatedRegistry: Sendable {
  private struct Key: Hashable {
    let brand, recipient, recipientType, type: String
  }
  private struct State {
    var records: [Key: RegistryRecord] = [:]
    var changes: [(transaction: String, brand: String, record: RegistryRecord)] = []
    var transactions = 0
    var outages = 0
    /// What came of each record of a batch, by the batch's name; told from the second question on.
    var batches: [String: (asked: Int, results: [JSON])] = [:]
  }

  private static let sources: Set<String> = [
    "HS_FIZIKSEL_ORTAM", "HS_ISLAK_IMZA", "HS_WEB", "HS_CAGRI_MERKEZI", "HS_SOSYAL_MEDYA", "HS_EPOSTA", "HS_MESAJ", "HS_MOBIL", "HS_EORTAM", "HS_ETKINLIK",
    "HS_2015", "HS_ATM", "HS_KARAR",
  ]
  /// 1 May 2015 in Türkiye: the beginning of the law, and the date of all consents older than it.
  package static let firstInstant = Date(timeIntervalSince1970: 1_430_427_600)

  private let days: BusinessDays
  private let state = Mutex(State())

  package init(days: BusinessDays) { self.days = days }

  /// Takes a record for a brand, or says why not.
  package func take(_ record: RegistryRecord, brand: String, now: Date) -> Result<String, RegistryError> {
    state.withLock { state in
      let key = Key(brand: brand, recipient: record.recipient, recipientType: record.recipientType, type: record.type)
      if let refusal = refusal(of: record, stored: state.records[key], now: now) { return .failure(RegistryError(refusals: [refusal])) }
      return .success(Self.store(record, key, in: &state))
    }
  }

  /// What a person says to the registry itself: no rule but that it changes something.
  package func hear(_ record: RegistryRecord, brand: String) {
    state.withLock { state in
      _ = Self.store(record, Key(brand: brand, recipient: record.recipient, recipientType: record.recipientType, type: record.type), in: &state)
    }
  }

  /// How a record stands; nil when there is none.
  package func record(brand: String, recipient: String, recipientType: String, type: String) -> RegistryRecord? {
    state.withLock { $0.records[Key(brand: brand, recipient: recipient, recipientType: recipientType, type: type)] }
  }

  /// From here on so many requests fail as if nobody were there.
  package func fail(next requests: Int) { state.withLock { $0.outages = requests } }

  private static func store(_ record: RegistryRecord, _ key: Key, in state: inout State) -> String {
    state.transactions += 1
    let transaction = "tx-\(key.brand)-\(state.transactions)"
    state.records[key] = record
    state.changes.append((transaction, key.brand, record))
    return transaction
  }

  private func refusal(of record: RegistryRecord, stored: RegistryRecord?, now: Date) -> RegistryRefusal? {
    guard ["BIREYSEL", "TACIR"].contains(record.recipientType), ["ARAMA", "MESAJ", "EPOSTA"].contains(record.type), ["ONAY", "RET"].contains(record.status)
    else {
      return .wrongKind
    }
    guard record.type == "EPOSTA" ? record.recipient.contains("@") : record.recipient.wholeMatch(of: #/\+[1-9][0-9]{6,14}/#) != nil else {
      return .wrongRecipient
    }
    guard Self.sources.contains(record.source) else { return .wrongSource }
    if record.consentDate > now { return .dateInFuture }
    if record.consentDate < Self.firstInstant { return .dateTooEarly }
    if (record.source == "HS_2015") != (record.consentDate == Self.firstInstant), record.source == "HS_2015" { return .sourceOf2015 }
    if now >= days.deadline(after: record.consentDate, days: 3) { return .tooOld }
    guard let stored else { return record.status == "RET" ? .startsWithRefusal : nil }
    if record.consentDate <= stored.consentDate { return .dateNotLater }
    if record.status == stored.status { return record.status == "ONAY" ? .consentUponConsent : .refusalUponRefusal }
    return nil
  }

  private func takeTogether(_ items: [JSON], brand: String, now: Date) -> RegistryAnswer {
    let records = items.compactMap(RegistryRecord.init(json:))
    guard !records.isEmpty, records.count == items.count else { return RegistryAnswer(status: 422, body: RegistryError(refusals: [.wrongKind]).json) }
    var results: [JSON] = []
    var names: [JSON] = []
    let request = "batch-\(UUID().uuidString.lowercased())"
    for (index, record) in records.enumerated() {
      let name = JSON.string("\(request)-\(index)")
      var members = record.json.object ?? [:]
      members["subrequestId"] = name
      names.append(.object(members))
      var result: [String: JSON] = ["index": .number(Decimal(index + 1)), "subrequestId": name]
      switch take(record, brand: brand, now: now) {
      case .success(let transaction):
        result["status"] = "success"
        result["transactionId"] = .string(transaction)
      case .failure(let error):
        result["status"] = "failure"
        result["error"] = ["code": .string(error.codes.joined()), "message": .string(error.codes.joined())]
      }
      results.append(.object(result))
    }
    let kept = results
    state.withLock { $0.batches[request] = (0, kept) }
    return RegistryAnswer(status: 200, body: ["requestId": .string(request), "subRequests": .array(names)])
  }

  /// Forgets a record, as if it had never been told of it.
  package func forget(brand: String, recipient: String, recipientType: String, type: String) {
    state.withLock { $0.records[Key(brand: brand, recipient: recipient, recipientType: recipientType, type: type)] = nil }
  }

  /// Answers a request as the registry's API would.
  package func answer(_ request: RegistryRequest, now: Date) throws -> RegistryAnswer {
    let isOut = state.withLock { state in
      defer { state.outages = max(state.outages - 1, 0) }
      return state.outages > 0
    }
    if isOut { throw RegistryUnreachable() }
    switch request.path {
    case .consents(_, let brand):
      guard let record = request.body.flatMap(RegistryRecord.init(json:)) else {
        return RegistryAnswer(status: 422, body: RegistryError(refusals: [.wrongKind]).json)
      }
      switch take(record, brand: brand, now: now) {
      case .success(let transaction):
        return RegistryAnswer(status: 200, body: ["transactionId": .string(transaction), "creationDate": .string(RegistryRecord.text(now))])
      case .failure(let error): return RegistryAnswer(status: 422, body: error.json)
      }
    case .batch(_, let brand): return takeTogether(request.body?.array ?? [], brand: brand, now: now)
    case .batchResult(_, _, let name):
      return state.withLock { state in
        guard let batch = state.batches[name] else { return RegistryAnswer(status: 404, body: [:]) }
        state.batches[name]?.asked += 1
        guard batch.asked == 0 else { return RegistryAnswer(status: 200, body: .array(batch.results)) }
        let waiting = batch.results.map { item -> JSON in ["index": item["index"] ?? .null, "subrequestId": item["subrequestId"] ?? .null, "status": "enqueue"]
        }
        return RegistryAnswer(status: 200, body: .array(waiting))
      }
    case .status(_, let brand):
      guard let body = request.body, let recipient = body["recipient"]?.string, let recipientType = body["recipientType"]?.string,
        let type = body["type"]?.string, let found = record(brand: brand, recipient: recipient, recipientType: recipientType, type: type)
      else { return RegistryAnswer(status: 404, body: [:]) }
      // The registry does not tell the transaction here.
      var members = found.json.object ?? [:]
      members["creationDate"] = .string(RegistryRecord.text(found.consentDate))
      return RegistryAnswer(status: 200, body: .object(members))
    case .changes(_, let brand, let after):
      return state.withLock { state in
        let start = after.flatMap(Int.init) ?? 0
        let page = state.changes.enumerated().dropFirst(start).prefix(100)
        let list = page.filter { $0.element.brand == brand && $0.element.record.source.hasPrefix("IYS_") }.map { change -> JSON in
          var members = change.element.record.json.object ?? [:]
          members["transactionId"] = .string(change.element.transaction)
          return .object(members)
        }
        return RegistryAnswer(status: 200, body: ["after": .string("\(start + page.count)"), "list": .array(list)])
      }
    }
  }
}
