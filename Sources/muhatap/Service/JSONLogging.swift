import Gateway
import Logging

/// Log entries as lines of JSON on standard output, for every logger of the program.
struct JSONLogging {
  private let sink = LogSink()

  init(level: Logger.Level) {
    LoggingSystem.bootstrap { [sink] label in
      var handler = JSONLogHandler(label: label, sink: sink)
      handler.logLevel = level
      return handler
    }
  }

  /// Writes what still waits, at the end of the program.
  func flush() { sink.flush() }
}
