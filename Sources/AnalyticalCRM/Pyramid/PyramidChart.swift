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
    var lines = [
      ##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \##(Self.width) \##(height)" width="\##(Self.width)" height="\##(height)" role="img" "##
        + ##"aria-labelledby="title description" lang="\##(language.rawValue)" font-family="'DejaVu Sans', 'Noto Sans', Arial, sans-serif">"##,
      ##"<title id="title">\##(XMLText.escaped(title))</title>"##, ##"<desc id="description">\##(XMLText.escaped(text))</desc>"##,
      ##"<rect width="100%" height="100%" fill="#ffffff"/>"##,
      ##"<text x="16" y="32" font-size="18" font-weight="bold" fill="#1b1f24">\##(XMLText.escaped(title))</text>"##,
    ]
    if layers.isEmpty {
      lines.append(##"<text x="16" y="\##(Self.top + 20)" font-size="14" fill="#1b1f24">\##(XMLText.escaped(empty.text(in: language)))</text>"##)
    }
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
      lines.append(##"<polygon points="\##(points)" fill="\##(Self.colours[min(number, Self.colours.count - 1)])"/>"##)
      lines.append(##"<text x="340" y="\##(y + 20)" font-size="14" font-weight="bold" fill="#1b1f24">\##(XMLText.escaped(layer.label))</text>"##)
      lines.append(##"<text x="340" y="\##(y + 39)" font-size="13" fill="#1b1f24">\##(XMLText.escaped(layer.caption))</text>"##)
      upper = lower
    }
    lines.append("</svg>")
    return lines.joined(separator: "\n") + "\n"
  }
}

/// A matrix as SVG: rows and columns with a number in each cell, darker the larger, and all of them as text.
struct MatrixChart: Sendable {
  let title: String
  let rows, columns: [String]
  /// By row and column; nil where nothing is.
  let cells: [[Int?]]
  /// What rows and columns are, such as from and to.
  let rowTitle, columnTitle: String
  let empty: Phrase
  let language: Language

  private static let left = 150
  private static let top = 96
  private static let cellWidth = 92
  private static let cellHeight = 34

  func svg() -> String {
    let (width, height) = (max(480, Self.left + columns.count * Self.cellWidth + 16), Self.top + max(1, rows.count) * Self.cellHeight + 16)
    var figures: [String] = []
    for (row, name) in rows.enumerated() {
      for (column, other) in columns.enumerated() {
        if let count = cells[row][column] { figures.append("\(name) → \(other): \(count)") }
      }
    }
    let text = figures.isEmpty ? empty.text(in: language) : figures.joined(separator: "; ")
    var lines = [
      ##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \##(width) \##(height)" width="\##(width)" height="\##(height)" role="img" "##
        + ##"aria-labelledby="title description" lang="\##(language.rawValue)" font-family="'DejaVu Sans', 'Noto Sans', Arial, sans-serif">"##,
      ##"<title id="title">\##(XMLText.escaped(title))</title>"##, ##"<desc id="description">\##(XMLText.escaped(text))</desc>"##,
      ##"<rect width="100%" height="100%" fill="#ffffff"/>"##,
      ##"<text x="16" y="32" font-size="18" font-weight="bold" fill="#1b1f24">\##(XMLText.escaped(title))</text>"##,
      ##"<text x="16" y="60" font-size="13" fill="#1b1f24">\##(XMLText.escaped("\(rowTitle) ↓   \(columnTitle) →"))</text>"##,
    ]
    let largest = Double(max(cells.flatMap { $0 }.compactMap { $0 }.max() ?? 0, 1))
    for (column, name) in columns.enumerated() {
      let x = Self.left + column * Self.cellWidth + Self.cellWidth / 2
      lines.append(
        ##"<text x="\##(x)" y="\##(Self.top - 10)" font-size="13" text-anchor="middle" fill="#1b1f24">\##(XMLText.escaped(XMLText.shortened(name, to: 12)))</text>"##
      )
    }
    for (row, name) in rows.enumerated() {
      let y = Self.top + row * Self.cellHeight
      lines.append(
        ##"<text x="\##(Self.left - 10)" y="\##(y + 22)" font-size="13" text-anchor="end" fill="#1b1f24">\##(XMLText.escaped(XMLText.shortened(name, to: 18)))</text>"##
      )
      for column in columns.indices {
        guard let count = cells[row][column] else { continue }
        let x = Self.left + column * Self.cellWidth
        let share = log1p(Double(count)) / log1p(largest)
        let isDark = share > 0.55
        // From white to #1f6f8b.
        let colour = [(255.0, 31.0), (255.0, 111.0), (255.0, 139.0)].map { Int(($0.0 + ($0.1 - $0.0) * (isDark ? 1 : share * 0.5)).rounded()) }
        lines.append(
          ##"<rect x="\##(x + 1)" y="\##(y + 1)" width="\##(Self.cellWidth - 2)" height="\##(Self.cellHeight - 2)" fill="rgb(\##(colour[0]),\##(colour[1]),\##(colour[2]))"/>"##
        )
        lines.append(
          ##"<text x="\##(x + Self.cellWidth / 2)" y="\##(y + 22)" font-size="13" text-anchor="middle" fill="\##(isDark ? "#ffffff" : "#1b1f24")">\##(count)</text>"##
        )
      }
    }
    if rows.isEmpty {
      lines.append(##"<text x="16" y="\##(Self.top + 20)" font-size="14" fill="#1b1f24">\##(XMLText.escaped(empty.text(in: language)))</text>"##)
    }
    lines.append("</svg>")
    return lines.joined(separator: "\n") + "\n"
  }
}

/// Text within XML.
enum XMLText {
  static func shortened(_ label: String, to length: Int) -> String { label.count <= length ? label : label.prefix(length - 1) + "…" }

  /// Text as XML takes it; characters that XML 1.0 cannot hold are left out.
  static func escaped(_ text: String) -> String {
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
