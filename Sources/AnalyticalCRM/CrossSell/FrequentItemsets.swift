/// Things, by number, that are together in enough baskets.
struct Itemset: Hashable, Sendable {
  /// Ascending.
  let items: [Int]
  /// How many baskets hold them all.
  let count: Int
}

/// Sets of things that are often together, by Eclat (Zaki 2000): depth first, intersecting the lists of baskets that hold them. The lists get shorter with
/// every thing that is added, and only those of one branch are kept.
struct FrequentItemsets {
  /// There are more sets than anybody could look at; a higher support makes fewer.
  struct TooMany: Error {}

  private let minimumCount: Int
  private let maximumLength: Int
  private let limit: Int
  /// For each basket the last list it was seen in, so that an intersection is one look-up a basket.
  private var seen: [Int32]
  private var list: Int32 = 0
  private var found: [Itemset] = []

  /// - Parameters:
  ///   - places: for each thing, the numbers (from 0, below `baskets`) of the baskets it is in, ascending and different.
  ///   - minimumCount: how many baskets a set must be in, at least 1.
  ///   - limit: how many sets there may be before `TooMany` is thrown.
  /// - Returns: every set of at most `maximumLength` things, the things ascending; each once.
  static func find(in places: [[Int32]], baskets: Int, minimumCount: Int, maximumLength: Int, limit: Int = 1_000_000) async throws -> [Itemset] {
    var search = FrequentItemsets(minimumCount: max(1, minimumCount), maximumLength: maximumLength, limit: limit, seen: [Int32](repeating: 0, count: baskets))
    let frequent = places.indices.filter { places[$0].count >= search.minimumCount }.map { (item: $0, places: places[$0]) }
    for number in frequent.indices {
      try search.extend([], with: frequent[number], among: frequent[(number + 1)...])
      // Others may compute in between; a search can take minutes.
      await Task.yield()
      try Task.checkCancellation()
    }
    return search.found
  }

  private init(minimumCount: Int, maximumLength: Int, limit: Int, seen: [Int32]) {
    self.minimumCount = minimumCount
    self.maximumLength = maximumLength
    self.limit = limit
    self.seen = seen
  }

  private mutating func extend(_ prefix: [Int], with one: (item: Int, places: [Int32]), among others: ArraySlice<(item: Int, places: [Int32])>) throws {
    let items = prefix + [one.item]
    guard found.count < limit else { throw TooMany() }
    found.append(Itemset(items: items, count: one.places.count))
    guard items.count < maximumLength, !others.isEmpty else { return }
    list += 1
    for place in one.places { seen[Int(place)] = list }
    var together: [(item: Int, places: [Int32])] = []
    for other in others {
      let both = other.places.filter { seen[Int($0)] == list }
      if both.count >= minimumCount { together.append((other.item, both)) }
    }
    for number in together.indices { try extend(items, with: together[number], among: together[(number + 1)...]) }
  }
}
