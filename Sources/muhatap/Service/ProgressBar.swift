import Foundation

/// Shows how far long work has come: a bar with rate and remaining time on a terminal, a line every few seconds elsewhere.
struct ProgressBar {
  private let label: String
  private let total: Int
  private let isTerminal = isatty(STDERR_FILENO) == 1
  private let start: ContinuousClock.Instant
  private var lastShown: ContinuousClock.Instant

  /// - Parameter total: how many steps there are; 0 when that is not known.
  init(_ label: String, total: Int) {
    self.label = label
    self.total = total
    start = .now
    lastShown = start
  }

  /// Shows that `done` steps are done, if enough time has passed since it last did.
  mutating func update(_ done: Int) {
    let now = ContinuousClock.now
    if now - lastShown < (isTerminal ? .milliseconds(100) : .seconds(5)) { return }
    lastShown = now
    write(line(done, elapsed: now - start))
  }

  /// Says what is being done, while that cannot be counted.
  mutating func note(_ text: String) {
    lastShown = .now
    if isTerminal { write("\(label)  \(text)  \(Self.time(lastShown - start))") }
  }

  /// Makes room for what comes after.
  func clear() {
    if isTerminal { write("") }
  }

  private func line(_ done: Int, elapsed: Duration) -> String {
    let seconds = elapsed / .seconds(1)
    let rate = seconds > 0 ? Double(done) / seconds : 0
    var parts = [label]
    if total > 0 {
      let share = min(1, Double(done) / Double(total))
      if isTerminal {
        let filled = Int(share * 30)
        parts.append("[" + String(repeating: "█", count: filled) + String(repeating: "·", count: 30 - filled) + "]")
      }
      parts.append("\(Int(share * 100)) %")
    }
    parts.append(Self.grouped(done))
    if rate >= 1 { parts.append("\(Self.grouped(Int(rate)))/s") }
    if total > done, rate > 0 { parts.append("\(Self.time(.seconds(Double(total - done) / rate))) left") }
    return parts.joined(separator: "  ")
  }

  private func write(_ line: String) {
    let text = isTerminal ? "\r\u{1B}[K\(line)" : line + "\n"
    FileHandle.standardError.write(Data(text.utf8))
  }

  private static func grouped(_ number: Int) -> String {
    var digits = String(number)
    var index = digits.count - 3
    while index > 0 {
      digits.insert(",", at: digits.index(digits.startIndex, offsetBy: index))
      index -= 3
    }
    return digits
  }

  private static func time(_ duration: Duration) -> String {
    let seconds = duration / .seconds(1)
    return seconds < 60 ? "\(Double(Int(seconds * 10)) / 10) s" : "\(Int(seconds) / 60) min \(Int(seconds) % 60) s"
  }
}
