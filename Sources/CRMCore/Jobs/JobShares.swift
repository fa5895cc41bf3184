import Synchronization

/// Which of the work that waits for servers of others is under way in one worker. Neither a kind of it nor one server that hangs gets all places.
final class JobShares: Sendable {
  private struct Counts {
    var kinds: [String: Int] = [:]
    var lanes: [String: Int] = [:]
  }

  private let counts = Mutex(Counts())
  private let ofKind, ofLane: Int

  /// - Parameter places: how many such jobs run at a time. Of one kind run at most half of them, of one lane a third.
  init(places: Int) {
    ofKind = max(1, places / 2)
    ofLane = max(1, places / 3)
  }

  /// Of what no more is to be begun now.
  var exhausted: (kinds: Set<String>, lanes: [String]) {
    counts.withLock { counts in (Set(counts.kinds.filter { $0.value >= ofKind }.keys), counts.lanes.filter { $0.value >= ofLane }.map(\.key)) }
  }

  /// - Returns: false when others have taken what there was of its share; then it is not counted.
  func enter(_ job: Job) -> Bool {
    counts.withLock { counts in
      let kind = counts.kinds[job.kind, default: 0]
      let lane = job.lane.map { counts.lanes[$0, default: 0] } ?? 0
      guard kind < ofKind, lane < ofLane else { return false }
      counts.kinds[job.kind] = kind + 1
      if let name = job.lane { counts.lanes[name] = lane + 1 }
      return true
    }
  }

  /// For a job that entered.
  func leave(_ job: Job) {
    counts.withLock { counts in
      Self.subtract(job.kind, from: &counts.kinds)
      if let lane = job.lane { Self.subtract(lane, from: &counts.lanes) }
    }
  }

  private static func subtract(_ name: String, from counts: inout [String: Int]) {
    guard let count = counts[name] else { return }
    counts[name] = count > 1 ? count - 1 : nil
  }
}
