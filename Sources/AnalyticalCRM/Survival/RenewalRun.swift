import CRMCore
import Foundation
import PostgresClient

struct RenewalQuestion: OperationInput {
  let scope: PurchaseScope
  let termMonths: Int?
  let annualDiscountPercent: Decimal

  init(_ fields: inout InputReader) {
    scope = PurchaseScope(&fields)
    termMonths = fields.optionalInteger("term_months", "Only contracts of this term; the only one that occurs when left out.", in: 1...120)
    annualDiscountPercent =
      fields.optionalDecimal("annual_discount_percent", "What money is worth less a year later; 10 when left out.", scale: 4, in: 0...1_000) ?? 10
  }
}

extension BusinessOperation {
  static let runRenewal = BusinessOperation(
    "run_renewal", .post, "/v1/analytics/renewal/runs", of: "analysis_runs", access: .write(.analytics), "Fit a model of how contracts are renewed (sBG).",
    description: """
      The shifted beta-geometric model over contracts of one term: at the end of each term a contract ends with a probability of its own. The run's result has the parameters, and \
      by term the share that was and is expected to be renewed, the share that lasts, and the terms still expected, discounted. It fails with empty-population, mixed-terms, or \
      did-not-converge with the reason.
      """, input: RenewalQuestion.self, answer: .record("analysis_runs", status: 202)
  ) { run, question in
    let parameters: [String: JSON] = [
      "time_zone": .string(question.scope.timeZone), "term_months": question.termMonths.map(JSON.count) ?? .null,
      "annual_discount_percent": .number(question.annualDiscountPercent),
    ]
    return .record(
      try await AnalysisRun.request(
        kind: "renewal", method: RenewalModel.name, asOf: question.scope.asOf, parameters: .object(parameters), department: question.scope.departmentID,
        in: run.tx))
  }
}

extension JobHandler {
  static let renewal = JobHandler.analysis("renewal") { run, tx, _ in
    let wanted: Int? = run.parameters["term_months"] == .null ? nil : Int(run.number("term_months", default: 0))
    let found = try await tx.result(
      """
      SELECT l.term_months, l.terms, count(*) FILTER (WHERE l.has_ended)::integer AS ended, count(*) FILTER (WHERE NOT l.has_ended)::integer AS running
        FROM analytics.contract_life((\(run.asOf)::timestamptz AT TIME ZONE \(run.timeZone))::date, \(run.departmentID)) AS l
       WHERE l.term_months = \(wanted) OR \(wanted)::integer IS NULL GROUP BY l.term_months, l.terms ORDER BY l.term_months, l.terms
      """)
    guard let months = try found.rows.last.map({ try $0.decode(Int.self, "term_months") }) else {
      throw Problem(
        422, "empty-population", Phrase("No such contract had begun before this instant.", tr: "Bu andan önce böyle bir sözleşme başlamamış."),
        detail: Phrase(
          "No such contract had begun before this instant. Choose a later as_of, another term or department.",
          tr: "Bu andan önce böyle bir sözleşme başlamamış. Daha geç bir as_of, başka bir dönem ya da departman seçin."))
    }
    let lengths = Set(try found.rows.map { try $0.decode(Int.self, "term_months") })
    guard lengths.count == 1 else {
      let list = lengths.sorted().map(String.init).joined(separator: ", ")
      throw Problem(
        422, "mixed-terms", Phrase("The contracts have terms of different lengths.", tr: "Sözleşmelerin dönemleri farklı uzunlukta."),
        detail: Phrase(
          "There are terms of \(list) months. Say which ones to count with term_months.",
          tr: "\(list) aylık dönemler var. Hangilerinin sayılacağını term_months ile belirtin."))
    }
    let terms = try found.rows.map { RenewalModel.Term(number: try $0.decode("terms"), ended: try $0.decode("ended"), running: try $0.decode("running")) }
    let fit: ModelFit
    do {
      fit = try await Calculation.run { _ in try RenewalModel.fit(terms) }
    } catch let failure as FitFailure {
      throw Problem.didNotConverge(failure, model: RenewalModel.name)
    }
    let model = RenewalModel(parameters: fit.parameters)
    let discount = pow(1 + run.number("annual_discount_percent", default: 10) / 100, Double(months) / 12) - 1
    let rows = (1...max(12, terms.last?.number ?? 1)).map { number -> JSON in
      let ended = terms.filter { $0.number == number }.reduce(0) { $0 + $1.ended }
      let renewed = terms.filter { $0.number > number }.reduce(0) { $0 + $1.ended + $1.running }
      return [
        "term": .count(number), "up_for_renewal": .count(ended + renewed), "renewed": .count(renewed),
        "retention": ended + renewed > 0 ? .double(Double(renewed) / Double(ended + renewed)) : .null,
        "expected_retention": .double(model.retention(term: number)),
        "expected_survival": .double(model.survival(terms: number)),
        "expected_further_terms": discount > 0 ? .double(model.expectedTerms(after: number, discount: discount)) : .null,
      ]
    }
    let contracts = terms.reduce(0) { $0 + $1.ended + $1.running }
    let result = fit.described(names: RenewalModel.parameterNames).merging(["model": "sbg", "term_months": .count(months), "terms": .array(rows)]) { $1 }
    return (population: contracts, result: .object(result))
  }
}
