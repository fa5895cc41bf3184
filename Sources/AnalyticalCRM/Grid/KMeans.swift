import Foundation

/// Groups points so that the sum of squared distances to the centres of their groups is small (Lloyd 1982), beginning from many starts by k-means++ (Arthur &
/// Vassilvitskii 2007) with a fixed seed: the same points in the same order always give the same groups.
struct KMeans {
  /// The group of each point.
  let labels: [Int]
  let centres: [[Double]]
  /// The sum of the squared distances.
  let inertia: Double

  static let seed: UInt64 = 20_071_027
  private static let longestRun = 300

  /// - Parameters:
  ///   - points: of equal length.
  ///   - count: how many groups; fewer come out when there are fewer different points.
  init(_ points: [[Double]], count: Int, starts: Int) {
    var random = RandomSource(seed: Self.seed)
    var best: KMeans?
    for _ in 0..<max(1, starts) {
      let found = Self.descend(points, from: Self.spread(points, count, &random))
      if found.inertia < best?.inertia ?? .infinity { best = found }
    }
    self = best ?? KMeans(labels: [], centres: [], inertia: 0)
  }

  private init(labels: [Int], centres: [[Double]], inertia: Double) {
    self.labels = labels
    self.centres = centres
    self.inertia = inertia
  }

  /// As many starts as leave the work bounded: at most 100, and for a million points three.
  static func starts(for points: Int) -> Int { min(100, max(3, 1_000_000 / max(1, points))) }

  /// First centres far from each other: each next one with a chance proportional to the squared distance from those there are.
  private static func spread(_ points: [[Double]], _ count: Int, _ random: inout RandomSource) -> [[Double]] {
    guard !points.isEmpty else { return [] }
    var centres = [points[random.index(below: points.count)]]
    var distances = points.map { squaredDistance($0, centres[0]) }
    while centres.count < count {
      let total = distances.reduce(0, +)
      guard total > 0 else { break }
      var rest = random.uniform() * total
      var chosen = distances.lastIndex { $0 > 0 } ?? 0
      for (index, distance) in distances.enumerated() where distance > 0 {
        rest -= distance
        if rest <= 0 {
          chosen = index
          break
        }
      }
      centres.append(points[chosen])
      for index in points.indices { distances[index] = min(distances[index], squaredDistance(points[index], points[chosen])) }
    }
    return centres
  }

  private static func descend(_ points: [[Double]], from first: [[Double]]) -> KMeans {
    var centres = first
    var labels = [Int](repeating: -1, count: points.count)
    var inertia = 0.0
    for _ in 0..<longestRun {
      var changed = false
      inertia = 0
      for (index, point) in points.enumerated() {
        var nearest = (label: 0, distance: Double.infinity)
        for (label, centre) in centres.enumerated() {
          let distance = squaredDistance(point, centre)
          if distance < nearest.distance { nearest = (label, distance) }
        }
        inertia += nearest.distance
        if labels[index] != nearest.label {
          labels[index] = nearest.label
          changed = true
        }
      }
      if !changed { break }
      centres = means(points, labels, centres)
    }
    return KMeans(labels: labels, centres: centres, inertia: inertia)
  }

  /// The means of the groups; a group that lost all its points keeps its centre.
  private static func means(_ points: [[Double]], _ labels: [Int], _ centres: [[Double]]) -> [[Double]] {
    var sums = centres.map { [Double](repeating: 0, count: $0.count) }
    var sizes = [Int](repeating: 0, count: centres.count)
    for (index, point) in points.enumerated() {
      sizes[labels[index]] += 1
      for dimension in point.indices { sums[labels[index]][dimension] += point[dimension] }
    }
    return sums.enumerated().map { label, sum in sizes[label] == 0 ? centres[label] : sum.map { $0 / Double(sizes[label]) } }
  }

  private static func squaredDistance(_ a: [Double], _ b: [Double]) -> Double {
    var sum = 0.0
    for index in a.indices {
      let difference = a[index] - b[index]
      sum += difference * difference
    }
    return sum
  }
}

extension KMeans {
  /// The columns as z-scores with the standard deviation of the population, after ln(1 + x) where `log` says so (of −x for negative values, with the sign kept). A
  /// missing value stands at the mean, and a constant column says nothing: both are 0.
  static func standardised(_ columns: [[Double?]], log: Bool) -> [[Double]] {
    let scaled = columns.map { column -> [Double] in
      let values = column.map { value in value.map { log ? ($0 < 0 ? -Foundation.log1p(-$0) : Foundation.log1p($0)) : $0 } }
      let known = values.compactMap { $0 }
      guard !known.isEmpty else { return values.map { _ in 0 } }
      let mean = known.reduce(0, +) / Double(known.count)
      let deviation = (known.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(known.count)).squareRoot()
      return values.map { value in deviation > 0 ? ((value ?? mean) - mean) / deviation : 0 }
    }
    return (scaled.first ?? []).indices.map { row in scaled.map { $0[row] } }
  }
}
