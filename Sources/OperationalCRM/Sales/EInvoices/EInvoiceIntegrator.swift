package import Foundation

/// A company that carries e-invoices to the revenue administration and to buyers. Each integrator has an interface of its own; this is all we ask of one.
package protocol EInvoiceIntegrator: Sendable {
  /// Hands over a document. Sending the same `uuid` again must not make a second invoice; we still ask `status` before we send again.
  /// - Throws: `EInvoiceRefusal` when it will never be taken as it is; anything else means that nobody knows whether it arrived.
  /// - Returns: the integrator's own name for it.
  func send(_ document: Data, uuid: UUID, profile: EInvoiceDocument.Profile) async throws -> String

  func status(of uuid: UUID) async throws -> EInvoiceStatus

  /// Takes back an e-Arşiv invoice.
  /// - Throws: `EInvoiceRefusal` when it is too late.
  func cancel(_ uuid: UUID, reason: String) async throws
}

/// What an integrator says of a document.
package enum EInvoiceStatus: Sendable, Hashable {
  /// It never arrived.
  case unknown
  /// It arrived and is on its way.
  case sent(reference: String)
  case delivered(at: Date)
  /// The administration or the integrator found it wrong.
  case refused(reason: String)
  /// A buyer's answer to a TICARIFATURA.
  case accepted(at: Date)
  case rejected(at: Date, reason: String)
  case cancelled
}

/// The integrator will not take it, however often it is tried.
package struct EInvoiceRefusal: Error, Sendable {
  package let reason: String
  package init(reason: String) { self.reason = reason }
}
