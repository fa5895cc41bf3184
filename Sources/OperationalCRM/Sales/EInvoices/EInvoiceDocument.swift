package import Foundation
package import PostgresClient

/// An invoice as the Turkish revenue administration's format (UBL-TR 1.2) knows it. All amounts are in `currency`.
package struct EInvoiceDocument: Sendable {
  /// How the invoice travels and may be answered.
  package enum Profile: String, Sendable, CaseIterable {
    /// To a registered user; cannot be refused in the system.
    case basic = "TEMELFATURA"
    /// To a registered user, who may accept or reject it within 8 days.
    case commercial = "TICARIFATURA"
    /// e-Arşiv: to a buyer who is not a registered user.
    case archive = "EARSIVFATURA"
  }

  package enum Kind: String, Sendable, CaseIterable {
    case sale = "SATIS"
    case goodsReturned = "IADE"
    /// The buyer pays a part of the VAT to the tax office itself.
    case withheld = "TEVKIFAT"
    case exempt = "ISTISNA"
  }

  package struct Party: Sendable {
    package enum Identity: Sendable, Hashable {
      /// VKN: ten digits.
      case taxNumber(String)
      /// TCKN: eleven digits, of a person with a first and a family name.
      case person(String, firstName: String, familyName: String)
    }

    package var identity: Identity
    /// The organisation's registered name; nil for a person.
    package var name: String?
    package var taxOffice: String?
    package var street: String?
    /// İlçe.
    package var district: String
    package var city: String
    package var postalCode: String?
    /// ISO 3166-1 letters.
    package var country: String
    package var telephone: String?
    package var email: String?
    package var website: String?

    package init(
      identity: Identity, name: String? = nil, taxOffice: String? = nil, street: String? = nil, district: String, city: String, postalCode: String? = nil,
      country: String = "TR", telephone: String? = nil, email: String? = nil, website: String? = nil
    ) {
      self.identity = identity
      self.name = name
      self.taxOffice = taxOffice
      self.street = street
      self.district = district
      self.city = city
      self.postalCode = postalCode
      self.country = country
      self.telephone = telephone
      self.email = email
      self.website = website
    }
  }

  /// Why no VAT is due: a code of the administration's list and its text.
  package struct Exemption: Sendable, Hashable {
    package let code: String
    package let reason: String
    package init(code: String, reason: String) {
      self.code = code
      self.reason = reason
    }
  }

  /// Which part of the VAT the buyer withholds: a code of the administration's list, its name and its legal percent.
  package struct Withholding: Sendable, Hashable {
    package let code: String
    package let name: String
    package let percent: Decimal
    package init(code: String, name: String, percent: Decimal) {
      self.code = code
      self.name = name
      self.percent = percent
    }
  }

  package struct Line: Sendable {
    package var name: String
    package var quantity: Decimal
    /// UN/ECE Recommendation 20, such as C62 for a piece.
    package var unitCode: String
    package var unitPrice: Decimal
    /// Of quantity × unit price.
    package var discountPercent: Decimal
    /// After the discount, without VAT.
    package var net: Decimal
    package var vatRate: Decimal
    /// The lines of one rate share the rounding, so that they sum to the rate of their sum; a line may differ by 0.01 from its own.
    package var vat: Decimal
    /// The part of the VAT that the buyer withholds.
    package var withheldVAT: Decimal
    package var exemption: Exemption?
    package var withholding: Withholding?

    package init(
      name: String, quantity: Decimal, unitCode: String = "C62", unitPrice: Decimal, discountPercent: Decimal = 0, net: Decimal, vatRate: Decimal, vat: Decimal,
      withheldVAT: Decimal = 0, exemption: Exemption? = nil, withholding: Withholding? = nil
    ) {
      self.name = name
      self.quantity = quantity
      self.unitCode = unitCode
      self.unitPrice = unitPrice
      self.discountPercent = discountPercent
      self.net = net
      self.vatRate = vatRate
      self.vat = vat
      self.withheldVAT = withheldVAT
      self.exemption = exemption
      self.withholding = withholding
    }
  }

  package var profile: Profile
  package var kind: Kind
  /// Series of three characters, year, nine digits: `ABC2026000000001`.
  package var number: String
  /// ETTN: fixed when the invoice is issued, never used again.
  package var uuid: UUID
  package var issuedOn: CalendarDate
  /// `HH:MM:SS` on the clock of Türkiye.
  package var issuedAt: String
  package var currency: String
  /// Liras for one unit of `currency`; nil when it is the lira.
  package var exchangeRate: Decimal?
  package var note: String?
  package var orderNumber: (number: String, day: CalendarDate)?
  /// The invoice that a return refers to.
  package var returned: (number: String, day: CalendarDate)?
  package var dueOn: CalendarDate?
  package var supplier: Party
  package var customer: Party
  package var lines: [Line]

  package init(
    profile: Profile, kind: Kind, number: String, uuid: UUID, issuedOn: CalendarDate, issuedAt: String, currency: String = "TRY", exchangeRate: Decimal? = nil,
    note: String? = nil, orderNumber: (number: String, day: CalendarDate)? = nil, returned: (number: String, day: CalendarDate)? = nil,
    dueOn: CalendarDate? = nil, supplier: Party, customer: Party, lines: [Line]
  ) {
    self.profile = profile
    self.kind = kind
    self.number = number
    self.uuid = uuid
    self.issuedOn = issuedOn
    self.issuedAt = issuedAt
    self.currency = currency
    self.exchangeRate = exchangeRate
    self.note = note
    self.orderNumber = orderNumber
    self.returned = returned
    self.dueOn = dueOn
    self.supplier = supplier
    self.customer = customer
    self.lines = lines
  }
}
