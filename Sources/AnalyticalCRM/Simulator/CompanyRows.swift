import Foundation

/// Turns simulated customers into rows of COPY, table by table.
struct CompanyRows {
  private static let firstNames = [
    "Ayşe", "Mehmet", "Fatma", "Ali", "Zeynep", "Mustafa", "Elif", "Hasan", "Deniz", "Ece", "Can", "Işıl", "Ömer", "Şule", "İnci", "Burak",
  ]
  private static let lastNames = [
    "Yılmaz", "Kaya", "Demir", "Çelik", "Şahin", "Yıldız", "Öztürk", "Aydın", "Arslan", "Doğan", "Kılıç", "Aslan", "Çetin", "Koç", "Kurt", "Özkan",
  ]
  private static let sectors = ["retail", "food", "health", "education", "logistics", "manufacturing"]
  private static let regions = ["marmara", "ege", "ic_anadolu", "akdeniz", "karadeniz"]
  private static let channels = ["store", "online", "phone", "field"]

  let plan: CompanyPlan
  let catalogue: SimulatedCatalogue
  /// The department that works with everything, as UUID text.
  let department: String
  /// What everyone may read: `audience` of what belongs to an order or a contract.
  private static let company: StaticString = "00000000-0000-0000-0000-000000000000"

  var customers = CopyBuffer()
  var orders = CopyBuffer()
  var lines = CopyBuffer()
  var contracts = CopyBuffer()
  var contractLines = CopyBuffer()
  var totals = CompanyTotals()

  init(plan: CompanyPlan, catalogue: SimulatedCatalogue, department: String) {
    (self.plan, self.catalogue, self.department) = (plan, catalogue, department)
  }

  mutating func append(_ customer: SimulatedCustomer) {
    var random = RandomSource(seed: plan.seed &+ 1, stream: UInt64(customer.number))
    appendCustomer(customer, &random)
    totals.alive += customer.isAlive ? 1 : 0
    totals.futurePurchases += customer.futurePurchases
    for purchase in customer.purchases { appendOrder(purchase, of: customer, &random) }
    if let contract = customer.contract { appendContract(contract, of: customer) }
  }

  /// id, kind, name, profile, referred_by_id, department_id, created_at, updated_at
  private mutating func appendCustomer(_ customer: SimulatedCustomer, _ random: inout RandomSource) {
    customers.id(customer.id)
    customers.field()
    customers.text(customer.isOrganisation ? "organisation" : "person")
    customers.field()
    let (first, last) = (Self.firstNames[random.index(below: Self.firstNames.count)], Self.lastNames[random.index(below: Self.lastNames.count)])
    customers.text(customer.isOrganisation ? "\(last) Ticaret \(customer.number + 1)" : "\(first) \(last)")
    customers.field()
    let sector = customer.isOrganisation ? Self.sectors[random.index(below: Self.sectors.count)] : "household"
    customers.text("{\"sector\":\"\(sector)\",\"region\":\"\(Self.regions[random.index(below: Self.regions.count)])\",\"simulation\":\"\(plan.seed)\"}")
    customers.field()
    if let by = customer.referredBy { customers.id(SimulatedCustomer.id(of: by, in: plan)) } else { customers.null() }
    customers.field()
    customers.text(department)
    let arrived = customer.purchases.first?.at ?? plan.start * 86_400
    for _ in 0..<2 {
      customers.field()
      customers.instant(arrived)
    }
    customers.end()
  }

  /// customer_id, id, status, channel, ordered_at, amount, department_id, created_at, updated_at, created_by
  private mutating func appendOrder(_ purchase: SimulatedCustomer.Purchase, of customer: SimulatedCustomer, _ random: inout RandomSource) {
    totals.orders += 1
    totals.cents += purchase.cents
    orders.id(customer.id)
    orders.field()
    orders.id(purchase.id)
    orders.field()
    orders.text("completed")
    orders.field()
    orders.text(Self.channels[random.index(below: Self.channels.count)])
    orders.field()
    orders.instant(purchase.at)
    orders.field()
    orders.hundredths(purchase.cents)
    orders.field()
    orders.text(department)
    for _ in 0..<2 {
      orders.field()
      orders.instant(purchase.at)
    }
    orders.field()
    orders.null()
    orders.end()
    guard plan.linesPerOrder > 0 else { return }
    var rest = purchase.cents
    let count = 1 + random.index(below: plan.linesPerOrder)
    for number in 1...count {
      let cents = number == count ? rest : Int(Double(rest) * random.uniform())
      rest -= cents
      let product = catalogue.products[random.index(below: catalogue.products.count)]
      let line = RowID(at: Double(purchase.at) / 86_400, &random)
      appendLine(line, number, product, cents: cents, on: purchase, of: customer)
    }
  }

  /// customer_id, id, order_id, product_id, department_id, audience, created_by, created_at, updated_at, line_number, quantity, unit_price, amount
  private mutating func appendLine(
    _ id: RowID, _ number: Int, _ product: SimulatedCatalogue.Product, cents: Int, on purchase: SimulatedCustomer.Purchase, of customer: SimulatedCustomer
  ) {
    totals.lines += 1
    lines.id(customer.id)
    lines.field()
    lines.id(id)
    lines.field()
    lines.id(purchase.id)
    lines.field()
    lines.id(product.id)
    lines.field()
    lines.text(department)
    lines.field()
    lines.text(Self.company)
    lines.field()
    lines.null()
    for _ in 0..<2 {
      lines.field()
      lines.instant(purchase.at)
    }
    lines.field()
    lines.integer(number)
    lines.field()
    lines.thousandths(max(1, Int((Double(cents) / Double(product.price) * 1_000).rounded())))
    lines.field()
    lines.hundredths(product.price)
    lines.field()
    lines.hundredths(cents)
    lines.end()
  }

  /// The contract and its only line.
  private mutating func appendContract(_ contract: SimulatedCustomer.Contract, of customer: SimulatedCustomer) {
    totals.contracts += 1
    if let cause = contract.cause {
      totals.endedContracts += 1
      totals.causes[cause] += 1
    }
    // customer_id, id, number, name, status, starts_on, term_months, term_number, term_starts_on, monthly_amount, activated_at, ended_on, cancel_reason, department_id, created_at
    contracts.id(customer.id)
    contracts.field()
    contracts.id(contract.id)
    contracts.field()
    contracts.text("SIM-\(plan.seed)-\(customer.number + 1)")
    contracts.field()
    contracts.text("Bakım")
    contracts.field()
    contracts.text(contract.cause == nil ? "active" : "cancelled")
    contracts.field()
    contracts.date(contract.startsOn)
    contracts.field()
    contracts.integer(plan.termMonths)
    contracts.field()
    contracts.integer(contract.terms)
    contracts.field()
    contracts.date(contract.termStartsOn)
    contracts.field()
    contracts.hundredths(contract.monthlyCents)
    contracts.field()
    contracts.instant(contract.startsOn * 86_400)
    contracts.field()
    if contract.cause == nil { contracts.null() } else { contracts.date(contract.renewsOn - 1) }
    contracts.field()
    if let cause = contract.cause { contracts.text(CompanyPlan.churnCauses[cause].cause) } else { contracts.null() }
    contracts.field()
    contracts.text(department)
    contracts.field()
    contracts.instant(contract.startsOn * 86_400)
    contracts.end()
    // customer_id, id, contract_id, line_number, product_id, unit_price, department_id, audience
    contractLines.id(customer.id)
    contractLines.field()
    contractLines.id(contract.lineID)
    contractLines.field()
    contractLines.id(contract.id)
    contractLines.field()
    contractLines.integer(1)
    contractLines.field()
    contractLines.id(catalogue.service.id)
    contractLines.field()
    contractLines.hundredths(contract.monthlyCents)
    contractLines.field()
    contractLines.text(department)
    contractLines.field()
    contractLines.text(Self.company)
    contractLines.end()
  }
}
