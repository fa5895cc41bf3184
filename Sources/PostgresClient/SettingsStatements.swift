/// The statements that set a transaction's settings, one for each list of names; the values are their parameters.
///
/// `SELECT num_nulls(set_config('statement_timeout', $1, true), set_config('muhatap.caller', $2, true), …)`: one small value comes back,
/// however many settings go.
struct SettingsStatements {
  /// Names are literals of the program, so where one lies in memory tells it apart, and their lists are few.
  private struct Shape: Hashable {
    var names: [UInt]
    let readOnly: Bool
  }

  private var statements: [Shape: String] = [:]

  mutating func statement(for settings: [PostgresPool.Context.Setting], readOnly: Bool) -> String {
    var shape = Shape(names: [], readOnly: readOnly)
    shape.names.reserveCapacity(settings.count)
    for setting in settings { shape.names.append(setting.name.identity) }
    if let statement = statements[shape] { return statement }
    let statement = Self.make(settings, readOnly: readOnly)
    statements[shape] = statement
    return statement
  }

  private static func make(_ settings: [PostgresPool.Context.Setting], readOnly: Bool) -> String {
    var calls = ["set_config('statement_timeout', $1, true)"]
    for (index, setting) in settings.enumerated() { calls.append("set_config('\(setting.name)', $\(index + 2), true)") }
    if readOnly { calls.append("set_config('transaction_read_only', 'on', true)") }
    return "SELECT num_nulls(" + calls.joined(separator: ", ") + ")"
  }
}

extension StaticString {
  /// Where its text lies, or the one character it is.
  fileprivate var identity: UInt {
    hasPointerRepresentation ? UInt(bitPattern: utf8Start) : UInt(unicodeScalar.value)
  }
}
