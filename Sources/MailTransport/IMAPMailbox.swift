import CCurl
package import Foundation

/// A folder of a mailbox, read by UID: resumable, without marking what is not taken and without deleting anything.
package struct IMAPMailbox: Sendable {
  /// How far a folder was read. Another UID validity means that the server numbers its messages anew.
  package struct Position: Sendable, Hashable {
    package let uidValidity: Int
    package let uid: Int

    package init(uidValidity: Int, uid: Int) {
      self.uidValidity = uidValidity
      self.uid = uid
    }
  }

  package struct Item: Sendable {
    package let uid: Int
    /// When the server took it in.
    package let arrivedAt: Date?
    package let size: Int
    /// The message as it came; only its header, or nothing, when it is not whole.
    package let bytes: [UInt8]
    package let isWhole: Bool
    /// Why it is not whole; nil when it is, or is larger than what is taken.
    package let problem: String?
  }

  package struct Batch: Sendable {
    package let uidValidity: Int
    /// By rising UID.
    package let items: [Item]
    /// Up to where the folder is known now: the last item, or a stretch of UIDs that holds nothing.
    package let position: Position
    package let isLast: Bool
  }

  private let server: MailServer
  private let folder: String
  private let messageLimit: Int

  /// - Parameters:
  ///   - folder: its name as IMAP spells it (modified UTF-7 for other than ASCII).
  ///   - messageLimit: the most bytes of a message that are taken; of larger ones the header alone.
  package init(server: MailServer, folder: String = "INBOX", messageLimit: Int = 50 << 20) throws(MailFailure) {
    guard !folder.isEmpty, folder.utf8.allSatisfy({ (0x20..<0x7F).contains($0) && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") }) else {
      throw MailFailure(.unsendable, "a folder's name has only ASCII characters (modified UTF-7), no quotes and no backslashes")
    }
    self.server = server
    self.folder = folder
    self.messageLimit = messageLimit
  }

  /// The next messages after a position, in one session.
  /// - Parameters:
  ///   - count: the most messages.
  ///   - bytes: no further message is begun after so many.
  ///   - passesOver: whether a message that the server does not give away is taken as far as it does, so that it does not keep those behind it waiting.
  ///   - deadline: no further message is begun after so many seconds.
  ///   - silence: for how many seconds the server may say nothing.
  package func next(
    after position: Position?, count: Int = 100, bytes: Int = 32 << 20, passesOver: Bool = false, deadline: Int = 120, silence: Int = 60
  ) async throws -> Batch {
    try await MailThreads.run {
      switch try session(deadline, silence).next(position, count, bytes) {
      case .batch(let batch): return batch
      case .stuck(let stuck):
        guard passesOver else { throw stuck.because }
        // In a conversation of its own, because the other may have ended.
        return try session(deadline, silence).passOver(stuck)
      }
    }
  }

  private func session(_ deadline: Int, _ silence: Int) throws(MailFailure) -> Session {
    try Session(server: server, folder: folder, messageLimit: messageLimit, deadline: deadline, silence: silence)
  }
}

/// One signed-in connection.
private struct Session {
  let handle: CurlHandle
  let server: MailServer
  let folder: String
  let messageLimit: Int
  let silence: Int
  /// No further message is begun after it.
  let end: ContinuousClock.Instant
  private let clock = ContinuousClock()
  /// How many messages are asked about at once. libcurl takes lines of at most 300 KB together, and counts each with all that wait behind it.
  private static let listed = 25
  /// Answers to questions about messages are short lines, one a message.
  private static let answerLimit = 64 << 20

  /// The server does not give a message away.
  struct Stuck {
    let message: IMAPAnswer.Message
    let uidValidity: Int
    let because: MailFailure
  }

  enum Outcome {
    case batch(IMAPMailbox.Batch)
    case stuck(Stuck)
  }

  init(server: MailServer, folder: String, messageLimit: Int, deadline: Int, silence: Int) throws(MailFailure) {
    handle = try CurlHandle(server: server, silence: silence)
    self.silence = silence
    self.server = server
    self.folder = folder
    self.messageLimit = messageLimit
    end = clock.now + .seconds(deadline)
  }

  func next(_ known: IMAPMailbox.Position?, _ count: Int, _ bytes: Int) throws(MailFailure) -> Outcome {
    let status = try self.status()
    var last = known?.uidValidity == status.uidValidity ? known?.uid ?? 0 : 0
    var items: [IMAPMailbox.Item] = []
    var taken = 0
    var stretch = Self.listed
    func batch(isLast: Bool) -> Outcome {
      .batch(.init(uidValidity: status.uidValidity, items: items, position: .init(uidValidity: status.uidValidity, uid: last), isLast: isLast))
    }
    while last + 1 < status.uidNext {
      let upper = min(last + stretch, status.uidNext - 1)
      let answer: String
      do {
        answer = try ask("UID FETCH \(last + 1):\(upper) (UID RFC822.SIZE INTERNALDATE)", in: folder)
      } catch  where stretch > Self.listed && error.kind == .unavailable {
        // The wide stretch was not as empty as what lay before it.
        stretch = Self.listed
        continue
      }
      let listed = IMAPAnswer.messages(answer).filter { (last + 1...upper).contains($0.uid) }
      for message in listed {
        if items.count >= count || taken >= bytes || !items.isEmpty && clock.now > end { return batch(isLast: false) }
        do {
          if let item = try fetch(message, status.uidValidity) {
            items.append(item)
            taken += item.bytes.count
          }
        } catch  where !items.isEmpty {
          // What was fetched counts; the next session begins with this one, and tells what is wrong if it still is.
          return batch(isLast: false)
        } catch {
          let because = MailFailure(error.kind, "\(error.description), at the message number \(message.uid)", uid: message.uid)
          return .stuck(Stuck(message: message, uidValidity: status.uidValidity, because: because))
        }
        last = message.uid
      }
      last = upper
      // Deleted messages leave gaps of any length.
      stretch = listed.isEmpty ? stretch * 4 : Self.listed
    }
    return batch(isLast: true)
  }

  /// The message as far as the server gives it away: its header, or the word that there is one.
  func passOver(_ stuck: Stuck) throws(MailFailure) -> IMAPMailbox.Batch {
    let message = stuck.message
    let header: [UInt8]?
    do { header = try fetch(message, stuck.uidValidity, headerOnly: true) } catch { header = nil }
    let item = IMAPMailbox.Item(
      uid: message.uid, arrivedAt: message.arrivedAt, size: message.size, bytes: header ?? [], isWhole: false, problem: stuck.because.description)
    return .init(
      uidValidity: stuck.uidValidity, items: [item], position: .init(uidValidity: stuck.uidValidity, uid: message.uid), isLast: false)
  }

  private func status() throws(MailFailure) -> IMAPAnswer.Status {
    let answer: String
    do {
      answer = try ask("STATUS \"\(folder)\" (UIDVALIDITY UIDNEXT)", in: nil)
    } catch  where error.kind == .missing {
      throw MailFailure(.missing, "the mailbox has no folder \(folder), or it may not be read")
    }
    return try IMAPAnswer.status(answer)
  }

  private func ask(_ question: String, in folder: String?) throws(MailFailure) -> String {
    try handle.text(CURLOPT_URL, server.address("imap") + "/" + (folder.map(Self.encoded) ?? ""))
    try handle.text(CURLOPT_CUSTOMREQUEST, question)
    return String(decoding: try handle.receive(limit: Self.answerLimit, silence: silence), as: UTF8.self)
  }

  /// A message, or the header of one that is too large or larger than the server said.
  private func fetch(_ message: IMAPAnswer.Message, _ uidValidity: Int) throws(MailFailure) -> IMAPMailbox.Item? {
    func item(headerOnly: Bool) throws(MailFailure) -> IMAPMailbox.Item? {
      guard let bytes = try fetch(message, uidValidity, headerOnly: headerOnly) else { return nil }
      return .init(uid: message.uid, arrivedAt: message.arrivedAt, size: message.size, bytes: bytes, isWhole: !headerOnly, problem: nil)
    }
    do {
      return try item(headerOnly: message.size > messageLimit)
    } catch  where error.kind == .tooLarge {
      return try item(headerOnly: true)
    }
  }

  /// A message or its header; nil when somebody deleted it since it was listed.
  private func fetch(_ message: IMAPAnswer.Message, _ uidValidity: Int, headerOnly: Bool) throws(MailFailure) -> [UInt8]? {
    let uid = message.uid
    let section = headerOnly ? ";SECTION=HEADER" : ""
    try handle.text(CURLOPT_CUSTOMREQUEST, nil)
    try handle.text(CURLOPT_URL, "\(server.address("imap"))/\(Self.encoded(folder));UIDVALIDITY=\(uidValidity);UID=\(uid)\(section)")
    // A server may count a message's size otherwise than it sends it, by its line ends.
    do {
      return try handle.receive(limit: messageLimit + messageLimit / 8 + 65_536, expecting: message.size, silence: silence)
    } catch  where error.kind == .missing {
      let answer = try ask("UID FETCH \(uid) (UID RFC822.SIZE INTERNALDATE)", in: folder)
      guard IMAPAnswer.messages(answer).contains(where: { $0.uid == uid }) else { return nil }
      throw error
    }
  }

  private static func encoded(_ folder: String) -> String {
    folder.utf8.map { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): String(UnicodeScalar(byte))
      default: "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
      }
    }.joined()
  }
}
