package import Foundation
import PostgresClient

extension EInvoiceDocument {
  /// The document in UBL-TR 1.2, as a draft: signed later with the company's seal by the integrator.
  package func ubl() throws -> Data { try UBLElement("Invoice", children, attributes: Self.namespaces).document() }

  private static let namespaces = [
    ("xmlns", "urn:oasis:names:specification:ubl:schema:xsd:Invoice-2"),
    ("xmlns:cac", "urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2"),
    ("xmlns:cbc", "urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2"),
    ("xmlns:ext", "urn:oasis:names:specification:ubl:schema:xsd:CommonExtensionComponents-2"),
    ("xmlns:draft", "urn:muhatap:draft"),
  ]

  private var children: [UBLElement?] {
    let totals = EInvoiceTotals(of: lines)
    let words = AmountInWords.turkish(totals.payable, currency: currency)
    return [
      // The integrator puts the seal (XAdES) in the place of the empty element.
      UBLElement("ext:UBLExtensions", [UBLElement("ext:UBLExtension", [UBLElement("ext:ExtensionContent", [UBLElement("draft:SignaturePlace")])])]),
      .text("cbc:UBLVersionID", "2.1"), .text("cbc:CustomizationID", "TR1.2"), .text("cbc:ProfileID", profile.rawValue), .text("cbc:ID", number),
      .text("cbc:CopyIndicator", "false"), .text("cbc:UUID", uuid.uuidString.lowercased()), .text("cbc:IssueDate", issuedOn.description),
      .text("cbc:IssueTime", issuedAt), .text("cbc:InvoiceTypeCode", kind.rawValue), .text("cbc:Note", words), .text("cbc:Note", note),
      .text("cbc:DocumentCurrencyCode", currency), .text("cbc:LineCountNumeric", "\(lines.count)"),
      orderNumber.flatMap { UBLElement("cac:OrderReference", [.text("cbc:ID", $0.number), .text("cbc:IssueDate", $0.day.description)]) },
      returned.flatMap {
        UBLElement(
          "cac:BillingReference",
          [
            UBLElement(
              "cac:InvoiceDocumentReference",
              [.text("cbc:ID", $0.number), .text("cbc:IssueDate", $0.day.description), .text("cbc:DocumentTypeCode", "IADE")])
          ])
      },
      profile == .archive ? sendType : nil, signature, UBLElement("cac:AccountingSupplierParty", [supplier.ubl]),
      UBLElement("cac:AccountingCustomerParty", [customer.ubl]),
      dueOn.flatMap { UBLElement("cac:PaymentMeans", [.text("cbc:PaymentMeansCode", "1"), .text("cbc:PaymentDueDate", $0.description)]) },
      exchangeRate.flatMap {
        UBLElement(
          "cac:PricingExchangeRate",
          [
            .text("cbc:SourceCurrencyCode", currency), .text("cbc:TargetCurrencyCode", "TRY"), .text("cbc:CalculationRate", $0.plain(6)),
            .text("cbc:Date", issuedOn.description),
          ])
      },
      UBLElement("cac:TaxTotal", [.amount("cbc:TaxAmount", totals.vat, currency)] + totals.taxes.map { tax($0.base, $0.amount, $0.rate, $0.exemption) }),
      withholding(totals.withheld),
      UBLElement(
        "cac:LegalMonetaryTotal",
        [
          .amount("cbc:LineExtensionAmount", totals.net, currency), .amount("cbc:TaxExclusiveAmount", totals.net, currency),
          .amount("cbc:TaxInclusiveAmount", totals.withVAT, currency), .amount("cbc:PayableAmount", totals.payable, currency),
        ]),
    ] + lines.enumerated().map { invoiceLine($0 + 1, $1) }
  }

  private var sendType: UBLElement {
    UBLElement(
      "cac:AdditionalDocumentReference",
      [.text("cbc:ID", "ELEKTRONIK"), .text("cbc:IssueDate", issuedOn.description), .text("cbc:DocumentTypeCode", "SEND_TYPE")])
  }

  private var signature: UBLElement {
    UBLElement(
      "cac:Signature",
      [
        .text("cbc:ID", supplier.number, [("schemeID", "VKN_TCKN")]),
        UBLElement("cac:SignatoryParty", [supplier.identification, supplier.address]),
        UBLElement("cac:DigitalSignatureAttachment", [UBLElement("cac:ExternalReference", [.text("cbc:URI", "#Signature_\(number)")])]),
      ])
  }

  private func tax(_ base: Decimal, _ amount: Decimal, _ rate: Decimal, _ exemption: Exemption?) -> UBLElement {
    UBLElement(
      "cac:TaxSubtotal",
      [
        .amount("cbc:TaxableAmount", base, currency), .amount("cbc:TaxAmount", amount, currency), .text("cbc:Percent", rate.plain(2)),
        UBLElement(
          "cac:TaxCategory",
          [
            .text("cbc:TaxExemptionReasonCode", exemption?.code), .text("cbc:TaxExemptionReason", exemption?.reason),
            UBLElement("cac:TaxScheme", [.text("cbc:Name", "KDV"), .text("cbc:TaxTypeCode", "0015")]),
          ]),
      ])
  }

  private func withholding(_ withheld: [EInvoiceTotals.Withheld]) -> UBLElement? {
    if withheld.isEmpty { return nil }
    let total = withheld.reduce(0) { $0 + $1.amount }
    return UBLElement(
      "cac:WithholdingTaxTotal",
      [.amount("cbc:TaxAmount", total, currency)]
        + withheld.map { part in
          UBLElement(
            "cac:TaxSubtotal",
            [
              .amount("cbc:TaxableAmount", part.base, currency), .amount("cbc:TaxAmount", part.amount, currency),
              .text("cbc:Percent", part.withholding.percent.plain(2)),
              UBLElement(
                "cac:TaxCategory",
                [UBLElement("cac:TaxScheme", [.text("cbc:Name", part.withholding.name), .text("cbc:TaxTypeCode", part.withholding.code)])]),
            ])
        })
  }

  private func invoiceLine(_ number: Int, _ line: Line) -> UBLElement {
    let gross = (line.quantity * line.unitPrice).rounded(2)
    let discount =
      line.discountPercent == 0
      ? nil
      : UBLElement(
        "cac:AllowanceCharge",
        [
          .text("cbc:ChargeIndicator", "false"), .text("cbc:MultiplierFactorNumeric", (line.discountPercent / 100).plain(6)),
          .amount("cbc:Amount", gross - line.net, currency), .amount("cbc:BaseAmount", gross, currency),
        ])
    return UBLElement(
      "cac:InvoiceLine",
      [
        .text("cbc:ID", "\(number)"), .text("cbc:InvoicedQuantity", line.quantity.plain(3), [("unitCode", line.unitCode)]),
        .amount("cbc:LineExtensionAmount", line.net, currency), discount,
        UBLElement("cac:TaxTotal", [.amount("cbc:TaxAmount", line.vat, currency), tax(line.net, line.vat, line.vatRate, line.exemption)]),
        withholding(EInvoiceTotals(of: [line]).withheld), UBLElement("cac:Item", [.text("cbc:Name", line.name)]),
        UBLElement("cac:Price", [.text("cbc:PriceAmount", line.unitPrice.plain(6), [("currencyID", currency)])]),
      ])
  }
}

extension EInvoiceDocument.Party {
  fileprivate var number: String {
    switch identity {
    case .taxNumber(let number), .person(let number, _, _): number
    }
  }

  fileprivate var identification: UBLElement {
    let scheme = if case .taxNumber = identity { "VKN" } else { "TCKN" }
    return UBLElement("cac:PartyIdentification", [.text("cbc:ID", number, [("schemeID", scheme)])])
  }

  fileprivate var address: UBLElement {
    UBLElement(
      "cac:PostalAddress",
      [
        .text("cbc:StreetName", street), .text("cbc:CitySubdivisionName", district), .text("cbc:CityName", city), .text("cbc:PostalZone", postalCode),
        UBLElement("cac:Country", [.text("cbc:IdentificationCode", country), .text("cbc:Name", countryName)]),
      ])
  }

  private var countryName: String { Locale(identifier: "tr_TR").localizedString(forRegionCode: country) ?? country }

  fileprivate var ubl: UBLElement {
    var person: UBLElement?
    if case .person(_, let firstName, let familyName) = identity {
      person = UBLElement("cac:Person", [.text("cbc:FirstName", firstName), .text("cbc:FamilyName", familyName)])
    }
    let contact =
      telephone == nil && email == nil
      ? nil : UBLElement("cac:Contact", [.text("cbc:Telephone", telephone), .text("cbc:ElectronicMail", email)])
    return UBLElement(
      "cac:Party",
      [
        .text("cbc:WebsiteURI", website), identification, name.flatMap { UBLElement("cac:PartyName", [.text("cbc:Name", $0)]) }, address,
        taxOffice.flatMap { UBLElement("cac:PartyTaxScheme", [UBLElement("cac:TaxScheme", [.text("cbc:Name", $0)])]) }, contact, person,
      ])
  }
}

extension Decimal {
  /// Digits with at most `scale` decimals and no more than are needed: `12.5`, `20`.
  func plain(_ scale: Int) -> String { "\(rounded(scale))" }
}
