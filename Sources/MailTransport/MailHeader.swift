import CGMime
import Foundation

/// What the header of a message says.
struct MailHeader {
  let messageID: String?
  let inReplyTo: String?
  let references: [String]
  let from, replyTo: ReceivedMail.Address?
  let recipients: [ReceivedMail.Address]
  let subject: String
  let date: Date?
  private(set) var defects: [String] = []

  private static let recipientLimit = 200
  private let autoSubmitted, precedence, returnPath, failedRecipients: String?
  private let saysItAnswersByItself: Bool

  init(_ message: OpaqueMessage) {
    let object = cgmime_object(message)
    func value(_ name: String) -> String? {
      g_mime_object_get_header(object, name).map { TextDecoder.line(String(cString: $0)) }
    }
    messageID = Self.messageID(message)
    inReplyTo = value("In-Reply-To").flatMap { Self.ids($0).first }
    references = value("References").map { Array(Self.ids($0).suffix(100)) } ?? []
    let senders = Self.addresses(g_mime_message_get_from(message)) + Self.addresses(g_mime_message_get_sender(message))
    from = senders.first
    // What a list writes there is the list itself, which no answer to a person is for.
    let isOfList = ["List-Id", "List-Post", "Mailing-List"].contains { value($0) != nil } || value("Precedence")?.lowercased() == "list"
    let answered = Self.addresses(g_mime_message_get_reply_to(message))
    replyTo = answered.count == 1 && !isOfList ? answered.first : nil
    let named = Self.addresses(g_mime_message_get_to(message)) + Self.addresses(g_mime_message_get_cc(message))
    recipients = Array(named.prefix(Self.recipientLimit))
    subject = String(TextDecoder.line(g_mime_message_get_subject(message).map { String(cString: $0) } ?? "").prefix(998))
    date = g_mime_message_get_date(message).map { Date(timeIntervalSince1970: Double(g_date_time_to_unix($0))) }
    autoSubmitted = value("Auto-Submitted")?.lowercased()
    precedence = value("Precedence")?.lowercased()
    returnPath = value("Return-Path")
    failedRecipients = value("X-Failed-Recipients")
    let answers = ["X-Autoreply", "X-Autorespond", "X-Autoresponder", "X-Auto-Reply"].contains { value($0) != nil }
    saysItAnswersByItself = answers
    if from == nil { defects.append("the message does not say who sent it") }
    if messageID == nil { defects.append("the message has no id") }
    if named.count > recipients.count { defects.append("the message names \(named.count) recipients, more than are listed") }
  }

  /// - Parameter report: what a delivery report within the message says.
  func kind(report: DeliveryReport?) -> ReceivedMail.Kind {
    if let report {
      return report.failures.isEmpty ? .autoReply : .bounce(report)
    }
    let sender = from?.address.lowercased() ?? ""
    let isFromMailSystem = returnPath == "<>" || sender.hasPrefix("mailer-daemon@") || sender.hasPrefix("postmaster@")
    if isFromMailSystem, let failedRecipients {
      let failed = failedRecipients.split { $0 == "," || $0 == " " }.map {
        DeliveryReport.Recipient(address: String($0).lowercased(), action: "failed", status: nil, diagnostic: nil)
      }
      return .bounce(DeliveryReport(recipients: failed, originalMessageID: inReplyTo ?? references.last))
    }
    if let autoSubmitted, !autoSubmitted.hasPrefix("no") { return .autoReply }
    if let precedence, ["bulk", "junk", "auto_reply"].contains(precedence) { return .autoReply }
    return saysItAnswersByItself || returnPath == "<>" || sender.hasPrefix("mailer-daemon@") ? .autoReply : .message
  }

  static func messageID(_ message: OpaqueMessage) -> String? {
    guard let text = g_mime_message_get_message_id(message).map({ TextDecoder.line(String(cString: $0)) }) else { return nil }
    return id(text)
  }

  private static func id(_ text: some StringProtocol) -> String? {
    let id = text.trimmingCharacters(in: CharacterSet(charactersIn: "<> \t"))
    return id.isEmpty || id.utf8.count > 900 ? nil : id
  }

  /// The ids in a field such as References; a field without angle brackets is taken word by word.
  private static func ids(_ text: String) -> [String] {
    let pieces = text.contains("<") ? text.split(separator: "<").compactMap { $0.split(separator: ">").first } : text.split(separator: " ")
    return pieces.compactMap { $0.contains("@") ? id($0) : nil }
  }

  private static func addresses(_ list: UnsafeMutablePointer<InternetAddressList>?, depth: Int = 0) -> [ReceivedMail.Address] {
    guard let list, depth < 3 else { return [] }
    var found: [ReceivedMail.Address] = []
    for index in 0..<max(0, internet_address_list_length(list)) {
      guard let item = internet_address_list_get_address(list, index) else { continue }
      if cgmime_is_mailbox(item) != 0, let text = internet_address_mailbox_get_addr(cgmime_mailbox(item)) {
        let address = TextDecoder.line(String(cString: text))
        let name = internet_address_get_name(item).map { TextDecoder.line(String(cString: $0)) }
        if !address.isEmpty, address.utf8.count <= 320 {
          found.append(.init(name: name.flatMap { $0.isEmpty ? nil : String($0.prefix(200)) }, address: address))
        }
      } else if cgmime_is_group(item) != 0 {
        found += addresses(internet_address_group_get_members(cgmime_group(item)), depth: depth + 1)
      }
    }
    return found
  }
}
