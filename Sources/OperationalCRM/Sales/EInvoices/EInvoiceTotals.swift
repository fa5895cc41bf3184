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

/// Sums of the lines: VAT by rate, withheld VAT by code, totals. `crm.price_invoice` has computed the tax on the sum of each rate's nets.
package struct EInvoiceTotals: Sendable {
  package struct Tax: Sendable {
    package let rate: Decimal
    package let exemption: EInvoiceDocument.Exemption?
    package fileprivate(set) var base: Decimal
    package fileprivate(set) var amount: Decimal
  }

  package struct Withheld: Sendable {
    package let withholding: EInvoiceDocument.Withholding
    /// The VAT of the lines it concerns.
    package fileprivate(set) var base: Decimal
    package fileprivate(set) var amount: Decimal
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

  package init(of lines: [EInvoiceDocument.Line]) {
    var taxes: [TaxKey: Tax] = [:]
    var withheld: [EInvoiceDocument.Withholding: Withheld] = [:]
    for line in lines {
      let key = TaxKey(rate: line.vatRate, exemption: line.exemption)
      var tax = taxes[key] ?? Tax(rate: line.vatRate, exemption: line.exemption, base: 0, amount: 0)
      tax.base += line.net
      tax.amount += line.vat
      taxes[key] = tax
      if let withholding = line.withholding {
        var part = withheld[withholding] ?? Withheld(withholding: withholding, base: 0, amount: 0)
        part.base += line.vat
        part.amount += line.withheldVAT
        withheld[withholding] = part
      }
    }
    net = lines.reduce(0) { $0 + $1.net }
    self.taxes = taxes.values.sorted { ($0.rate, $0.exemption?.code ?? "") < ($1.rate, $1.exemption?.code ?? "") }
    self.withheld = withheld.values.sorted { $0.withholding.code < $1.withholding.code }
  }
}
