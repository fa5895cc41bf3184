import Foundation
import MuhatapTestKit
import Testing

@testable import AnalyticalCRM

@Suite("Frequent sets and association rules")
struct AssociationRuleTests {
  /// The baskets of each thing, from the things of each basket.
  private func places(_ baskets: [Set<Int>], things: Int) -> [[Int32]] {
    (0..<things).map { thing in baskets.indices.filter { baskets[$0].contains(thing) }.map(Int32.init) }
  }

  @Test("frequent sets are those that counting every subset finds, whatever the order of the baskets", arguments: [1, 2, 3, 4])
  func againstCounting(length: Int) async throws {
    var generator = SeededGenerator(state: UInt64(length))
    for things in [1, 4, 7] {
      let baskets = (0..<40).map { _ in Set((0..<things).filter { _ in generator.next() % 5 < 2 }) }
      for minimum in [1, 3, 9] {
        var counted: Set<Itemset> = []
        for choice in 1..<(1 << things) {
          let items = (0..<things).filter { choice & (1 << $0) != 0 }
          let count = baskets.count { $0.isSuperset(of: items) }
          if items.count <= length, count >= minimum { counted.insert(Itemset(items: items, count: count)) }
        }
        for order in [baskets, baskets.reversed()] {
          let found = try await FrequentItemsets.find(in: places(order, things: things), baskets: 40, minimumCount: minimum, maximumLength: length)
          #expect(Set(found) == counted && found.count == counted.count)
        }
      }
    }
    await #expect(throws: FrequentItemsets.TooMany.self) {
      try await FrequentItemsets.find(in: [[0], [0], [0]], baskets: 1, minimumCount: 1, maximumLength: 3, limit: 6)
    }
    #expect(try await FrequentItemsets.find(in: [], baskets: 0, minimumCount: 1, maximumLength: 3).isEmpty)
  }

  @Test("a rule's figures follow from four counts; conviction is unknown when the rule always held")
  func figures() async throws {
    // Ten baskets: bread in 5, butter in 4, both in 4.
    let sets = try await FrequentItemsets.find(in: [[0, 1, 2, 3, 4], [0, 1, 2, 3]], baskets: 10, minimumCount: 1, maximumLength: 2)
    let rules = AssociationRule.rules(of: sets, baskets: 10, minimumConfidence: 0, minimumLift: 1, singleConsequent: false)
    #expect(rules.map(\.antecedent) == [[1], [0]])
    #expect(rules.map(\.confidence) == [1, 0.8] && rules.map(\.lift) == [2, 2] && rules.map(\.support) == [0.4, 0.4])
    #expect(rules[0].conviction == nil && isClose(rules[1].conviction, 3) && isClose(rules[0].leverage, 0.2))
    #expect(AssociationRule.rules(of: sets, baskets: 10, minimumConfidence: 0.9, minimumLift: 1, singleConsequent: false).count == 1)
    #expect(AssociationRule.rules(of: sets, baskets: 10, minimumConfidence: 0, minimumLift: 2.1, singleConsequent: false).isEmpty)
  }

  /// The data set of the R package arules (GPL) is not shipped: name its groceries.csv, one basket a line, to run this.
  @Test(
    "the published 463 rules are found in the groceries of arules", .enabled(if: ProcessInfo.processInfo.environment["MUHATAP_GROCERIES"] != nil))
  func groceries() async throws {
    let path = try #require(ProcessInfo.processInfo.environment["MUHATAP_GROCERIES"])
    let lines = try String(contentsOfFile: path, encoding: .utf8).split(whereSeparator: \.isNewline).map {
      Set($0.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) })
    }
    let names = Set(lines.joined()).filter { !$0.isEmpty }.sorted()
    let numbers = Dictionary(uniqueKeysWithValues: names.enumerated().map { ($1, $0) })
    let baskets = lines.map { Set($0.compactMap { numbers[$0] }) }
    #expect(baskets.count == 9_835 && names.count == 169)
    let sets = try await FrequentItemsets.find(in: places(baskets, things: names.count), baskets: baskets.count, minimumCount: 60, maximumLength: 6)
    let rules = AssociationRule.rules(of: sets, baskets: baskets.count, minimumConfidence: 0.25, minimumLift: 0, singleConsequent: true)
    #expect(rules.count == 463)
    #expect(Dictionary(grouping: rules, by: { $0.antecedent.count + 1 }).mapValues(\.count) == [2: 150, 3: 297, 4: 16])
  }
}

/// The same numbers in every run (splitmix64).
private struct SeededGenerator: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = (state ^ (state >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}
