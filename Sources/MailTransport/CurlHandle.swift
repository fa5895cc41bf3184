import CCurl
import Foundation

/// One conversation with a server. It stays on the thread that made it.
final class CurlHandle {
  private let handle: UnsafeMutableRawPointer
  private var lists: [UnsafeMutablePointer<curl_slist>] = []
  private static let isReady = ccurl_start() == CURLE_OK

  /// The last line in which the server refused something. It lives as long as the handle, because even saying goodbye is answered.
  private final class Reply {
    var line: [UInt8] = []
  }
  private let reply = Reply()
  private let patience = Patience()
  /// Slower exchanges than this many bytes a second end all the same.
  private static let slowest = 10_000

  /// - Parameter silence: for how many seconds a server may say nothing and take nothing; making the connection takes at most 15 of them.
  init(server: MailServer, silence: Int) throws(MailFailure) {
    guard Self.isReady, let made = curl_easy_init() else { throw MailFailure(.unavailable, "the mail library could not start") }
    handle = made
    try check(
      ccurl_set_progress(
        handle,
        { context, _, received, _, sent in
          guard let context else { return 0 }
          return Unmanaged<Patience>.fromOpaque(context).takeUnretainedValue().isOver(received, sent) ? 1 : 0
        }, Unmanaged.passUnretained(patience).toOpaque()))
    // The patience above is the one that counts.
    try number(CURLOPT_SERVER_RESPONSE_TIMEOUT, 3_600)
    try check(
      ccurl_set_transfer(
        handle, CURLOPT_HEADERFUNCTION,
        { bytes, size, count, context in
          guard let bytes, let context else { return 0 }
          let line = UnsafeRawBufferPointer(start: bytes, count: min(size * count, 200))
          if let first = line.first, first == UInt8(ascii: "4") || first == UInt8(ascii: "5") {
            Unmanaged<Reply>.fromOpaque(context).takeUnretainedValue().line = Array(line)
          }
          return size * count
        }, CURLOPT_HEADERDATA, Unmanaged.passUnretained(reply).toOpaque()))
    try number(CURLOPT_NOSIGNAL, 1)
    try number(CURLOPT_CONNECTTIMEOUT, min(15, silence))
    try number(CURLOPT_SSLVERSION, Int(CURL_SSLVERSION_TLSv1_2))
    try text(CURLOPT_PROTOCOLS_STR, "imap,imaps,smtp,smtps")
    try text(CURLOPT_NETRC, nil)
    if server.security == .startTLS { try number(CURLOPT_USE_SSL, Int(CURLUSESSL_ALL.rawValue)) }
    if let file = server.authorities { try text(CURLOPT_CAINFO, file) }
    if let user = server.user {
      try text(CURLOPT_USERNAME, user)
      try text(CURLOPT_PASSWORD, server.password ?? "")
    }
  }

  deinit {
    curl_easy_cleanup(handle)
    for list in lists { curl_slist_free_all(list) }
  }

  func number(_ option: CURLoption, _ value: Int) throws(MailFailure) { try check(ccurl_set_number(handle, option, value)) }
  func size(_ option: CURLoption, _ value: Int) throws(MailFailure) { try check(ccurl_set_size(handle, option, curl_off_t(value))) }
  func text(_ option: CURLoption, _ value: String?) throws(MailFailure) { try check(ccurl_set_text(handle, option, value)) }

  func list(_ option: CURLoption, _ values: [String]) throws(MailFailure) {
    var first: UnsafeMutablePointer<curl_slist>?
    for value in values {
      guard let longer = curl_slist_append(first, value) else { throw MailFailure(.unavailable, "there is no memory left") }
      first = longer
    }
    try check(ccurl_set_list(handle, option, first))
    if let first { lists.append(first) }
  }

  /// The reply code of the last answer; 0 when there was none.
  var responseCode: Int { ccurl_response_code(handle) }

  /// What an answer is gathered in, up to a limit.
  private final class Collector {
    var bytes: [UInt8] = []
    let limit: Int
    var isOver = false

    init(limit: Int) { self.limit = limit }
  }

  /// Begins an exchange of about so many bytes.
  /// - Parameter silence: for how many seconds nothing may move.
  private func begin(_ bytes: Int, silence: Int) throws(MailFailure) {
    patience.begin(silence)
    try number(CURLOPT_TIMEOUT, 10 * silence + bytes / Self.slowest)
  }

  /// Exchanges what was set and returns what was answered.
  /// - Parameters:
  ///   - expecting: about how many bytes will come.
  ///   - silence: for how many seconds nothing may come.
  /// - Throws: `MailFailure` of kind `tooLarge` beyond `limit` bytes.
  func receive(limit: Int, expecting: Int = 0, silence: Int) throws(MailFailure) -> [UInt8] {
    try begin(expecting, silence: silence)
    let collector = Collector(limit: limit)
    let code = withExtendedLifetime(collector) {
      let set = ccurl_set_transfer(
        handle, CURLOPT_WRITEFUNCTION,
        { bytes, size, count, context in
          guard let bytes, let context else { return 0 }
          let collector = Unmanaged<Collector>.fromOpaque(context).takeUnretainedValue()
          guard collector.bytes.count + size * count <= collector.limit else {
            collector.isOver = true
            return 0
          }
          collector.bytes.append(contentsOf: UnsafeRawBufferPointer(start: bytes, count: size * count))
          return size * count
        }, CURLOPT_WRITEDATA, Unmanaged.passUnretained(collector).toOpaque())
      return set == CURLE_OK ? curl_easy_perform(handle) : set
    }
    if collector.isOver { throw MailFailure(.tooLarge, "the server sent more than \(limit) bytes") }
    try check(code)
    return collector.bytes
  }

  private final class Source {
    let bytes: [UInt8]
    let patience: Patience
    var position = 0

    init(_ bytes: [UInt8], _ patience: Patience) {
      self.bytes = bytes
      self.patience = patience
    }
  }

  /// Hands the bytes over.
  /// - Parameter silence: for how many seconds the server may take nothing. Once it has the whole message it may think five times as long: whoever hangs up
  ///   then sends the message twice (RFC 5321, 4.5.3.2.6).
  func send(_ bytes: [UInt8], silence: Int) throws(MailFailure) {
    try begin(bytes.count, silence: silence)
    let source = Source(bytes, patience)
    reply.line = []
    try number(CURLOPT_UPLOAD, 1)
    try size(CURLOPT_INFILESIZE_LARGE, bytes.count)
    let code = withExtendedLifetime(source) {
      let set = ccurl_set_transfer(
        handle, CURLOPT_READFUNCTION,
        { buffer, size, count, context in
          guard let buffer, let context else { return 0 }
          let source = Unmanaged<Source>.fromOpaque(context).takeUnretainedValue()
          let piece = source.bytes[source.position...].prefix(size * count)
          UnsafeMutableRawBufferPointer(start: buffer, count: size * count).copyBytes(from: piece)
          source.position += piece.count
          if !piece.isEmpty, source.position == source.bytes.count { source.patience.begin(5 * source.patience.silence) }
          return piece.count
        }, CURLOPT_READDATA, Unmanaged.passUnretained(source).toOpaque())
      return set == CURLE_OK ? curl_easy_perform(handle) : set
    }
    try check(code, isOfMessage: code == CURLE_SEND_ERROR || source.position > 0)
  }

  /// What the last refusal said in figures beside its reply code.
  private var status: String? {
    let words = String(decoding: reply.line, as: UTF8.self).split(maxSplits: 2) { $0 == " " || $0 == "-" || $0.isNewline }
    guard words.count > 1, words[0].count == 3, words[0].allSatisfy(\.isNumber) else { return nil }
    return words[1].wholeMatch(of: #/[245]\.[0-9]{1,3}\.[0-9]{1,3}/#).map { String($0.output) }
  }

  /// Replies that say something of us, not of the message: bad order, a host that takes no mail, signing in.
  private static let repliesOfAccounts: Set<Int> = [502, 503, 521, 530, 534, 535, 538]

  /// - Parameter isOfMessage: whether a refusal concerns the message that is being handed over, not the conversation before it.
  private func check(_ code: CURLcode, isOfMessage: Bool = false) throws(MailFailure) {
    guard code != CURLE_OK else { return }
    if code == CURLE_ABORTED_BY_CALLBACK || code == CURLE_OPERATION_TIMEDOUT { ccurl_hang_up(handle) }
    if code == CURLE_ABORTED_BY_CALLBACK { throw MailFailure(.unavailable, "the server has said nothing for \(patience.silence) seconds") }
    let reply = responseCode
    let status = status
    let words = String(cString: curl_easy_strerror(code)) + (reply > 0 ? " (reply \(reply)\(status.map { " \($0)" } ?? ""))" : "")
    switch code {
    case CURLE_LOGIN_DENIED, CURLE_AUTH_ERROR: throw MailFailure(.signInRefused, words)
    case CURLE_PEER_FAILED_VERIFICATION, CURLE_USE_SSL_FAILED, CURLE_SSL_CACERT_BADFILE: throw MailFailure(.unsafe, words)
    case CURLE_REMOTE_FILE_NOT_FOUND, CURLE_QUOTE_ERROR: throw MailFailure(.missing, words)
    case _ where isOfMessage && (500..<600).contains(reply) && !Self.repliesOfAccounts.contains(reply): throw MailFailure(.refused, words, status: status)
    default: throw MailFailure(.unavailable, words)
    }
  }
}
