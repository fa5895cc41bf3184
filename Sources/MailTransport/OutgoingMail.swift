import CGMime
package import Foundation

/// An e-mail of ours, before it is written as MIME.
package struct OutgoingMail: Sendable {
  package struct Address: Sendable {
    package let name: String?
    package let address: String

    package init(name: String?, address: String) {
      self.name = name
      self.address = address
    }
  }

  package struct File: Sendable {
    package let name: String
    /// Such as `application/pdf`.
    package let mediaType: String
    package let bytes: [UInt8]

    package init(name: String, mediaType: String, bytes: [UInt8]) {
      self.name = name
      self.mediaType = mediaType
      self.bytes = bytes
    }
  }

  /// Without angle brackets. The same for every attempt, so that a mail sent twice is one mail for whoever receives it.
  package let messageID: String
  package let from: Address
  package let to: Address
  package let subject: String
  package let date: Date
  package let text: String
  package let html: String?
  package let inReplyTo: String?
  package let references: [String]
  /// Further fields, such as List-Unsubscribe.
  package let headers: [(name: String, value: String)]
  package let files: [File]

  package init(
    messageID: String, from: Address, to: Address, subject: String, date: Date, text: String, html: String? = nil, inReplyTo: String? = nil,
    references: [String] = [], headers: [(name: String, value: String)] = [], files: [File] = []
  ) {
    self.messageID = messageID
    self.from = from
    self.to = to
    self.subject = subject
    self.date = date
    self.text = text
    self.html = html
    self.inReplyTo = inReplyTo
    self.references = references
    self.headers = headers
    self.files = files
  }

  /// The fields that others may add; all else in the header is said by the properties above.
  private static let addable: Set<String> = [
    "auto-submitted", "precedence", "feedback-id", "importance", "list-unsubscribe", "list-unsubscribe-post", "list-id", "list-help", "reply-to",
  ]

  /// The message as SMTP takes it: lines end with CR LF, every byte is ASCII.
  /// - Throws: `MailFailure` of kind `unsendable` when a field holds a line break or a name that others may not set.
  package func encoded() throws(MailFailure) -> [UInt8] {
    try check()
    g_mime_init()
    let message = g_mime_message_new(1)
    defer { cgmime_release(message) }
    let object = cgmime_object(message)
    g_mime_message_add_mailbox(message, GMIME_ADDRESS_TYPE_FROM, from.name, from.address)
    g_mime_message_add_mailbox(message, GMIME_ADDRESS_TYPE_TO, to.name, to.address)
    g_mime_message_set_subject(message, subject, "utf-8")
    let instant = g_date_time_new_from_unix_utc(gint64(date.timeIntervalSince1970))
    g_mime_message_set_date(message, instant)
    g_date_time_unref(instant)
    g_mime_message_set_message_id(message, messageID)
    if let inReplyTo { g_mime_object_set_header(object, "In-Reply-To", "<\(inReplyTo)>", nil) }
    let thread = references.isEmpty ? inReplyTo.map { [$0] } ?? [] : references
    // A long thread keeps its beginning and its end (RFC 5322, 3.6.4).
    let kept = thread.count > 20 ? [thread[0]] + thread.suffix(19) : thread
    if !kept.isEmpty { g_mime_object_set_header(object, "References", kept.map { "<\($0)>" }.joined(separator: " "), nil) }
    for (name, value) in headers { g_mime_object_set_header(object, name, value, "utf-8") }
    let body = body()
    g_mime_message_set_mime_part(message, body)
    cgmime_release(body)
    return Self.written(object)
  }

  private func check() throws(MailFailure) {
    let lines =
      [messageID, from.address, to.address, from.name ?? "", to.name ?? "", subject, inReplyTo ?? ""] + references + files.flatMap { [$0.name, $0.mediaType] }
      + headers.flatMap { [$0.name, $0.value] }
    guard lines.allSatisfy({ line in !line.unicodeScalars.contains { $0.properties.generalCategory == .control } }) else {
      throw MailFailure(.unsendable, "a field of the header holds a line break or a character that steers")
    }
    for id in [messageID] + references + [inReplyTo].compactMap(\.self) {
      guard !id.isEmpty, !id.contains(where: { $0 == "<" || $0 == ">" || $0 == " " }) else {
        throw MailFailure(.unsendable, "a message id holds a space or an angle bracket")
      }
    }
    for address in [from.address, to.address] {
      guard address.contains("@"), !address.contains(where: { " <>,;\"()".contains($0) }) else {
        throw MailFailure(.unsendable, "an address is not an e-mail address")
      }
    }
    for (name, _) in headers {
      let small = name.lowercased()
      guard
        Self.addable.contains(small)
          || small.hasPrefix("x-") && small.utf8.allSatisfy({ $0 == 0x2D || (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) })
      else { throw MailFailure(.unsendable, "the header field \(name.prefix(60)) may not be set") }
    }
  }

  private func body() -> UnsafeMutablePointer<GMimeObject>? {
    guard !files.isEmpty else { return words() }
    let mixed = g_mime_multipart_new_with_subtype("mixed")
    for part in [words()] + files.map(Self.part) {
      g_mime_multipart_add(mixed, part)
      cgmime_release(part)
    }
    return cgmime_object(mixed)
  }

  private static func part(_ file: File) -> UnsafeMutablePointer<GMimeObject>? {
    let type = file.mediaType.split(separator: "/", maxSplits: 1).map(String.init)
    // A message is sent as a file, because within a mail it may not be encoded.
    let isPlain = type.count == 2 && !["message", "multipart"].contains(type[0])
    let part = g_mime_part_new_with_type(isPlain ? type[0] : "application", isPlain ? type[1] : "octet-stream")
    g_mime_part_set_filename(part, file.name)
    g_mime_part_set_content_encoding(part, GMIME_CONTENT_ENCODING_BASE64)
    let stream = file.bytes.withUnsafeBytes { g_mime_stream_mem_new_with_buffer($0.baseAddress?.assumingMemoryBound(to: CChar.self), $0.count) }
    let content = g_mime_data_wrapper_new_with_stream(stream, GMIME_CONTENT_ENCODING_DEFAULT)
    g_mime_part_set_content(part, content)
    cgmime_release(content)
    cgmime_release(stream)
    g_mime_object_set_disposition(cgmime_object(part), "attachment")
    return cgmime_object(part)
  }

  private func words() -> UnsafeMutablePointer<GMimeObject>? {
    let plain = Self.part("plain", text)
    guard let html else { return plain }
    let alternative = g_mime_multipart_new_with_subtype("alternative")
    let rich = Self.part("html", html)
    g_mime_multipart_add(alternative, plain)
    g_mime_multipart_add(alternative, rich)
    cgmime_release(plain)
    cgmime_release(rich)
    return cgmime_object(alternative)
  }

  private static func part(_ subtype: String, _ text: String) -> UnsafeMutablePointer<GMimeObject>? {
    let part = g_mime_text_part_new_with_subtype(subtype)
    let lines = text.replacing("\r\n", with: "\n").replacing("\0", with: "\u{FFFD}")
    g_mime_text_part_set_charset(part, "utf-8")
    g_mime_text_part_set_text(part, lines.hasSuffix("\n") ? lines : lines + "\n")
    g_mime_part_set_content_encoding(cgmime_part(cgmime_object(part)), GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE)
    return cgmime_object(part)
  }

  private static func written(_ object: UnsafeMutablePointer<GMimeObject>?) -> [UInt8] {
    let format = g_mime_format_options_new()
    defer { g_mime_format_options_free(format) }
    g_mime_format_options_set_newline_format(format, GMIME_NEWLINE_FORMAT_DOS)
    let stream = g_mime_stream_mem_new()
    defer { cgmime_release(stream) }
    _ = g_mime_object_write_to_stream(object, format, stream)
    guard let array = g_mime_stream_mem_get_byte_array(cgmime_memory(stream)), let data = array.pointee.data else { return [] }
    return Array(UnsafeBufferPointer(start: data, count: Int(array.pointee.len)))
  }
}
