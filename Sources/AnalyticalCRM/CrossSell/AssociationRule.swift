/// Who buys the antecedent often buys the consequent in the same basket (Agrawal & Srikant 1994; lift and conviction: Brin et al. 1997).
struct AssociationRule: Hashable, Sendable {
  /// Things by number, ascending; the two sides share none.
  let antecedent, consequent: [Int]
  /// Baskets that hold the whole side, both sides, and all baskets there are.
  let antecedentCount, consequentCount, bothCount, baskets: Int

  var support: Double { Double(bothCount) / Double(baskets) }
  var confidence: Double { Double(bothCount) / Double(antecedentCount) }
  /// How many times more often than by chance.
  var lift: Double { Double(baskets) * Double(bothCount) / (Double(antecedentCount) * Double(consequentCount)) }
  /// Support above what chance would give.
  var leverage: Double { support - Double(antecedentCount) / Double(baskets) * Double(consequentCount) / Double(baskets) }
  /// Nil when the rule always held.
  var conviction: Double? {
    bothCount == antecedentCount ? nil : (1 - Double(consequentCount) / Double(baskets)) / (1 - confidence)
  }

  /// All rules of frequent sets, by lift, confidence, support, then the numbers of the things.
  /// - Parameters:
  ///   - itemsets: with every set that is part of one of them.
  ///   - singleConsequent: only rules with one thing on the right.
  static func rules(
    of itemsets: [Itemset], baskets: Int, minimumConfidence: Double, minimumLift: Double, singleConsequent: Bool
  ) -> [AssociationRule] {
    let counts = Dictionary(itemsets.map { ($0.items, $0.count) }, uniquingKeysWith: { first, _ in first })
    var rules: [AssociationRule] = []
    for set in itemsets where set.items.count > 1 {
      for choice in 1..<(1 << set.items.count) - 1 {
        let antecedent = set.items.indices.filter { choice & (1 << $0) != 0 }.map { set.items[$0] }
        let consequent = set.items.indices.filter { choice & (1 << $0) == 0 }.map { set.items[$0] }
        if singleConsequent, consequent.count > 1 { continue }
        guard let antecedentCount = counts[antecedent], let consequentCount = counts[consequent] else { continue }
        let rule = AssociationRule(
          antecedent: antecedent, consequent: consequent, antecedentCount: antecedentCount, consequentCount: consequentCount, bothCount: set.count,
          baskets: baskets)
        // Compared as products, which are exact, where quotients would round.
        let isLifted = Double(baskets) * Double(set.count) >= minimumLift * Double(antecedentCount) * Double(consequentCount)
        if isLifted, Double(set.count) >= minimumConfidence * Double(antecedentCount) { rules.append(rule) }
      }
    }
    return rules.sorted {
      if $0.lift != $1.lift { return $0.lift > $1.lift }
      if $0.confidence != $1.confidence { return $0.confidence > $1.confidence }
      if $0.bothCount != $1.bothCount { return $0.bothCount > $1.bothCount }
      return ($0.antecedent + $0.consequent).lexicographicallyPrecedes($1.antecedent + $1.consequent)
    }
  }
}
