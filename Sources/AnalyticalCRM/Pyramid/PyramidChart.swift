import CRMCore
import Foundation

/// A pyramid as SVG: a layer a tier, wider the more customers are in it, with its figures beside it and all of them as text for those who cannot see it.
struct PyramidChart: Sendable {
  struct Layer: Sendable {
    let label: String
    /// Decides the width at its foot; never negative.
    let customers: Int
    /// What stands beside it, in the reader's notation.
    let caption: String
  }

  let title: String
  let layers: [Layer]
  let empty: Phrase
  let language: Language

  private static let width = 760
  private static let base = 300.0
  private static let top = 56
  private static let layerHeight = 52
  private static let colours = ["#7a1f3d", "#8a4b08", "#1f6f8b", "#3c5a14", "#4b3f8f", "#5a5a5a"]

  func svg() -> String {
    let height = Self.top + max(1, layers.count) * Self.layerHeight + 16
    let text = layers.isEmpty ? empty.text(in: language) : layers.map { "\($0.label): \($0.caption)" }.joined(separator: "; ")
    var document = SVGDocument(title: title, description: text, width: Self.width, height: height, language: language)
    if layers.isEmpty { document.write(empty.text(in: language), x: 16, y: Self.top + 20) }
    // Widths go with the logarithm of how many are in a tier or above: a top of one in a hundred would not be seen otherwise.
    let all = Double(max(layers.reduce(0) { $0 + $1.customers }, 1))
    var above = 0
    var upper = 0.0
    for (number, layer) in layers.enumerated() {
      above += layer.customers
      let lower = Self.base * log1p(Double(above)) / log1p(all)
      let (y, foot, middle) = (Self.top + number * Self.layerHeight, Self.top + (number + 1) * Self.layerHeight - 4, 16 + Self.base / 2)
      let corners = [(middle - upper / 2, y), (middle + upper / 2, y), (middle + lower / 2, foot), (middle - lower / 2, foot)]
      let points = corners.map { "\(($0.0 * 10).rounded() / 10),\($0.1)" }.joined(separator: " ")
      document.elements.append(##"<polygon points="\##(points)" fill="\##(Self.colours[min(number, Self.colours.count - 1)])"/>"##)
      document.write(layer.label, x: 340, y: y + 20, isBold: true)
      document.write(layer.caption, x: 340, y: y + 39, size: 13)
      upper = lower
    }
    return document.text()
  }
}
