package import CRMCore
package import Foundation
import PostgresClient

/// An integrator for trying things out. It keeps what it received in `crm.simulated_integrator_document`, so that it outlives a crash of ours as a real one
/// would, and counts how often each document came. How it behaves with a document is written there beforehand; without that, it accepts.
package struct SimulatedIntegrator: EInvoiceIntegrator {
  package enum Behaviour: String, Sendable, CaseIterable, PostgresDecodable, PostgresEncodable {
    case accept
    /// Says "on its way" for three questions.
    case delay
    /// Finds the document wrong.
    case refuse
    /// Takes the document and never answers: the line breaks after it arrived.
    case timeoutAfter = "timeout_after"
    /// The line breaks before it arrives, the first time.
    case timeoutBefore = "timeout_before"
    case buyerAccepts = "buyer_accepts"
    case buyerRejects = "buyer_rejects"
    /// The buyer's answer comes twice, the second time another one.
    case buyerAnswersTwice = "buyer_answers_twice"
  }

  /// The line broke; nobody knows what the other side has.
  package struct LineBroken: Error, Sendable {}

  let database: Database

  package init(database: Database) { self.database = database }

  private static let caller = Caller.system("simulated integrator")

  private struct Mail: RowDecodable {
    let behaviour: Behaviour
    let received: Int
    let asked: Int
    let cancelled: Bool
    let at: Date

    init(row: PostgresRow) throws {
      behaviour = try row.decode(Behaviour.self, "behaviour")
      received = try row.decode(Int.self, "received")
      asked = try row.decode(Int.self, "asked")
      cancelled = try row.decode(Bool.self, "cancelled")
      at = try row.decode(Date.self, "updated_at")
    }
  }

  /// Says beforehand how the integrator will behave with a document.
  package func behave(_ behaviour: Behaviour, with uuid: UUID) async throws {
    try await database.transaction(as: Self.caller) { tx in
      try await tx.run(
        """
        INSERT INTO crm.simulated_integrator_document (uuid, behaviour) VALUES (\(uuid), \(behaviour))
        ON CONFLICT ON CONSTRAINT simulated_integrator_document_uuid_primary DO UPDATE SET behaviour = excluded.behaviour
        """)
    }
  }

  /// How often a document arrived.
  package func received(_ uuid: UUID) async throws -> Int {
    try await database.transaction(as: Self.caller) { tx in
      try await tx.value(Int.self, "SELECT coalesce((SELECT received FROM crm.simulated_integrator_document WHERE uuid = \(uuid)), 0)")
    }
  }

  package func send(_ document: Data, uuid: UUID, profile: EInvoiceDocument.Profile) async throws -> String {
    let mail = try await database.transaction(as: Self.caller) { tx in
      try await tx.one(
        Mail.self,
        """
        INSERT INTO crm.simulated_integrator_document AS d (uuid, received, tried) VALUES (\(uuid), 1, 1)
        ON CONFLICT ON CONSTRAINT simulated_integrator_document_uuid_primary DO UPDATE SET tried = d.tried + 1,
          received = d.received + CASE WHEN d.behaviour = 'timeout_before' AND d.tried = 0 OR d.behaviour = 'refuse' THEN 0 ELSE 1 END
        RETURNING d.behaviour, d.received, d.asked, d.cancelled, d.updated_at
        """)
    }
    switch mail.behaviour {
    case .refuse: throw EInvoiceRefusal(reason: "Şematron: alıcı etiketi bulunamadı (simülasyon)")
    case .timeoutAfter where mail.received == 1: throw LineBroken()
    case .timeoutBefore where mail.received == 0: throw LineBroken()
    default: return "SIM-\(uuid.uuidString.prefix(8))"
    }
  }

  package func status(of uuid: UUID) async throws -> EInvoiceStatus {
    let mail = try await database.transaction(as: Self.caller) { tx in
      try await tx.first(
        Mail.self,
        """
        UPDATE crm.simulated_integrator_document SET asked = asked + 1 WHERE uuid = \(uuid) AND received > 0
        RETURNING behaviour, received, asked, cancelled, updated_at
        """)
    }
    guard let mail else { return .unknown }
    if mail.cancelled { return .cancelled }
    switch mail.behaviour {
    case .refuse: return .refused(reason: "Şematron: alıcı etiketi bulunamadı (simülasyon)")
    case .delay where mail.asked <= 3: return .sent(reference: "SIM-\(uuid.uuidString.prefix(8))")
    case .buyerAccepts: return .accepted(at: mail.at)
    case .buyerRejects: return .rejected(at: mail.at, reason: "Fiyat hatalı (simülasyon)")
    case .buyerAnswersTwice: return mail.asked == 1 ? .accepted(at: mail.at) : .rejected(at: mail.at, reason: "İkinci yanıt (simülasyon)")
    case .accept, .delay, .timeoutAfter, .timeoutBefore: return .delivered(at: mail.at)
    }
  }

  package func cancel(_ uuid: UUID, reason: String) async throws {
    let cancelled = try await database.transaction(as: Self.caller) { tx in
      try await tx.run("UPDATE crm.simulated_integrator_document SET cancelled = true WHERE uuid = \(uuid) AND received > 0")
    }
    if cancelled == 0 { throw EInvoiceRefusal(reason: "Belge bulunamadı (simülasyon)") }
  }
}
