import CRMCore

extension Problem {
  /// Amounts in several currencies are never added up or compared until somebody says in which one.
  /// - Parameter found: the currencies that occur; empty when only the fact is known.
  static func mixedCurrencies(_ found: [String] = []) -> Problem {
    let list = found.isEmpty ? "" : " (\(found.joined(separator: ", ")))"
    return Problem(
      422, "mixed-currencies", Phrase("The amounts are in several currencies\(list).", tr: "Tutarlar birden çok para biriminde\(list)."),
      detail: Phrase("Say which one to count in with currency.", tr: "Hangisiyle hesaplanacağını currency ile belirtin."))
  }

  /// Some amounts have no exchange rate on their day.
  /// - Parameter missing: what there is no rate for, such as `USD (3)` or `EUR → USD (2026-01-02)`; empty when only the fact is known.
  static func noRate(to target: String?, _ missing: [String] = []) -> Problem {
    let (to, turkishTo) = target.map { (" to \($0)", " \($0) para birimine") } ?? ("", "")
    let list = missing.isEmpty ? "" : ": " + missing.joined(separator: ", ")
    return Problem(
      422, "no-rate", Phrase("Some amounts cannot be converted\(to).", tr: "Bazı tutarlar\(turkishTo) çevrilemiyor."),
      detail: Phrase("Enter the exchange rates of the days of these amounts\(list).", tr: "Bu tutarların günlerinin döviz kurlarını girin\(list)."))
  }
}
