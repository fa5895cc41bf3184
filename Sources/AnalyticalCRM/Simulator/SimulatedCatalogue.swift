/// What a simulated company sells: 12 categories in three departments, ten products each, with prices and costs, and the service its contracts are for.
struct SimulatedCatalogue: Sendable {
  struct Category: Sendable {
    let id: RowID
    let code, name: String
    let parent: Int?
  }

  struct Product: Sendable {
    let id: RowID
    let sku, name: String
    let category: Int
    /// In hundredths of a lira.
    let price, cost: Int
  }

  private static let tree = [
    ("Gıda", ["Süt ürünleri", "Fırın", "Et", "Meyve sebze"]), ("Ev", ["Temizlik", "Mutfak", "Tekstil", "Bahçe"]),
    ("Teknoloji", ["Telefon", "Bilgisayar", "Ses", "Aksesuar"]),
  ]

  let categories: [Category]
  let products: [Product]
  let service: Product

  /// The same for every company of one seed.
  init(_ plan: CompanyPlan) {
    var random = RandomSource(seed: plan.seed, stream: 0)
    var (categories, products): ([Category], [Product]) = ([], [])
    let day = Double(plan.start)
    for (top, (name, parts)) in Self.tree.enumerated() {
      let parent = categories.count
      categories.append(Category(id: RowID(at: day, &random), code: "sim-\(plan.seed)-\(top + 1)", name: name, parent: nil))
      for (place, part) in parts.enumerated() {
        let category = categories.count
        categories.append(Category(id: RowID(at: day, &random), code: "sim-\(plan.seed)-\(top + 1)-\(place + 1)", name: part, parent: parent))
        for number in 1...10 {
          let price = Int(random.gamma(shape: 2, rate: 0.02) * 100) + 5_00
          products.append(
            Product(
              id: RowID(at: day, &random), sku: "SIM-\(plan.seed)-\(top + 1)\(place + 1)\(number)", name: "\(part) \(number)", category: category, price: price,
              cost: Int(Double(price) * (0.5 + 0.35 * random.uniform()))))
        }
      }
    }
    self.categories = categories
    self.products = products
    service = Product(id: RowID(at: day, &random), sku: "SIM-\(plan.seed)-S", name: "Bakım hizmeti", category: 0, price: 1_000_00, cost: 600_00)
  }
}
