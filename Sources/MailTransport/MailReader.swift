import CGMime
import Crypto
import Foundation

/// Reads e-mails with GMime. Whatever comes, something is returned: what cannot be understood is kept as text or as a file, and said in `defects`.
package enum MailReader {
  /// Longer bodies become files as well.
  package static let bodyLimit = 500_000

  private static let isReady: Void = g_mime_init()

  /// - Parameter bytes: a message as IMAP gives it.
  package static func read(_ bytes: [UInt8]) -> ReceivedMail {
    _ = isReady
    guard let message = parse(bytes) else { return unreadable(bytes) }
    defer { cgmime_release(message) }
    let header = MailHeader(message)
    var content = Content()
    if let root = g_mime_message_get_mime_part(message) { content.walk(root, depth: 0) }
    return mail(header, content, bytes)
  }

  private static func parse(_ bytes: [UInt8]) -> OpaqueMessage? {
    guard !bytes.isEmpty, let options = g_mime_parser_options_new() else { return nil }
    defer { g_mime_parser_options_free(options) }
    let names = ["utf-8", "windows-1254"].map { (name: String) in strdup(name) }
    defer { for name in names { free(name) } }
    var charsets: [UnsafePointer<CChar>?] = names.map { UnsafePointer($0) } + [nil]
    charsets.withUnsafeMutableBufferPointer { g_mime_parser_options_set_fallback_charsets(options, $0.baseAddress) }
    let stream = bytes.withUnsafeBytes { g_mime_stream_mem_new_with_buffer($0.baseAddress?.assumingMemoryBound(to: CChar.self), $0.count) }
    defer { cgmime_release(stream) }
    let parser = g_mime_parser_new_with_stream(stream)
    defer { cgmime_release(parser) }
    return g_mime_parser_construct_message(parser, options)
  }

  /// A message that even GMime makes nothing of: its bytes as text.
  private static func unreadable(_ bytes: [UInt8]) -> ReceivedMail {
    var defects = ["the message cannot be read as an e-mail"]
    let text = TextDecoder.text(bytes, charset: nil, defects: &defects)
    return ReceivedMail(
      messageID: madeUpID(bytes), inReplyTo: nil, references: [], from: nil, replyTo: nil, recipients: [], subject: "", date: nil,
      text: String(text.prefix(bodyLimit)), html: nil,
      attachments: [.init(name: "message.eml", mediaType: "message/rfc822", contentID: nil, bytes: bytes)], kind: .message, defects: defects)
  }

  private static func madeUpID(_ bytes: [UInt8]) -> String {
    SHA256.hash(data: bytes).prefix(16).map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined() + "@content.invalid"
  }

  private static func mail(_ header: MailHeader, _ content: Content, _ bytes: [UInt8]) -> ReceivedMail {
    var attachments = content.attachments
    let html = content.html.isEmpty ? nil : content.html.joined(separator: "\n<hr>\n")
    var text = content.text.joined(separator: "\n\n")
    if text.allSatisfy(\.isWhitespace), let html { text = HTMLCleaner.text(html) }
    if text.utf8.count > bodyLimit {
      attachments.append(.init(name: "body.txt", mediaType: "text/plain", contentID: nil, bytes: Array(text.utf8)))
      text = String(text.prefix(bodyLimit / 4))
    }
    var clean: String?
    if let html {
      if html.utf8.count > bodyLimit * 4 {
        attachments.append(.init(name: "body.html", mediaType: "text/html", contentID: nil, bytes: Array(html.utf8)))
      } else {
        clean = HTMLCleaner.clean(html)
      }
    }
    return ReceivedMail(
      messageID: header.messageID ?? madeUpID(bytes), inReplyTo: header.inReplyTo, references: header.references, from: header.from,
      replyTo: header.replyTo, recipients: header.recipients, subject: header.subject, date: header.date, text: text, html: clean,
      attachments: attachments, kind: content.isComplaint ? .complaint(originalMessageID: content.originalMessageID) : header.kind(report: content.report),
      defects: header.defects + content.defects + (bytes.contains(0) ? ["the message holds NUL bytes, behind which a line may have been lost"] : []))
  }
}

typealias OpaqueMessage = UnsafeMutablePointer<GMimeMessage>

/// What the parts of a message come to.
private struct Content {
  var text: [String] = []
  var html: [String] = []
  var attachments: [ReceivedMail.Attachment] = []
  var defects: [String] = []
  var report: DeliveryReport?
  private var reported: [DeliveryReport.Recipient] = []
  private(set) var originalMessageID: String?
  /// Whether it is a report of abuse.
  private(set) var isComplaint = false
  private var parts = 0

  /// The most parts that are looked into, and how deep: mails made to exhaust us have more.
  private static let partLimit = 1_000
  private static let depthLimit = 60

  mutating func walk(_ object: UnsafeMutablePointer<GMimeObject>, depth: Int) {
    parts += 1
    guard parts <= Self.partLimit, depth <= Self.depthLimit else {
      note("the message has more parts, or deeper ones, than are looked into")
      attach(object, name: "part-\(parts).eml")
      return
    }
    if cgmime_is_multipart(object) != 0 {
      let multipart = cgmime_multipart(object)
      let count = g_mime_multipart_get_count(multipart)
      for index in 0..<max(0, count) {
        guard parts <= Self.partLimit else { return note("the message has more parts than are looked into") }
        if let child = g_mime_multipart_get_part(multipart, index) { walk(child, depth: depth + 1) }
      }
      if count <= 0 { note("a multipart has no parts") }
      finishReport(object)
    } else if cgmime_is_message_part(object) != 0 {
      if let inner = g_mime_message_part_get_message(cgmime_message_part(object)) {
        if originalMessageID == nil { originalMessageID = MailHeader.messageID(inner) }
      }
      attach(object, name: "message-\(parts).eml")
    } else if cgmime_is_part(object) != 0 {
      leaf(object)
    } else {
      attach(object, name: "part-\(parts).eml")
    }
  }

  private mutating func leaf(_ object: UnsafeMutablePointer<GMimeObject>) {
    let part = cgmime_part(object)
    let type = MediaType(object)
    let bytes = Self.bytes(of: part)
    let fileName = g_mime_part_get_filename(part).map { String(cString: $0) }
    let disposition = g_mime_object_get_disposition(object).map { String(cString: $0).lowercased() }
    if type.name == "message/delivery-status" || type.name == "message/global-delivery-status" {
      reported += DeliveryReport.recipients(TextDecoder.text(bytes, charset: "utf-8", defects: &defects))
    } else if type.name == "message/feedback-report" {
      isComplaint = DeliveryReport.isComplaint(TextDecoder.text(bytes, charset: "utf-8", defects: &defects))
    } else if type.name == "text/rfc822-headers" || type.name == "message/rfc822-headers" {
      if originalMessageID == nil { originalMessageID = DeliveryReport.messageID(inHeaders: String(decoding: bytes, as: UTF8.self)) }
    }
    let isBody = fileName == nil && disposition != "attachment"
    switch type.name {
    case "text/plain" where isBody: text.append(TextDecoder.text(bytes, charset: type.charset, defects: &defects))
    case "text/html" where isBody:
      html.append(TextDecoder.text(bytes, charset: type.charset ?? TextDecoder.charsetOfHTML(bytes), defects: &defects))
    case "text/enriched" where isBody, "text/richtext" where isBody, "message/delivery-status" where isBody:
      text.append(TextDecoder.text(bytes, charset: type.charset, defects: &defects))
    default:
      let contentID = g_mime_object_get_content_id(object).map { String(cString: $0) }
      attachments.append(
        .init(name: Self.safe(fileName) ?? "part-\(parts).\(type.suffix)", mediaType: type.name, contentID: contentID, bytes: bytes))
    }
  }

  private mutating func finishReport(_ object: UnsafeMutablePointer<GMimeObject>) {
    guard report == nil, MediaType(object).name == "multipart/report", !reported.isEmpty else { return }
    report = DeliveryReport(recipients: reported, originalMessageID: originalMessageID)
  }

  private mutating func note(_ defect: String) {
    if !defects.contains(defect) { defects.append(defect) }
  }

  /// Keeps a part as it is written.
  private mutating func attach(_ object: UnsafeMutablePointer<GMimeObject>, name: String) {
    let stream = g_mime_stream_mem_new()
    defer { cgmime_release(stream) }
    // A message within a message is kept as that message, without the header of the part it stands in.
    if cgmime_is_message_part(object) != 0, let inner = g_mime_message_part_get_message(cgmime_message_part(object)) {
      _ = g_mime_object_write_to_stream(cgmime_object(inner), nil, stream)
    } else {
      _ = g_mime_object_write_to_stream(object, nil, stream)
    }
    attachments.append(.init(name: name, mediaType: "message/rfc822", contentID: nil, bytes: Self.bytes(in: stream)))
  }

  private static func bytes(of part: UnsafeMutablePointer<GMimePart>?) -> [UInt8] {
    guard let content = g_mime_part_get_content(part) else { return [] }
    let stream = g_mime_stream_mem_new()
    defer { cgmime_release(stream) }
    _ = g_mime_data_wrapper_write_to_stream(content, stream)
    return bytes(in: stream)
  }

  private static func bytes(in stream: UnsafeMutablePointer<GMimeStream>?) -> [UInt8] {
    guard let array = g_mime_stream_mem_get_byte_array(cgmime_memory(stream)), let data = array.pointee.data else { return [] }
    return Array(UnsafeBufferPointer(start: data, count: Int(array.pointee.len)))
  }

  /// A name without folders and without characters that mean something to a terminal or a file system.
  private static func safe(_ name: String?) -> String? {
    guard let last = name?.split(whereSeparator: { $0 == "/" || $0 == "\\" }).last else { return nil }
    let scalars = last.unicodeScalars.filter { scalar in
      switch scalar.properties.generalCategory {
      case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse: false
      default: true
      }
    }
    var text = String(String.UnicodeScalarView(scalars)).trimmingCharacters(in: .whitespaces)
    while text.hasPrefix(".") { text.removeFirst() }
    return text.isEmpty ? nil : String(text.suffix(200))
  }
}

/// The type of a part.
private struct MediaType {
  /// Such as `text/plain`, in small letters.
  let name: String
  let charset: String?

  init(_ object: UnsafeMutablePointer<GMimeObject>) {
    guard let type = g_mime_object_get_content_type(object), let media = g_mime_content_type_get_media_type(type) else {
      name = "text/plain"
      charset = nil
      return
    }
    let subtype = g_mime_content_type_get_media_subtype(type).map { String(cString: $0) } ?? "octet-stream"
    let full = "\(String(cString: media))/\(subtype)".lowercased()
    let isToken = full.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F } && full.utf8.count <= 100
    name = isToken ? full : "application/octet-stream"
    charset = g_mime_content_type_get_parameter(type, "charset").map { String(cString: $0) }
  }

  /// The end of a file's name that is made up.
  var suffix: String {
    switch name {
    case "text/plain": "txt"
    case "text/html": "html"
    case "text/calendar": "ics"
    case "image/jpeg": "jpg"
    case "image/png": "png"
    case "image/gif": "gif"
    case "application/pdf": "pdf"
    case "message/rfc822": "eml"
    default: "bin"
    }
  }
}
