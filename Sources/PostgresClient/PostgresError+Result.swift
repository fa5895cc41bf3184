internal import CLibPQ

extension PostgresError {
  /// What the server reports in a result of status `PGRES_FATAL_ERROR`.
  init(result: OpaquePointer, statementName: String?) {
    func field(_ code: Character) -> String? {
      guard let ascii = code.asciiValue, let text = PQresultErrorField(result, Int32(ascii)) else { return nil }
      return String(cString: text)
    }
    let state = field("C")
    self.init(.server, "", sqlState: state)
    switch state?.prefix(2) {
    case nil:
      // libpq's own report: the connection is gone.
      kind = .connection
      message = "the connection to the server was lost"
    // The messages of these classes quote the values that were wrong.
    case "22", "54", "XX", "F0": message = "the server refused a value"
    default: message = field("M") ?? "the server refused the statement"
    }
    if state?.hasPrefix("08") == true || state?.hasPrefix("57P") == true { kind = .connection }
    severity = field("V")
    constraint = field("n")
    schema = field("s")
    table = field("t")
    column = field("c")
    isStalePlan = state == "26000" || (state == "0A000" && field("R") == "RevalidateCachedQuery")
    self.statementName = statementName
  }
}
