import Foundation
import Synchronization

/// Wakes sleepers early. A sleeper says how many rings it has heard, so that one that rang before it slept is not missed.
final class Alarm: Sendable {
  private struct State {
    var rings = 0
    var sleepers: [UUID: Task<Void, Never>] = [:]
  }

  private let state = Mutex(State())

  var rings: Int { state.withLock { $0.rings } }

  func ring() {
    let sleepers = state.withLock { state in
      state.rings += 1
      defer { state.sleepers = [:] }
      return state.sleepers.values
    }
    for sleeper in sleepers { sleeper.cancel() }
  }

  /// Sleeps for `time`, or until the first ring after `heard`, or until the task is cancelled.
  func sleep(for time: Duration, heard: Int) async {
    let id = UUID()
    let sleeper = Task { do { try await Task.sleep(for: time) } catch { /* woken: that is what an alarm is for */  } }
    let late = state.withLock { state in
      if state.rings != heard { return true }
      state.sleepers[id] = sleeper
      return false
    }
    if late { sleeper.cancel() }
    await withTaskCancellationHandler {
      await sleeper.value
    } onCancel: {
      sleeper.cancel()
    }
    state.withLock { $0.sleepers[id] = nil }
  }
}
