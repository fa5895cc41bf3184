package import CRMCore
package import Foundation
package import PostgresClient

/// What the revenue administration would refuse, found before an invoice is issued and said so that a person can mend it.
package struct EInvoiceCheck: Sendable {
  /// The administration's lists as they stood on the day of the invoice.
  package struct Codes: Sendable {
    package var units: Set<String>
    package var currencies: Set<String>
    package var vatRates: Set<Decimal>
    package var exemptions: Set<String>
    /// Those of `exemptions` that are no exemption in law, such as 351: they may stand on any invoice.
    package var otherReasons: Set<String>
    /// The legal percent of each withholding code.
    package var withholdings: [String: Decimal]
    /// Those of the parties' tax and identity numbers whose check digits are right.
    package var validNumbers: Set<String>

    package init(
      units: Set<String>, currencies: Set<String>, vatRates: Set<Decimal>, exemptions: Set<String>, otherReasons: Set<String>,
      withholdings: [String: Decimal], validNumbers: Set<String>
    ) {
      self.units = units
      self.currencies = currencies
      self.vatRates = vatRates
      self.exemptions = exemptions
      self.otherReasons = otherReasons
      self.withholdings = withholdings
      self.validNumbers = validNumbers
    }
  }

  let document: EInvoiceDocument
  let codes: Codes
  let today: CalendarDate

  /// - Parameter today: the day in Türkiye; an invoice cannot be dated later.
  package init(_ document: EInvoiceDocument, codes: Codes, today: CalendarDate) {
    self.document = document
    self.codes = codes
    self.today = today
  }

  /// Everything that is wrong; empty for a document that may be issued. Pointers lead into the invoice as the API shows it.
  package func mistakes() -> [Problem.FieldError] {
    header() + party(document.supplier, "/supplier", isOurs: true) + party(document.customer, "/customer", isOurs: false)
      + document.lines.enumerated().flatMap { line($1, "/lines/\($0)") } + vanishedVAT() + kind()
  }

  private static let kurus = Decimal(sign: .plus, exponent: -2, significand: 1)

  private typealias Mistakes = [Problem.FieldError]

  private func header() -> Mistakes {
    var found: Mistakes = []
    if document.number.wholeMatch(of: /[A-Z0-9]{3}20[0-9]{2}[0-9]{9}/) == nil {
      found.append(
        .init(
          "/number", code: "number",
          Phrase(
            "A number has three capital letters or digits, the year and nine digits.", tr: "Numara üç büyük harf ya da rakam, yıl ve dokuz rakamdan oluşur.")))
    }
    if document.issuedOn.daysSince1970 > today.daysSince1970 || document.issuedOn.year < 2005 {
      found.append(
        .init(
          "/issued_on", code: "day", Phrase("The date must be today or earlier, and not before 2005.", tr: "Tarih bugünden ileri ya da 2005'ten önce olamaz.")))
    }
    if !codes.currencies.contains(document.currency) {
      found.append(
        .init("/currency", code: "currency", Phrase("Use an ISO 4217 currency code, such as TRY.", tr: "TRY gibi bir ISO 4217 para birimi kodu kullanın.")))
    }
    if document.currency != "TRY" {
      if let rate = document.exchangeRate, rate > 0 {
        if rate.rounded(6) != rate {
          found.append(.init("/exchange_rate", code: "too-many-decimals", Phrase("A rate has at most six decimals.", tr: "Kurun en çok altı ondalığı olur.")))
        }
      } else {
        found.append(
          .init("/exchange_rate", code: "required", Phrase("An invoice in a foreign currency needs the exchange rate.", tr: "Dövizli faturada kur zorunludur."))
        )
      }
    }
    if document.lines.isEmpty {
      found.append(.init("/lines", code: "required", Phrase("An invoice needs at least one line.", tr: "Faturada en az bir satır olmalıdır.")))
    }
    return found
  }

  private func party(_ party: EInvoiceDocument.Party, _ pointer: String, isOurs: Bool) -> Mistakes {
    var found: Mistakes = []
    func require(_ value: String?, _ field: String, _ english: String, _ turkish: String) {
      if value?.trimmingCharacters(in: .whitespaces).isEmpty ?? true {
        found.append(.init("\(pointer)/\(field)", code: "required", Phrase(english, tr: turkish)))
      }
    }
    switch party.identity {
    case .taxNumber(let number):
      if number.wholeMatch(of: /[0-9]{10}/) == nil || !codes.validNumbers.contains(number) {
        found.append(
          .init(
            "\(pointer)/tax_number", code: "tax-number",
            Phrase("This tax number (VKN) is not valid; check its ten digits.", tr: "VKN geçersiz; on hanesini denetleyin.")))
      }
      require(party.name, "name", "Give the organisation's registered name.", "Kuruluşun unvanını yazın.")
      if isOurs || document.profile != .archive {
        require(party.taxOffice, "tax_office", "Give the tax office.", "Vergi dairesini yazın.")
      }
    case .person(let number, let firstName, let familyName):
      if number.wholeMatch(of: /[1-9][0-9]{10}/) == nil || !codes.validNumbers.contains(number) {
        found.append(
          .init(
            "\(pointer)/tax_number", code: "tax-number",
            Phrase("This identity number (TCKN) is not valid; check its eleven digits.", tr: "TCKN geçersiz; on bir hanesini denetleyin.")))
      }
      require(firstName, "first_name", "Give the person's first name.", "Kişinin adını yazın.")
      require(familyName, "family_name", "Give the person's family name.", "Kişinin soyadını yazın.")
    }
    require(party.district, "district", "Give the district (ilçe).", "İlçeyi yazın.")
    require(party.city, "city", "Give the city (il).", "İli yazın.")
    require(party.country, "country", "Give the country.", "Ülkeyi yazın.")
    return found
  }

  private func line(_ line: EInvoiceDocument.Line, _ pointer: String) -> Mistakes {
    var found: Mistakes = []
    func refuse(_ field: String, _ code: String, _ english: String, _ turkish: String) {
      found.append(.init("\(pointer)/\(field)", code: code, Phrase(english, tr: turkish)))
    }
    if line.name.trimmingCharacters(in: .whitespaces).isEmpty { refuse("description", "required", "Say what is sold.", "Ne satıldığını yazın.") }
    if !codes.units.contains(line.unitCode) {
      refuse("unit_code", "unit", "Use a unit of UN/ECE Recommendation 20, such as C62 for a piece.", "UN/ECE Rec 20 birim kodu kullanın; adet için C62.")
    }
    if line.quantity <= 0 { refuse("quantity", "range", "The quantity must be more than zero.", "Miktar sıfırdan büyük olmalıdır.") }
    if line.unitPrice < 0 { refuse("unit_price", "range", "The price cannot be negative.", "Fiyat eksi olamaz.") }
    if line.discountPercent < 0 || line.discountPercent > 100 {
      refuse("discount_percent", "range", "A discount is from 0 to 100 percent.", "İndirim yüzde 0 ile 100 arasındadır.")
    }
    let gross = line.quantity * line.unitPrice
    if abs((gross * (100 - line.discountPercent) / 100).rounded(2) - line.net) > Self.kurus || line.net != line.net.rounded(2) {
      refuse("net_amount", "sum", "The amount is not quantity × price less the discount.", "Tutar, miktar × fiyat − indirime eşit değil.")
    }
    if abs((line.net * line.vatRate / 100).rounded(2) - line.vat) > Self.kurus {
      refuse("vat_amount", "sum", "The VAT is not the rate of the amount.", "KDV, tutarın oranına eşit değil.")
    }
    if !codes.vatRates.contains(line.vatRate) {
      refuse("vat_rate", "rate", "This VAT rate was not in force on the day of the invoice.", "Bu KDV oranı fatura tarihinde yürürlükte değil.")
    }
    if let exemption = line.exemption {
      if line.vatRate != 0 { refuse("exemption_code", "exemption", "Only a line without VAT has an exemption.", "Yalnızca KDV'siz satırda istisna kodu olur.") }
      if !codes.exemptions.contains(exemption.code) {
        refuse("exemption_code", "exemption", "This exemption code was not in force on that day.", "Bu istisna kodu o tarihte yürürlükte değil.")
      }
    } else if line.vatRate == 0 {
      refuse("exemption_code", "required", "A line without VAT needs the code of its exemption.", "KDV'siz satırda istisna kodu zorunludur.")
    }
    if let withholding = line.withholding {
      if let percent = codes.withholdings[withholding.code] {
        if percent != withholding.percent {
          refuse("withholding_percent", "percent", "The legal percent of this withholding is another.", "Bu tevkifatın yasal oranı farklı.")
        }
      } else {
        refuse("withholding_code", "withholding", "This withholding code was not in force on that day.", "Bu tevkifat kodu o tarihte yürürlükte değil.")
      }
      if line.vatRate == 0 { refuse("withholding_code", "withholding", "Without VAT there is nothing to withhold.", "KDV yoksa tevkifat olmaz.") }
    }
    return found
  }

  /// The administration reads VAT of 0.00 at a rate as an exemption without its reason: goods given away, or worth next to nothing.
  private func vanishedVAT() -> Mistakes {
    EInvoiceTotals(of: document.lines).taxes.filter { $0.rate > 0 && $0.amount == 0 }.compactMap { tax in
      // A line that is wrong itself is named already.
      guard let index = document.lines.firstIndex(where: { $0.vatRate == tax.rate && $0.quantity > 0 && $0.unitPrice >= 0 }) else { return nil }
      return .init(
        "/lines/\(index)/vat_rate", code: "no-vat",
        Phrase(
          "The VAT at \(tax.rate) % comes to 0.00. Give what is free the VAT rate 0 with the code of its reason, such as 351.",
          tr: "%\(tax.rate) KDV 0,00 çıkıyor. Bedelsiz satıra KDV oranı 0 ve 351 gibi bir gerekçe kodu verin."))
    }
  }

  private func kind() -> Mistakes {
    var found: Mistakes = []
    func refuse(_ field: String, _ english: String, _ turkish: String) {
      found.append(.init("/\(field)", code: "type", Phrase(english, tr: turkish)))
    }
    let isWithheld = document.lines.contains { $0.withholding != nil }
    let exempt = document.lines.firstIndex { line in line.exemption.map { codes.exemptions.subtracting(codes.otherReasons).contains($0.code) } ?? false }
    switch document.kind {
    case .goodsReturned:
      if document.profile == .commercial {
        refuse("profile", "A return (IADE) travels as TEMELFATURA or EARSIVFATURA.", "İade faturası TEMELFATURA ya da EARSIVFATURA olur.")
      }
      if document.returned == nil {
        refuse("returned_invoice_id", "A return names the invoice it returns.", "İade faturası, iade edilen faturayı göstermelidir.")
      }
      return found
    case .withheld:
      if !isWithheld { refuse("type", "A TEVKIFAT invoice needs a line with withholding.", "TEVKIFAT faturasında tevkifatlı satır olmalıdır.") }
      if let exempt {
        refuse(
          "lines/\(exempt)/exemption_code", "An exempt line and one with withholding cannot stand on one invoice; write two.",
          "İstisnalı satır ile tevkifatlı satır aynı faturada olamaz; iki fatura düzenleyin.")
      }
      return found
    case .exempt:
      if exempt == nil {
        refuse("type", "An ISTISNA invoice needs a line with the code of an exemption.", "ISTISNA faturasında istisna kodlu bir satır olmalıdır.")
      }
    case .sale:
      if exempt != nil { refuse("type", "An invoice with an exempt line is of type ISTISNA.", "İstisnalı satırı olan faturanın türü ISTISNA'dır.") }
    }
    if isWithheld {
      refuse("type", "An invoice with withholding is of type TEVKIFAT.", "Tevkifatlı satırı olan faturanın türü TEVKIFAT'tır.")
    }
    return found
  }
}
