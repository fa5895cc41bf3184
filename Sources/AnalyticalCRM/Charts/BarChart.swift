package import CRMCore
import Foundation

/// Horizontal bars as SVG: one a group, its label at the left, its number at the end, and the same figures as text for those who cannot see it.
package struct BarChart: Sendable {
  package struct Bar: Sendable {
    package let label: String
    /// Decides the length; never negative.
    package let value: Double
    /// What stands at its end, in the reader's notation.
    package let caption: String

    package init(label: String, value: Double, caption: String) {
      self.label = label
      self.value = value
      self.caption = caption
    }
  }

  let title: String
  let bars: [Bar]
  /// Said in the place of bars when there are none.
  let empty: Phrase
  let language: Language
  /// Whether bars stand in the middle, as in a funnel.
  let isFunnel: Bool

  package init(title: String, bars: [Bar], empty: Phrase, language: Language, isFunnel: Bool = false) {
    self.title = title
    self.bars = bars
    self.empty = empty
    self.language = language
    self.isFunnel = isFunnel
  }

  private static let width = 760
  private static let labelWidth = 210
  private static let captionWidth = 190
  private static let rowHeight = 34
  private static let top = 56

  /// The whole document. Colours have a contrast of at least 4.5 : 1 with white; text is never clipped silently but shortened with an ellipsis.
  package func svg() -> String {
    let height = Self.top + max(1, bars.count) * Self.rowHeight + 16
    let room = Self.width - Self.labelWidth - Self.captionWidth
    let largest = max(bars.map(\.value).max() ?? 0, .leastNonzeroMagnitude)
    let text = bars.isEmpty ? empty.text(in: language) : bars.map { "\($0.label): \($0.caption)" }.joined(separator: "; ")
    var lines = [
      ##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \##(Self.width) \##(height)" width="\##(Self.width)" height="\##(height)" role="img" "##
        + ##"aria-labelledby="title description" lang="\##(language.rawValue)" font-family="'DejaVu Sans', 'Noto Sans', Arial, sans-serif">"##,
      ##"<title id="title">\##(Self.escaped(title))</title>"##, ##"<desc id="description">\##(Self.escaped(text))</desc>"##,
      ##"<rect width="100%" height="100%" fill="#ffffff"/>"##, ##"<text x="16" y="32" font-size="18" font-weight="bold" fill="#1b1f24">\##(Self.escaped(title))</text>"##,
    ]
    if bars.isEmpty {
      lines.append(##"<text x="16" y="\##(Self.top + 20)" font-size="14" fill="#1b1f24">\##(Self.escaped(empty.text(in: language)))</text>"##)
    }
    for (number, bar) in bars.enumerated() {
      let y = Self.top + number * Self.rowHeight
      let length = max(bar.value > 0 ? 2 : 0, Int((Double(room) * bar.value / largest).rounded()))
      let x = Self.labelWidth + (isFunnel ? (room - length) / 2 : 0)
      let captionX = isFunnel ? Self.width - Self.captionWidth + 8 : x + length + 8
      lines.append(
        ##"<text x="\##(Self.labelWidth - 10)" y="\##(y + 19)" font-size="14" text-anchor="end" fill="#1b1f24">\##(Self.escaped(Self.shortened(bar.label)))</text>"##)
      lines.append(##"<rect x="\##(x)" y="\##(y + 2)" width="\##(length)" height="24" rx="2" fill="#1f6f8b"/>"##)
      lines.append(##"<text x="\##(captionX)" y="\##(y + 19)" font-size="14" fill="#1b1f24">\##(Self.escaped(bar.caption))</text>"##)
    }
    lines.append("</svg>")
    return lines.joined(separator: "\n") + "\n"
  }

  private static func shortened(_ label: String) -> String { label.count <= 24 ? label : label.prefix(23) + "…" }

  /// Text as XML takes it; characters that XML 1.0 cannot hold are left out.
  private static func escaped(_ text: String) -> String {
    var escaped = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": escaped += "&amp;"
      case "<": escaped += "&lt;"
      case ">": escaped += "&gt;"
      case "\"": escaped += "&quot;"
      case _ where scalar.value < 32 && scalar != "\n" && scalar != "\t": continue
      case _ where scalar.value == 0xFFFE || scalar.value == 0xFFFF: continue
      default: escaped.unicodeScalars.append(scalar)
      }
    }
    return escaped
  }
}

extension Decimal {
  /// Digits as the reader writes them: 1.234,50 in Turkish, 1,234.50 in English.
  package func written(in language: Language, decimals: Int) -> String {
    formatted(.number.locale(Locale(identifier: language == .turkish ? "tr_TR" : "en_GB")).precision(.fractionLength(decimals)))
  }
}
