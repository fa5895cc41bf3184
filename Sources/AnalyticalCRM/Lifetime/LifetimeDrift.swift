import CRMCore
import Foundation
import PostgresClient

extension LifetimeHistories {
  private struct Former: RowDecodable {
    let id: UUID
    let parameters: JSON

    init(row: PostgresRow) throws {
      id = try row.decode("id")
      parameters = try JSONDecoder().decode(JSON.self, from: Data(try row.decode(JSONText.self, "parameters").text.utf8))
    }
  }

  /// A change that may be chance once in a thousand times is none yet.
  private static let significance = 0.001
  /// Nor is one that moves the forecast by less than this share.
  private static let tolerance = 0.1

  /// Whether the parameters of the run before no longer fit: its likelihood for what is known now against that of the new parameters, and what the change does to
  /// the purchases expected of a new customer in 90 days. The alarm needs both.
  /// - Returns: null when there is no earlier run of the same model, unit and department.
  func drift(of fit: ModelFit, from run: AnalysisRun, in tx: PostgresTransaction) async throws -> JSON {
    let type = run.method.type
    let former = try await tx.first(
      Former.self,
      """
      SELECT r.id, r.result -> 'parameters' AS parameters FROM crm.analysis_run AS r
       WHERE r.kind = 'lifetime' AND r.status = 'done' AND r.method = \(run.method.rawValue) AND r.parameters ->> 'unit' = \(run.unit.rawValue)
         AND r.department_id IS NOT DISTINCT FROM \(run.departmentID) AND r.as_of < \(run.asOf)
       ORDER BY r.as_of DESC, r.id DESC LIMIT 1
      """)
    guard let former else { return .null }
    let parameters = type.parameterNames.compactMap { name in
      if case .number(let number) = former.parameters[name] { NSDecimalNumber(decimal: number).doubleValue } else { nil }
    }
    guard parameters.count == type.parameterNames.count else { return .null }
    let histories = groups.map { $0.history(in: unit) }
    let days = 90 / unit.inDays
    let (likelihood, before, after) = try await Calculation.run { _ in
      let (old, new) = (type.init(parameters: parameters), type.init(parameters: fit.parameters))
      return (old.logLikelihood(of: histories), old.expectedPurchases(within: days), new.expectedPurchases(within: days))
    }
    let statistic = max(0, 2 * (fit.logLikelihood - likelihood))
    let probability = SpecialFunctions.chiSquareTail(statistic, degrees: parameters.count)
    let change = before > 0 ? after / before - 1 : .infinity
    return [
      "against": .string(former.id.lowercase), "statistic": .double(statistic), "degrees": .count(parameters.count), "probability": .double(probability),
      "expected_90_days_before": .double(before), "expected_90_days_now": .double(after), "relative_change": .double(change),
      "alarm": .bool(probability < Self.significance && abs(change) > Self.tolerance),
    ]
  }
}
