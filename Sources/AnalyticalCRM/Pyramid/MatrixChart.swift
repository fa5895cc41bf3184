import CRMCore
import Foundation

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
    var document = SVGDocument(title: title, description: text, width: width, height: height, language: language)
    document.write("\(rowTitle) ↓   \(columnTitle) →", x: 16, y: 60, size: 13)
    let largest = Double(max(cells.flatMap { $0 }.compactMap { $0 }.max() ?? 0, 1))
    for (column, name) in columns.enumerated() {
      let x = Self.left + column * Self.cellWidth + Self.cellWidth / 2
      document.write(SVGDocument.shortened(name, to: 12), x: x, y: Self.top - 10, size: 13, anchor: "middle")
    }
    for (row, name) in rows.enumerated() {
      let y = Self.top + row * Self.cellHeight
      document.write(SVGDocument.shortened(name, to: 18), x: Self.left - 10, y: y + 22, size: 13, anchor: "end")
      for column in columns.indices {
        guard let count = cells[row][column] else { continue }
        let x = Self.left + column * Self.cellWidth
        let share = log1p(Double(count)) / log1p(largest)
        let isDark = share > 0.55
        // From white to #1f6f8b.
        let colour = [(255.0, 31.0), (255.0, 111.0), (255.0, 139.0)].map { Int(($0.0 + ($0.1 - $0.0) * (isDark ? 1 : share * 0.5)).rounded()) }
        document.elements.append(
          ##"<rect x="\##(x + 1)" y="\##(y + 1)" width="\##(Self.cellWidth - 2)" height="\##(Self.cellHeight - 2)" fill="rgb(\##(colour[0]),\##(colour[1]),\##(colour[2]))"/>"##
        )
        document.write("\(count)", x: x + Self.cellWidth / 2, y: y + 22, size: 13, anchor: "middle", fill: isDark ? "#ffffff" : SVGDocument.ink)
      }
    }
    if rows.isEmpty { document.write(empty.text(in: language), x: 16, y: Self.top + 20) }
    return document.text()
  }
}
