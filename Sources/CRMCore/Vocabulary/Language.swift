/// A language that people are answered in.
package enum Language: String, Sendable, CaseIterable {
  case english = "en"
  case turkish = "tr"

  /// Chooses the language of an answer from an `Accept-Language` header (RFC 9110 §12.5.4); English when neither is asked for.
  package init(acceptLanguage header: String?) {
    self = Language.preferred(in: header) ?? .english
  }

  /// The language that an `Accept-Language` header asks for; nil when it asks for none that the product speaks.
  package static func preferred(in header: String?) -> Language? {
    var best: (language: Language, quality: Double)?
    for item in (header ?? "").split(separator: ",") {
      let parts = item.split(separator: ";").map { $0.trimmingPrefix(while: \.isWhitespace) }
      guard let tag = parts.first?.prefix(2).lowercased(), let language = Language(rawValue: tag) else {
        continue
      }
      let quality = parts.dropFirst().first { $0.hasPrefix("q=") }.flatMap { Double($0.dropFirst(2)) } ?? 1
      if quality > (best?.quality ?? 0) { best = (language, quality) }
    }
    return best?.language
  }
}

/// A sentence in every language that the product speaks.
package struct Phrase: Sendable, Hashable {
  package let english: String
  package let turkish: String

  package init(_ english: String, tr turkish: String) {
    self.english = english
    self.turkish = turkish
  }

  package func text(in language: Language) -> String {
    switch language {
    case .english: english
    case .turkish: turkish
    }
  }
}
