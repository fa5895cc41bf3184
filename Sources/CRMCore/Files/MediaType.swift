/// What bytes are, judged by the bytes alone: by the signatures of what mails carry. A table of our own and not libmagic, because what is judged comes from
/// strangers and is never opened here: it is told apart, stored and handed out as a download, for which these types are enough, and a parser of hundreds of
/// formats in the gateway would be more to attack than to gain.
package enum MediaType {
  /// How many bytes of the beginning `of` looks at.
  static let headLength = 4_096

  static let unknown = "application/octet-stream"

  /// Programs, by whatever name: nobody uploads them.
  package static let executables: Set<String> = [
    "application/vnd.microsoft.portable-executable", "application/x-elf", "application/x-mach-binary", "application/x-msi", "text/x-shellscript",
  ]

  /// What is told by a mark and may be text throughout.
  private static let textual: Set<String> = ["application/pdf", "application/rtf", "application/postscript", "text/x-shellscript"]

  private static let signatures: [(at: Int, bytes: [UInt8], type: String)] = [
    (0, Array("%PDF-".utf8), "application/pdf"),
    (0, [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A], "image/png"),
    (0, [0xFF, 0xD8, 0xFF], "image/jpeg"),
    (0, Array("GIF87a".utf8), "image/gif"), (0, Array("GIF89a".utf8), "image/gif"),
    (8, Array("WEBP".utf8), "image/webp"), (8, Array("WAVE".utf8), "audio/wav"), (8, Array("AVI ".utf8), "video/x-msvideo"),
    (0, [0x49, 0x49, 0x2A, 0x00], "image/tiff"), (0, [0x4D, 0x4D, 0x00, 0x2A], "image/tiff"),
    (0, Array("BM".utf8), "image/bmp"), (0, [0x00, 0x00, 0x01, 0x00], "image/vnd.microsoft.icon"),
    (4, Array("ftyphei".utf8), "image/heic"), (4, Array("ftypmif1".utf8), "image/heif"), (4, Array("ftypavif".utf8), "image/avif"),
    (4, Array("ftypqt".utf8), "video/quicktime"), (4, Array("ftypM4A".utf8), "audio/mp4"), (4, Array("ftyp".utf8), "video/mp4"),
    (0, [0x1A, 0x45, 0xDF, 0xA3], "video/webm"), (0, Array("OggS".utf8), "audio/ogg"), (0, Array("fLaC".utf8), "audio/flac"),
    (0, Array("ID3".utf8), "audio/mpeg"), (0, [0xFF, 0xFB], "audio/mpeg"), (0, [0xFF, 0xF3], "audio/mpeg"), (0, Array("#!AMR".utf8), "audio/amr"),
    (0, [0x1F, 0x8B], "application/gzip"), (0, Array("BZh".utf8), "application/x-bzip2"), (0, [0xFD, 0x37, 0x7A, 0x58, 0x5A, 0x00], "application/x-xz"),
    (0, [0x37, 0x7A, 0xBC, 0xAF, 0x27, 0x1C], "application/x-7z-compressed"), (0, Array("Rar!\u{1A}\u{07}".utf8), "application/vnd.rar"),
    (0, [0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1], "application/x-ole-storage"),
    (0, Array("{\\rtf".utf8), "application/rtf"), (0, Array("%!PS".utf8), "application/postscript"),
    (0, Array("MZ".utf8), "application/vnd.microsoft.portable-executable"), (0, [0x7F, 0x45, 0x4C, 0x46], "application/x-elf"),
    (0, [0xFE, 0xED, 0xFA, 0xCE], "application/x-mach-binary"), (0, [0xFE, 0xED, 0xFA, 0xCF], "application/x-mach-binary"),
    (0, [0xCF, 0xFA, 0xED, 0xFE], "application/x-mach-binary"), (0, [0xCA, 0xFE, 0xBA, 0xBE], "application/x-mach-binary"),
    (0, Array("#!".utf8), "text/x-shellscript"),
  ]

  /// - Parameter head: the beginning of a file, up to `headLength` bytes.
  package static func of(_ head: [UInt8]) -> String {
    if starts(head, with: [0x50, 0x4B, 0x03, 0x04], at: 0) || starts(head, with: [0x50, 0x4B, 0x05, 0x06], at: 0) { return archive(head) }
    let plain = text(head)
    for signature in signatures where starts(head, with: signature.bytes, at: signature.at) {
      if signature.at == 8, !starts(head, with: Array("RIFF".utf8), at: 0) { continue }
      // "BMW" and "MZ" begin letters, too: what is text throughout has only the marks that text has.
      if plain != unknown, !textual.contains(signature.type) { continue }
      return signature.type
    }
    return plain
  }

  private static func starts(_ head: [UInt8], with bytes: [UInt8], at place: Int) -> Bool {
    head.count >= place + bytes.count && head[place..<place + bytes.count].elementsEqual(bytes)
  }

  /// Office documents are ZIP archives that name their parts first.
  private static func archive(_ head: [UInt8]) -> String {
    let text = String(decoding: head, as: Unicode.ASCII.self)
    if starts(head, with: Array("mimetypeapplication/".utf8), at: 30) {
      let name = text.unicodeScalars.dropFirst(38).prefix {
        $0.isASCII && ($0.properties.isAlphabetic || ("0"..."9").contains($0) || "/.-+".unicodeScalars.contains($0))
      }
      let type = String(String.UnicodeScalarView(name))
      // The next entry's mark follows at once, without a space.
      return type.hasSuffix("PK") ? String(type.dropLast(2)) : type
    }
    let kinds = [("word/", "wordprocessingml.document"), ("xl/", "spreadsheetml.sheet"), ("ppt/", "presentationml.presentation")]
    if text.contains("[Content_Types].xml") || text.contains("_rels/.rels") {
      for (part, kind) in kinds where text.contains(part) { return "application/vnd.openxmlformats-officedocument.\(kind)" }
    }
    return "application/zip"
  }

  /// Text is UTF-8 without control characters; a character may be cut off where the beginning ends.
  private static func text(_ head: [UInt8]) -> String {
    guard !head.isEmpty else { return "text/plain" }
    guard head.allSatisfy({ $0 >= 0x20 && $0 != 0x7F || [0x09, 0x0A, 0x0C, 0x0D].contains($0) }) else { return unknown }
    let isText = (0...3).contains { cut in head.count > cut && String(validating: head.dropLast(cut), as: UTF8.self) != nil }
    guard isText else { return unknown }
    let start = String(decoding: head.prefix(512), as: UTF8.self).drop { $0.isWhitespace || $0 == "\u{FEFF}" }.lowercased()
    if start.hasPrefix("<!doctype html") || start.hasPrefix("<html") || start.contains("<script") { return "text/html" }
    if start.hasPrefix("<svg") || start.hasPrefix("<?xml") && start.contains("<svg") { return "image/svg+xml" }
    if start.hasPrefix("<?xml") { return "application/xml" }
    if start.hasPrefix("begin:vcalendar") { return "text/calendar" }
    if start.hasPrefix("begin:vcard") { return "text/vcard" }
    return "text/plain"
  }
}
