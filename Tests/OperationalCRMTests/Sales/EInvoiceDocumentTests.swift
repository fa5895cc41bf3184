import CRMCore
import Foundation
import MuhatapTestKit
import OperationalCRM
import PostgresClient
import Testing

@Suite("e-Fatura documents")
struct EInvoiceDocumentTests {
  typealias Document = EInvoiceDocument

  private static let today = CalendarDate(daysSince1970: Int(Date.now.timeIntervalSince1970 / 86_400) - 1)
  private static let us = Document.Party(
    identity: .taxNumber("1234567890"), name: "Çarşı Market A.Ş.", taxOffice: "Beyoğlu", street: "İstiklal Cd. 1", district: "Beyoğlu", city: "İstanbul",
    postalCode: "34430", telephone: "+902121234567", email: "fatura@carsi.example", website: "https://carsi.example")
  private static let company = Document.Party(
    identity: .taxNumber("9876543210"), name: "Işık & Oğulları <Ltd.>", taxOffice: "Konak", street: "Ğ Sk. 5", district: "Konak", city: "İzmir")
  private static let person = Document.Party(
    identity: .person("10000000146", firstName: "Şükrü", familyName: "İÇÖZ"), district: "Çankaya", city: "Ankara")

  private static func line(
    _ name: String, _ quantity: Decimal, _ price: Decimal, discount: Decimal = 0, rate: Decimal = 20, unit: String = "C62",
    exemption: Document.Exemption? = nil,
    withholding: Document.Withholding? = nil
  ) -> Document.Line {
    let net = (quantity * price * (100 - discount) / 100).rounded(2)
    let vat = (net * rate / 100).rounded(2)
    return Document.Line(
      name: name, quantity: quantity, unitCode: unit, unitPrice: price, discountPercent: discount, net: net, vatRate: rate, vat: vat,
      withheldVAT: (vat * (withholding?.percent ?? 0) / 100).rounded(2), exemption: exemption, withholding: withholding)
  }

  /// Shares the rounding among the lines of a rate, as the database does.
  private static func shared(_ lines: [Document.Line]) -> [Document.Line] {
    var sums: [Decimal: Decimal] = [:]
    return lines.map { line in
      let before = sums[line.vatRate] ?? 0
      sums[line.vatRate] = before + line.net
      var line = line
      line.vat = ((before + line.net) * line.vatRate / 100).rounded(2) - (before * line.vatRate / 100).rounded(2)
      return line
    }
  }

  private static func document(_ profile: Document.Profile, _ kind: Document.Kind, _ number: Int, to customer: Document.Party, _ lines: [Document.Line])
    -> Document
  {
    Document(
      profile: profile, kind: kind, number: "MUH\(today.year)" + String("00000000\(number)".suffix(9)), uuid: UUID(), issuedOn: today, issuedAt: "09:30:00",
      orderNumber: ("S-2026-000017", today), dueOn: today.adding(days: 30), supplier: us, customer: customer, lines: lines)
  }

  @Test("the seven kinds of document are valid without a warning")
  func kinds() async throws {
    let cleaning = Document.Withholding(code: "612", name: "Temizlik hizmeti", percent: 90)
    var returned = Self.document(.basic, .goodsReturned, 4, to: Self.company, [Self.line("Masa", 1, 1_500)])
    returned.returned = ("MUH\(Self.today.year)000000001", Self.today)
    var foreign = Self.document(.commercial, .sale, 5, to: Self.company, [Self.line("Makine", 2, Decimal(string: "1234.567891") ?? 0)])
    foreign.currency = "USD"
    foreign.exchangeRate = Decimal(string: "41.254321")
    let documents = [
      Self.document(
        .commercial, .sale, 1, to: Self.company,
        [Self.line("Peynir \"eski\"", 3, 250, discount: 12, rate: 1, unit: "KGM"), Self.line("Masa", 2, Decimal(string: "1499.90") ?? 0)]),
      Self.document(.basic, .sale, 2, to: Self.company, [Self.line("Sandalye", 4, 750)]),
      Self.document(.archive, .sale, 3, to: Self.person, [Self.line("Kahve", 1, Decimal(string: "89.99") ?? 0, rate: 10)]),
      returned, foreign, Self.document(.basic, .withheld, 6, to: Self.company, [Self.line("Temizlik", 1, 10_000, withholding: cleaning)]),
      Self.document(
        .basic, .exempt, 7, to: Self.company,
        [Self.line("İhracat malı", 10, 100, rate: 0, exemption: .init(code: "301", reason: "11/1-a Mal ihracatı"))]),
    ]
    let found = try await AdministrationChecker.findings(documents)
    #expect(found == "", "\(found.prefix(2_000))")
  }

  @Test("five hundred random invoices are valid without a warning")
  func random() async throws {
    var random = SystemRandomNumberGenerator()
    let exemption = Document.Exemption(code: "351", reason: "KDV - İstisna olmayan diğer")
    let documents = (1...500).map { number -> Document in
      let lines = (1...Int.random(in: 1...40, using: &random)).map { index -> Document.Line in
        let rate: Decimal = [0, 1, 10, 20].randomElement(using: &random) ?? 20
        return Self.line(
          "Ürün \(index) ığüşöç <&>", Decimal(Int.random(in: 1...99_999, using: &random)) / [1, 10, 1000][Int.random(in: 0...2, using: &random)],
          Decimal(Int.random(in: 1...99_999_999, using: &random)) / [100, 10_000, 1_000_000][Int.random(in: 0...2, using: &random)],
          discount: Bool.random(using: &random) ? 0 : Decimal(Int.random(in: 1...9_999, using: &random)) / 100, rate: rate,
          unit: ["C62", "KGM", "LTR", "HUR"].randomElement(using: &random) ?? "C62", exemption: rate == 0 ? exemption : nil)
      }
      .filter { $0.net > 0 }
      let profile = Document.Profile.allCases.randomElement(using: &random) ?? .basic
      var document = Self.document(
        profile, .sale, number, to: profile == .archive ? Self.person : Self.company, lines.isEmpty ? [Self.line("Kalem", 1, 10)] : Self.shared(lines))
      if number % 4 == 0 {
        document.currency = ["USD", "EUR", "GBP"].randomElement(using: &random) ?? "EUR"
        document.exchangeRate = Decimal(Int.random(in: 1_000_000...60_000_000, using: &random)) / 1_000_000
      }
      return document
    }
    let found = try await AdministrationChecker.findings(documents)
    #expect(found == "", "\(found.prefix(2_000))")
  }

  // What we refuse before the administration would

  private static let codes = EInvoiceCheck.Codes(
    units: ["C62", "KGM"], currencies: ["TRY", "USD"], vatRates: [0, 1, 10, 20], exemptions: ["301", "351"], otherReasons: ["351"],
    withholdings: ["612": 90],
    validNumbers: ["1234567890", "9876543210", "10000000146"])

  private static var good: Document { document(.commercial, .sale, 1, to: company, [line("Masa", 2, 100, discount: 5), line("Kahve", 1, 50, rate: 10)]) }

  private func mistakes(_ document: Document) -> [String] {
    EInvoiceCheck(document, codes: Self.codes, today: Self.today).mistakes().map(\.pointer)
  }

  /// A mistake, the pointer it is reported at, and how to make it.
  private static let broken: [(name: String, pointer: String, break: @Sendable (inout Document) -> Void)] = [
    ("a number without its year", "/number", { $0.number = "MUH000000000001" }), ("a day to come", "/issued_on", { $0.issuedOn = today.adding(days: 1) }),
    ("no line", "/lines", { $0.lines = [] }), ("a unit in words", "/lines/0/unit_code", { $0.lines[0].unitCode = "ADET" }),
    (
      "the currency TL", "/currency",
      {
        $0.currency = "TL"; $0.exchangeRate = 1
      }
    ), ("a foreign currency without a rate", "/exchange_rate", { $0.currency = "USD" }),
    (
      "a rate of seven decimals", "/exchange_rate",
      {
        $0.currency = "USD"; $0.exchangeRate = Decimal(string: "41.1234567")
      }
    ),
    ("a VKN of nine digits", "/customer/tax_number", { $0.customer.identity = .taxNumber("123456789") }),
    ("a VKN with a wrong check digit", "/customer/tax_number", { $0.customer.identity = .taxNumber("1234567891") }),
    ("a TCKN that begins with 0", "/customer/tax_number", { $0.customer.identity = .person("00000000146", firstName: "A", familyName: "B") }),
    ("an organisation without a name", "/customer/name", { $0.customer.name = " " }),
    ("a person without a family name", "/customer/family_name", { $0.customer.identity = .person("10000000146", firstName: "Ali", familyName: "") }),
    ("no tax office", "/customer/tax_office", { $0.customer.taxOffice = nil }), ("no district", "/customer/district", { $0.customer.district = "" }),
    ("no city of our own", "/supplier/city", { $0.supplier.city = "" }),
    (
      "no VAT and no reason", "/lines/1/exemption_code",
      {
        $0.lines[1].vatRate = 0; $0.lines[1].vat = 0
      }
    ),
    (
      "an exemption nobody knows", "/lines/1/exemption_code",
      {
        $0.lines[1].vatRate = 0; $0.lines[1].vat = 0; $0.lines[1].exemption = .init(code: "999", reason: "?")
      }
    ),
    (
      "a VAT rate of another year", "/lines/0/vat_rate",
      {
        $0.lines[0].vatRate = 18; $0.lines[0].vat = Decimal(string: "34.2") ?? 0
      }
    ),
    (
      "a withholding with another percent", "/lines/0/withholding_percent",
      {
        $0.kind = .withheld
        $0.lines[0].withholding = .init(code: "612", name: "Temizlik", percent: 70)
      }
    ),
    ("a withholding in a plain sale", "/type", { $0.lines[0].withholding = .init(code: "612", name: "Temizlik", percent: 90) }),
    (
      "a return as TICARIFATURA", "/profile",
      {
        $0.kind = .goodsReturned; $0.returned = ("MUH2026000000001", today)
      }
    ),
    (
      "a return of nothing", "/returned_invoice_id",
      {
        $0.kind = .goodsReturned; $0.profile = .basic
      }
    ),
    (
      "an amount that does not follow", "/lines/0/net_amount",
      {
        $0.lines[0].net += 1; $0.lines[0].vat = Decimal(string: "38.2") ?? 0
      }
    ), ("a VAT that does not follow", "/lines/0/vat_amount", { $0.lines[0].vat += 1 }),
    (
      "a quantity of zero", "/lines/1/quantity",
      {
        $0.lines[1].quantity = 0; $0.lines[1].net = 0; $0.lines[1].vat = 0
      }
    ),
    ("a line of nothing", "/lines/0/description", { $0.lines[0].name = "" }),
    (
      "an exempt line in a plain sale", "/type",
      {
        $0.lines[1].vatRate = 0; $0.lines[1].vat = 0; $0.lines[1].exemption = .init(code: "301", reason: "11/1-a Mal ihracatı")
      }
    ),
    (
      "an exempt line beside a withholding", "/lines/1/exemption_code",
      {
        $0.kind = .withheld
        $0.lines[0].withholding = .init(code: "612", name: "Temizlik", percent: 90)
        $0.lines[0].withheldVAT = Decimal(string: "34.2") ?? 0
        $0.lines[1].vatRate = 0; $0.lines[1].vat = 0; $0.lines[1].exemption = .init(code: "301", reason: "11/1-a Mal ihracatı")
      }
    ),
    (
      "a gift with a VAT rate", "/lines/0/vat_rate",
      {
        $0.lines[0].unitPrice = 0; $0.lines[0].discountPercent = 0; $0.lines[0].net = 0; $0.lines[0].vat = 0
      }
    ),
    ("an exemption without an exempt line", "/type", { $0.kind = .exempt }),
  ]

  @Test("a document without a mistake has none, and each of 30 mistakes is named in both languages")
  func check() {
    #expect(mistakes(Self.good) == [])
    for (name, pointer, breaking) in Self.broken {
      var document = Self.good
      breaking(&document)
      #expect(mistakes(document) == [pointer], "\(name)")
      let messages = EInvoiceCheck(document, codes: Self.codes, today: Self.today).mistakes().map(\.message)
      #expect(messages.allSatisfy { !$0.text(in: .english).isEmpty && $0.text(in: .english) != $0.text(in: .turkish) })
    }
  }

  @Test("what the administration's own rules refuse, ours refuse too")
  func agreement() async throws {
    for number in [3, 4, 5, 16, 21, 26, 27, 28] {
      var document = Self.good
      Self.broken[number].break(&document)
      #expect(try await AdministrationChecker.findings([document]) != "", "\(Self.broken[number].name)")
    }
  }

  @Test(
    "amounts are spelled in Turkish, in one word",
    arguments: [
      ("0", "TRY", "YALNIZ SIFIR TÜRK LİRASI"), ("0.05", "TRY", "YALNIZ SIFIR TÜRK LİRASI BEŞ KURUŞ"),
      ("1234.56", "TRY", "YALNIZ BİNİKİYÜZOTUZDÖRT TÜRK LİRASI ELLİALTI KURUŞ"), ("1000", "EUR", "YALNIZ BİN EURO"),
      ("21001.10", "USD", "YALNIZ YİRMİBİRBİNBİR ABD DOLARI ON SENT"), ("1000000.999", "TRY", "YALNIZ BİRMİLYONBİR TÜRK LİRASI"),
      ("100100100", "TRY", "YALNIZ YÜZMİLYONYÜZBİNYÜZ TÜRK LİRASI"), ("-5.5", "TRY", "YALNIZ EKSİ BEŞ TÜRK LİRASI ELLİ KURUŞ"),
      ("1001000000000", "KWD", "YALNIZ BİRTRİLYONBİRMİLYAR KWD"),
    ])
  func words(amount: String, currency: String, text: String) throws {
    #expect(AmountInWords.turkish(try #require(Decimal(string: amount)), currency: currency) == text)
  }

  @Test("the totals are the sums of the lines by rate, and half a kuruş goes up")
  func totals() {
    let lines = Self.shared(
      (0..<3).map { _ in Self.line("Şeker", 1, Decimal(string: "0.12") ?? 0, rate: 20) } + [Self.line("Tuz", 1, Decimal(string: "0.25") ?? 0, rate: 10)])
    let totals = EInvoiceTotals(of: lines)
    // 0.36 × 20 % = 0.072; line by line it would be 3 × 0.02.
    #expect(totals.taxes.map(\.amount) == [Decimal(string: "0.03"), Decimal(string: "0.07")] && lines.map(\.vat).reduce(0, +) == totals.vat)
    #expect(totals.net == Decimal(string: "0.61") && totals.payable == Decimal(string: "0.71"))
    #expect(Decimal(string: "1234.5")?.fixed(2) == "1234.50" && Decimal(-0.005).fixed(2) == "-0.01" && Decimal(7).fixed(2) == "7.00")
  }
}
