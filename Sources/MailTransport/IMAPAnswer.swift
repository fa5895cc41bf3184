import Foundation

/// What an IMAP server says of its folders and messages.
enum IMAPAnswer {
  struct Status {
    let uidValidity: Int
    let uidNext: Int
  }

  struct Message {
    let uid: Int
    let size: Int
    let arrivedAt: Date?
  }

  /// Reads `* STATUS "INBOX" (UIDVALIDITY 1 UIDNEXT 4)`.
  static func status(_ answer: String) throws(MailFailure) -> Status {
    guard let uidValidity = number(after: "UIDVALIDITY", in: answer), let uidNext = number(after: "UIDNEXT", in: answer) else {
      throw MailFailure(.unavailable, "the server does not say how its folder is numbered")
    }
    return Status(uidValidity: uidValidity, uidNext: uidNext)
  }

  /// Reads lines such as `* 12 FETCH (UID 40 RFC822.SIZE 4096 INTERNALDATE "22-Nov-2026 10:00:00 +0300")`, by rising UID.
  static func messages(_ answer: String) -> [Message] {
    answer.split(whereSeparator: \.isNewline).compactMap { line in
      guard line.hasPrefix("* "), line.contains(" FETCH "), let uid = number(after: "UID", in: line), let size = number(after: "RFC822.SIZE", in: line)
      else { return nil }
      return Message(uid: uid, size: size, arrivedAt: date(in: line))
    }.sorted { $0.uid < $1.uid }
  }

  private static func number(after word: String, in text: some StringProtocol) -> Int? {
    let words = text.split { $0 == " " || $0 == "(" || $0 == ")" || $0.isNewline }
    guard let place = words.firstIndex(where: { $0.uppercased() == word }), place + 1 < words.count else { return nil }
    return Int(words[place + 1])
  }

  /// Reads `INTERNALDATE " 2-Nov-2026 10:00:00 +0300"`.
  private static func date(in line: some StringProtocol) -> Date? {
    guard let start = line.range(of: "INTERNALDATE \"")?.upperBound, let end = line[start...].firstIndex(of: "\"") else { return nil }
    let text = String(line[start..<end])
    let parts = text.split(whereSeparator: { $0 == " " || $0 == "-" || $0 == ":" }).map(String.init)
    let months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
    // The sign of a western zone is lost among the separators, so it is looked for by itself.
    guard parts.count == 7, let day = Int(parts[0]), let month = months.firstIndex(of: parts[1].lowercased()), let year = Int(parts[2]),
      let hour = Int(parts[3]), let minute = Int(parts[4]), let second = Int(parts[5]), let zone = Int(parts[6].drop { $0 == "+" })
    else { return nil }
    let sign = text.contains(" -") ? -1 : 1
    var calendar = Calendar(identifier: .gregorian)
    calendar.timeZone = TimeZone(secondsFromGMT: sign * (zone / 100 * 3600 + zone % 100 * 60)) ?? .gmt
    return calendar.date(from: DateComponents(year: year, month: month + 1, day: day, hour: hour, minute: minute, second: second))
  }
}
