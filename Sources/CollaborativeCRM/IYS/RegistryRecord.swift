package import CRMCore
package import Foundation

/// One consent as the registry takes and reports it.
package struct RegistryRecord: Sendable, Hashable {
  /// An e-mail address, or a number in E.164.
  package let recipient: String
  /// BIREYSEL or TACIR.
  package let recipientType: String
  /// ARAMA, MESAJ or EPOSTA.
  package let type: String
  /// ONAY or RET.
  package let status: String
  /// One of thirteen beginning with HS_, or one of the registry's own beginning with IYS_.
  package let source: String
  /// When it was said, to the second.
  package let consentDate: Date

  package init(recipient: String, recipientType: String, type: String, status: String, source: String, consentDate: Date) {
    self.recipient = recipient
    self.recipientType = recipientType
    self.type = type
    self.status = status
    self.source = source
    self.consentDate = consentDate
  }

  /// When it counts from. The registry tells whole seconds; a refusal counts from the end of its second, so that none is lost to a consent within it.
  package var saidAt: Date { status == "RET" ? consentDate.addingTimeInterval(0.999) : consentDate }

  /// As the registry's JSON has it; dates are in Türkiye's time.
  package var json: JSON {
    [
      "recipient": .string(recipient), "recipientType": .string(recipientType), "type": .string(type), "status": .string(status), "source": .string(source),
      "consentDate": .string(Self.text(consentDate)),
    ]
  }

  /// Nil when something is missing or is no date.
  package init?(json: JSON) {
    guard let recipient = json["recipient"]?.string, let recipientType = json["recipientType"]?.string, let type = json["type"]?.string,
      let status = json["status"]?.string, let source = json["source"]?.string, let date = json["consentDate"]?.string.flatMap(Self.date)
    else { return nil }
    self.init(recipient: recipient, recipientType: recipientType, type: type, status: status, source: source, consentDate: date)
  }

  /// "YYYY-MM-DD HH:mm:ss" at +03:00.
  package static func text(_ date: Date) -> String {
    let style = Date.ISO8601FormatStyle(timeZone: .gmt).year().month().day().dateSeparator(.dash).time(includingFractionalSeconds: false).timeSeparator(.colon)
      .dateTimeSeparator(.space)
    return date.addingTimeInterval(10_800).formatted(style)
  }

  package static func date(_ text: String) -> Date? {
    guard text.count == 19, text.dropFirst(10).first == " " else { return nil }
    return (try? Date("\(text.replacing(" ", with: "T"))Z", strategy: .iso8601))?.addingTimeInterval(-10_800)
  }
}

/// Why the registry does not take a record. The codes are H114's form; their numbers, other than H114's, are this program's until the real ones are configured.
package enum RegistryRefusal: String, Sendable, CaseIterable {
  case dateNotLater = "H101"
  case dateInFuture = "H102"
  case dateTooEarly = "H103"
  case sourceOf2015 = "H104"
  case startsWithRefusal = "H105"
  case consentUponConsent = "H106"
  case refusalUponRefusal = "H107"
  case tooOld = "H108"
  case wrongSource = "H109"
  case wrongRecipient = "H114"
  case wrongKind = "H115"
}
