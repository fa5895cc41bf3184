package import Foundation

extension Decimal {
  /// Half up (away from zero), as the administration and PostgreSQL's `round` do.
  package func rounded(_ scale: Int) -> Decimal {
    var value = self
    var result = Decimal()
    NSDecimalRound(&result, &value, scale, .plain)
    return result
  }

  /// Digits with a point and exactly `scale` decimals: `1234.50`.
  package func fixed(_ scale: Int) -> String {
    let rounded = rounded(scale)
    var digits = "\(rounded < 0 ? -rounded : rounded)"
    if scale > 0 {
      let point = digits.firstIndex(of: ".")
      let decimals = point.map { digits.distance(from: digits.index(after: $0), to: digits.endIndex) } ?? 0
      digits += (point == nil ? "." : "") + String(repeating: "0", count: scale - decimals)
    }
    return (rounded < 0 ? "-" : "") + digits
  }
}

/// What follows from the lines: VAT by rate, withheld VAT by code, totals. Tax is computed on the sum of each rate's nets, so that a long invoice
/// owes what the law says and not the sum of its lines' rounding errors.
package struct EInvoiceTotals: Sendable {
  package struct Tax: Sendable {
    package let rate: Decimal
    package let exemption: EInvoiceDocument.Exemption?
    package let base: Decimal
    package let amount: Decimal
  }

  package struct Withheld: Sendable {
    package let withholding: EInvoiceDocument.Withholding
    /// The VAT of the lines it concerns.
    package let base: Decimal
    package let amount: Decimal
  }

  /// In the order of their rates.
  package let taxes: [Tax]
  /// In the order of their codes.
  package let withheld: [Withheld]
  package let net: Decimal

  package var vat: Decimal { taxes.reduce(0) { $0 + $1.amount } }
  package var withheldVAT: Decimal { withheld.reduce(0) { $0 + $1.amount } }
  package var withVAT: Decimal { net + vat }
  /// What the buyer pays to us.
  package var payable: Decimal { withVAT - withheldVAT }

  private struct TaxKey: Hashable {
    let rate: Decimal
    let exemption: EInvoiceDocument.Exemption?
  }

  private struct WithheldKey: Hashable {
    let rate: Decimal
    let withholding: EInvoiceDocument.Withholding
  }

  package init(of lines: [EInvoiceDocument.Line]) {
    var bases: [TaxKey: Decimal] = [:]
    var withheldBases: [WithheldKey: Decimal] = [:]
    for line in lines {
      bases[TaxKey(rate: line.vatRate, exemption: line.exemption), default: 0] += line.net
      if let withholding = line.withholding { withheldBases[WithheldKey(rate: line.vatRate, withholding: withholding), default: 0] += line.net }
    }
    net = lines.reduce(0) { $0 + $1.net }
    taxes = bases.map { key, base in Tax(rate: key.rate, exemption: key.exemption, base: base, amount: Self.vat(base, key.rate)) }
      .sorted { ($0.rate, $0.exemption?.code ?? "") < ($1.rate, $1.exemption?.code ?? "") }
    var byWithholding: [EInvoiceDocument.Withholding: Decimal] = [:]
    for (key, base) in withheldBases { byWithholding[key.withholding, default: 0] += Self.vat(base, key.rate) }
    withheld = byWithholding.map { withholding, base in
      Withheld(withholding: withholding, base: base, amount: (base * withholding.percent / 100).rounded(2))
    }
    .sorted { $0.withholding.code < $1.withholding.code }
  }

  /// VAT on an amount without it, to the kuruş.
  package static func vat(_ net: Decimal, _ rate: Decimal) -> Decimal { (net * rate / 100).rounded(2) }
}
