import CRMCore
import Foundation
import PostgresClient

extension AnalysisRun {
  var timeZone: String { parameters["time_zone"]?.string ?? "UTC" }

  /// The currency of the purchases before an instant.
  /// - Throws: a problem when nobody bought, when several currencies occur and none was chosen, and when a rate is missing.
  func currency(before instant: Date, in tx: PostgresTransaction) async throws -> String {
    let wanted = parameters["currency"]?.string
    return try PurchaseScope.currency(
      checking: await tx.result(
        """
        SELECT c.currency, c.purchases, c.without_rate, \(wanted)::text AS wanted
          FROM analytics.purchase_currencies(\(instant), \(timeZone), \(wanted), \(departmentID)) AS c ORDER BY c.currency
        """))
  }
}

extension Problem {
  /// Why a fit came to nothing, for whoever asked for it.
  static func didNotConverge(_ failure: FitFailure, model: String) -> Problem {
    let reason: Phrase
    switch failure {
    case .runaway(let parameter):
      reason = Phrase(
        "The likelihood of \(model) goes on rising while \(parameter) leaves every plausible value: the data do not hold what this parameter describes.",
        tr: "\(model) olabilirliği, \(parameter) akla yakın her değeri aşarken artmayı sürdürüyor: veri bu parametrenin anlattığını içermiyor.")
    case .ridge(let parameter):
      reason = Phrase(
        "Very different values of \(parameter) of \(model) explain the data equally well. More customers or a longer time may tell them apart.",
        tr:
          "\(model) modelinin \(parameter) parametresi için çok farklı değerler veriyi eşit ölçüde açıklıyor. Daha çok müşteri ya da daha uzun bir süre ayırt edebilir."
      )
    case .noMaximum:
      reason = Phrase(
        "The search for the parameters of \(model) ended without a maximum.", tr: "\(model) parametreleri aranırken bir en büyük değer bulunamadı.")
    case .noData:
      reason = Phrase("There is nothing that \(model) could be fitted to.", tr: "\(model) modelinin uydurulabileceği bir veri yok.")
    }
    return Problem(422, "did-not-converge", Phrase("The model did not converge.", tr: "Model yakınsamadı."), detail: reason)
  }
}

extension JSON {
  /// A number of floating point, with all its digits; null when it is none.
  static func double(_ value: Double) -> JSON { value.isFinite ? Decimal(string: "\(value)").map(JSON.number) ?? .null : .null }
  static func count(_ value: Int) -> JSON { .number(Decimal(value)) }
}

extension ModelFit {
  /// Parameters with their names, and how well they are known.
  func described(names: [String]) -> [String: JSON] {
    [
      "parameters": .object(Dictionary(uniqueKeysWithValues: zip(names, parameters.map(JSON.double)))),
      "standard_errors": .object(Dictionary(uniqueKeysWithValues: zip(names, standardErrors.map(JSON.double)))),
      "log_likelihood": .double(logLikelihood), "evaluations": .count(evaluations), "converged": true,
    ]
  }
}
