extension DeliveryReport {
  /// Reads the fields of a message/delivery-status part: groups apart by empty lines, one for each recipient after that of the message.
  static func recipients(_ text: String) -> [Recipient] {
    groups(text).compactMap { fields in
      guard let action = fields["action"]?.lowercased(), let address = fields["final-recipient"] ?? fields["original-recipient"] else { return nil }
      return Recipient(
        address: typed(address).lowercased(), action: action.split(separator: " ").first.map(String.init) ?? action,
        status: fields["status"]?.split(separator: " ").first.map(String.init), diagnostic: fields["diagnostic-code"].map { String(typed($0).prefix(500)) })
    }
  }

  /// Whether the fields of a message/feedback-report part call a message unwanted; the opposite can be reported too.
  static func isComplaint(_ text: String) -> Bool {
    let type = groups(text).compactMap { $0["feedback-type"] }.first?.lowercased()
    return type.map { $0 != "not-spam" } ?? false
  }

  /// The id of a message by its header.
  static func messageID(inHeaders text: String) -> String? {
    groups(text).first?["message-id"].map { $0.trimming("<> ") }
  }

  /// What stands after the type, as in `rfc822; ali@example.com`.
  private static func typed(_ value: String) -> String {
    guard let semicolon = value.firstIndex(of: ";") else { return value.trimming("<> ") }
    return String(value[value.index(after: semicolon)...]).trimming("<> ")
  }

  private static func groups(_ text: String) -> [[String: String]] {
    var groups: [[String: String]] = [[:]]
    var name: String?
    for line in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline) {
      if line.allSatisfy(\.isWhitespace) {
        groups.append([:])
        name = nil
      } else if line.first?.isWhitespace == true, let name {
        groups[groups.count - 1][name, default: ""] += " " + line.trimming(" \t")
      } else if let colon = line.firstIndex(of: ":") {
        let field = line[..<colon].lowercased()
        name = field
        groups[groups.count - 1][field] = line[line.index(after: colon)...].trimming(" \t")
      }
    }
    return groups.filter { !$0.isEmpty }
  }
}

extension StringProtocol {
  fileprivate func trimming(_ characters: String) -> String {
    String(drop { characters.contains($0) }.reversed().drop { characters.contains($0) }.reversed())
  }
}
