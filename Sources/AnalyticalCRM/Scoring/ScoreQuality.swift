/// How good probabilities were, once it was known what happened.
package struct ScoreQuality: Sendable {
  /// A tenth of the cases by probability.
  package struct Bin: Sendable {
    package let count: Int
    /// The mean of their probabilities.
    package let expected: Double
    /// The share for which it happened.
    package let observed: Double
    /// That share against the share among all.
    package let lift: Double
  }

  /// The chance that a case for which it happened has a higher probability than one for which it did not; ties count half. nil with one outcome only.
  package let auc: Double?
  /// The mean squared error of the probabilities (Brier 1950).
  package let brier: Double
  /// Tenths by probability, the highest first; sizes differ by one at most. Ties keep the order given.
  package let deciles: [Bin]

  /// - Parameter cases: not empty.
  package init(_ cases: [(probability: Double, happened: Bool)]) {
    let n = cases.count
    let happened = cases.count(where: \.happened)
    brier = cases.reduce(0) { $0 + ($1.probability - ($1.happened ? 1 : 0)) * ($1.probability - ($1.happened ? 1 : 0)) } / Double(n)
    let ascending = cases.indices.sorted { (cases[$0].probability, $0) < (cases[$1].probability, $1) }
    var rankSum = 0.0
    var place = 0
    while place < n {
      var end = place
      while end < n, cases[ascending[end]].probability == cases[ascending[place]].probability { end += 1 }
      let rank = Double(place + 1 + end) / 2
      for index in ascending[place..<end] where cases[index].happened { rankSum += rank }
      place = end
    }
    let (yes, no) = (Double(happened), Double(n - happened))
    auc = yes > 0 && no > 0 ? (rankSum - yes * (yes + 1) / 2) / (yes * no) : nil
    let descending = cases.indices.sorted { (-cases[$0].probability, $0) < (-cases[$1].probability, $1) }
    let base = yes / Double(n)
    deciles = (0..<min(10, n)).map { tenth in
      let members = descending[(tenth * n / min(10, n))..<((tenth + 1) * n / min(10, n))]
      let observed = Double(members.count { cases[$0].happened }) / Double(members.count)
      return Bin(
        count: members.count, expected: members.reduce(0) { $0 + cases[$1].probability } / Double(members.count), observed: observed,
        lift: base > 0 ? observed / base : 0)
    }
  }
}
