import Foundation

/// Random numbers that a seed repeats (SplitMix64).
struct SeededNumbers: RandomNumberGenerator {
  private var state: UInt64
  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}

/// What consent means, written once more and otherwise: one address with its person, told event after event. Instants are seconds since 1970.
struct ConsentModel {
  enum Speaker: Int { case self_, other, nobody }

  struct Said {
    let channel, purpose, status, recipientType: String
    let brand: Int
    let speaker: Speaker
    let at, received: Int
    let until: Int?
  }

  struct Suppression {
    let channel: String
    let brand: Int
    let isErasure, isForAll: Bool
    var isLifted = false
  }

  struct Message {
    let number: Int
    let channel, purpose: String
    let brand: Int
    let isCommercial: Bool
  }

  /// Whether the person is an organisation with a tax number, whose own addresses are merchants'.
  let isMerchant: Bool
  var said: [Said] = []
  var suppressions: [Suppression] = []
  var queued: [Message] = []

  /// The last thing said to a brand as one recipient type, going through all of it from the beginning.
  private func lastWord(_ type: String, for message: Message) -> Said? {
    var last: Said?
    for one in said where one.channel == message.channel && one.recipientType == type {
      let concerns =
        one.status == "RET"
        ? (one.brand == 0 || one.brand == message.brand) && (one.purpose == "marketing" || one.purpose == message.purpose)
        : one.brand == message.brand && one.purpose == message.purpose && one.speaker != .other
      guard concerns else { continue }
      guard let known = last else {
        last = one
        continue
      }
      if one.at > known.at || one.at == known.at && one.status == "RET" && known.status == "ONAY"
        || one.at == known.at && one.status == known.status && one.received >= known.received
      {
        last = one
      }
    }
    return last
  }

  /// - Returns: why a message may not go, or nil; and the consent that covers it, if one does.
  func refusal(of message: Message, now: Int) -> (reason: String?, covering: Said?) {
    let number = message.channel != "email"
    for one in suppressions where !one.isLifted && (one.channel != "email") == number {
      if (one.brand == 0 || one.brand == message.brand) && (one.isForAll || message.isCommercial) { return ("suppressed", nil) }
    }
    guard message.isCommercial else { return (nil, nil) }
    let instant = said.filter { $0.channel == message.channel }.map(\.at).reduce(now, max)
    let (person, merchant) = (lastWord("BIREYSEL", for: message), lastWord("TACIR", for: message))
    if person?.status == "RET" || merchant?.status == "RET" { return ("refused", nil) }
    let hasEnded = person?.until.map { $0 <= instant } ?? false
    if let person, !hasEnded { return (nil, person) }
    let isKnownMerchant =
      isMerchant
      || said.contains {
        $0.channel == message.channel && $0.recipientType == "TACIR" && $0.status == "ONAY" && $0.brand == message.brand && $0.speaker != .other
      }
    if isKnownMerchant { return (nil, merchant) }
    return (hasEnded ? "consent_ended" : "no_consent", nil)
  }
}
