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
    var document = SVGDocument(title: title, description: text, width: Self.width, height: height, language: language)
    if bars.isEmpty { document.write(empty.text(in: language), x: 16, y: Self.top + 20) }
    for (number, bar) in bars.enumerated() {
      let y = Self.top + number * Self.rowHeight
      let length = max(bar.value > 0 ? 2 : 0, Int((Double(room) * bar.value / largest).rounded()))
      let x = Self.labelWidth + (isFunnel ? (room - length) / 2 : 0)
      let captionX = isFunnel ? Self.width - Self.captionWidth + 8 : x + length + 8
      document.write(SVGDocument.shortened(bar.label, to: 24), x: Self.labelWidth - 10, y: y + 19, anchor: "end")
      document.elements.append(##"<rect x="\##(x)" y="\##(y + 2)" width="\##(length)" height="24" rx="2" fill="#1f6f8b"/>"##)
      document.write(bar.caption, x: captionX, y: y + 19)
    }
    return document.text()
  }
}

extension Decimal {
  /// Digits as the reader writes them: 1.234,50 in Turkish, 1,234.50 in English.
  package func written(in language: Language, decimals: Int) -> String {
    formatted(.number.locale(Locale(identifier: language == .turkish ? "tr_TR" : "en_GB")).precision(.fractionLength(decimals)))
  }
}
