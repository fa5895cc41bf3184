import CRMCore
import Foundation
import PostgresClient

/// The page on which somebody says what may be sent to their address: a form of check boxes that works without a script.
struct PreferencePage {
  /// What is asked, and how it stands.
  struct Choice: RowDecodable {
    let channel, purpose, name: String
    let description: String?
    let isGranted: Bool

    init(row: PostgresRow) throws {
      channel = try row.decode("channel")
      purpose = try row.decode("purpose")
      name = try row.decode("name")
      description = try row.decode("description")
      isGranted = try row.decode("granted")
    }

    /// The name of its check box.
    var field: String { "\(channel).\(purpose)" }
  }

  /// The version of the text that people see, kept with what they say.
  static let textVersion = "preference-page-1"
  static let allPreferences = Phrase("All your preferences", tr: "Tüm tercihleriniz")

  let target: LinkTarget
  let choices: [Choice]
  let preferred: String?

  /// The offered purposes on every channel of an address, with how they stand.
  static func choices(of target: LinkTarget, in language: Language) -> SQL {
    """
    SELECT c.channel, u.code AS purpose, CASE WHEN \(language == .turkish) THEN u.name_tr ELSE u.name END AS name,
           CASE WHEN \(language == .turkish) THEN u.description_tr ELSE u.description END AS description,
           crm.may_be_sent(\(target.customerID), \(target.contactID), c.channel, \(target.address), u.code, \(target.brandID)) AS granted
      FROM unnest(\(target.channels)::text[]) WITH ORDINALITY AS c (channel, place) CROSS JOIN crm.consent_purpose u
     WHERE u.is_offered ORDER BY c.place, u.code <> 'marketing', u.code
    """
  }

  static func channelName(_ channel: String) -> Phrase {
    switch channel {
    case "email": Phrase("E-mail", tr: "E-posta")
    case "sms": Phrase("Text messages", tr: "SMS")
    case "phone": Phrase("Calls", tr: "Telefon aramaları")
    case "social": Phrase("Social media and WhatsApp", tr: "Sosyal medya ve WhatsApp")
    case "chat": Phrase("Chat", tr: "Sohbet")
    case "letter": Phrase("Letters", tr: "Mektup")
    default: Phrase("Web", tr: "Web")
    }
  }

  /// The ways a person can prefer to be reached by.
  static let preferable = ["email", "sms", "phone", "social", "letter"]

  func response(_ token: String, _ language: Language, notice: Phrase? = nil) -> Response {
    let title = Phrase("Your preferences", tr: "Tercihleriniz").text(in: language)
    let status = notice.map { "<p role=\"status\"><strong>\($0.text(in: language))</strong></p>\n" as HTML } ?? ""
    var groups: HTML = ""
    for channel in target.channels {
      groups += "<fieldset><legend>\(Self.channelName(channel).text(in: language))</legend>\n"
      for choice in choices where choice.channel == channel {
        let checked: HTML = choice.isGranted ? " checked" : ""
        groups += """
          <p><input type="checkbox" id="\(choice.field)" name="\(choice.field)" value="yes" aria-describedby="\(choice.field).text"\(checked)> <label for="\(choice.field)"><strong>\(choice.name)</strong></label><br>
          <span id="\(choice.field).text">\(choice.description ?? "")</span></p>

          """
      }
      groups += "</fieldset>\n"
    }
    let ways = ([""] + Self.preferable).map { way -> HTML in
      let chosen: HTML = way == preferred ?? "" ? " selected" : ""
      let name = way.isEmpty ? Phrase("No preference", tr: "Fark etmez") : Self.channelName(way)
      return "<option value=\"\(way)\"\(chosen)>\(name.text(in: language))</option>"
    }
    let intro = Phrase(
      "What may \(target.brandName ?? "we") send to \(target.maskedAddress)? You can change your mind at any time; refusing is free.",
      tr:
        "\(target.brandName.map { "\($0), " } ?? "")\(target.maskedAddress) adresine ne gönderilebilir? Kararınızı her zaman değiştirebilirsiniz; reddetmek ücretsizdir."
    )
    let recorded = Phrase(
      "The time, your network address and your browser's name are recorded with your answer, as proof.",
      tr: "Yanıtınızla birlikte zaman, ağ adresiniz ve tarayıcı bilginiz kanıt olarak kaydedilir.")
    let content: HTML = """
      \(status)<p>\(intro.text(in: language))</p>
      <form method="post" action="/p/\(token)">
      \(groups)<p><label for="preferred">\(Phrase("How you prefer to be reached", tr: "Size nasıl ulaşalım").text(in: language))</label><br>
      <select id="preferred" name="preferred_channel">\(ways)</select></p>
      <p><button type="submit">\(Phrase("Save", tr: "Kaydet").text(in: language))</button></p>
      </form>
      <form method="post" action="/p/\(token)">
      <p><button type="submit" name="refuse_all" value="yes">\(Phrase("Refuse everything", tr: "Hepsini reddet").text(in: language))</button></p>
      </form>
      <p>\(recorded.text(in: language))</p>

      """
    return PublicPage(title: title, content: content, language: language).response
  }

  /// A link that opens nothing.
  static func unknown(_ request: Request) -> Response {
    PublicPage(
      Problem(
        404, "unknown-link", Phrase("This link is not valid", tr: "Bu bağlantı geçerli değil"),
        detail: Phrase(
          "Nothing is behind this address. Perhaps it was not copied whole, or it has expired.",
          tr: "Bu adreste bir şey yok. Adres eksik kopyalanmış ya da süresi dolmuş olabilir.")),
      Language.preferred(in: request.headers["accept-language"]) ?? .turkish
    ).response
  }
}
