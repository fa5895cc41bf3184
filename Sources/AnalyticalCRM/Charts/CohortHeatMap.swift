import CRMCore
import Foundation

/// Cohorts as a table of shades: a row a cohort, a column a month after it, the share of customers who came back in the cell.
struct CohortHeatMap {
  struct Row: Decodable {
    struct Cell: Decodable {
      let month: Int
      /// Null for months that have not begun.
      let customer_share: Double?
      let complete: Bool
    }
    let cohort: String
    let customers: Int
    let cells: [Cell]
  }

  let title: String
  let rows: [Row]
  let language: Language

  private static let left = 140
  private static let top = 84
  private static let cellWidth = 46
  private static let cellHeight = 28

  /// Months under way are marked with an asterisk; text keeps a contrast of at least 4.5 : 1 on every shade.
  func svg() -> String {
    let columns = rows.map(\.cells.count).max() ?? 0
    var document = SVGDocument(
      title: title, description: description, width: max(480, Self.left + columns * Self.cellWidth + 16), height: Self.top + rows.count * Self.cellHeight + 40,
      language: language)
    for column in 0..<columns {
      document.write("\(column)", x: Self.left + column * Self.cellWidth + Self.cellWidth / 2, y: Self.top - 10, size: 12, anchor: "middle")
    }
    for (number, row) in rows.enumerated() {
      let y = Self.top + number * Self.cellHeight
      document.write("\(row.cohort) (\(row.customers))", x: Self.left - 8, y: y + 19, size: 13, anchor: "end")
      for cell in row.cells {
        let x = Self.left + cell.month * Self.cellWidth
        guard let share = cell.customer_share else { continue }
        document.elements.append(
          ##"<rect x="\##(x + 1)" y="\##(y + 1)" width="\##(Self.cellWidth - 2)" height="\##(Self.cellHeight - 2)" fill="\##(Self.shade(share))"/>"##)
        document.write(
          percent(share) + (cell.complete ? "" : "*"), x: x + Self.cellWidth / 2, y: y + 19, size: 12, anchor: "middle",
          fill: share > 0.45 ? "#ffffff" : SVGDocument.ink)
      }
    }
    document.write(
      Phrase("Columns: months after the first purchase. * month under way.", tr: "Sütunlar: ilk alışverişten sonraki aylar. * süren ay.").text(in: language),
      x: 16,
      y: Self.top + rows.count * Self.cellHeight + 26, size: 12)
    return document.text()
  }

  private var description: String {
    rows.map { row in
      "\(row.cohort) (\(row.customers)): "
        + row.cells.compactMap { cell in cell.customer_share.map { percent($0) + (cell.complete ? "" : "*") } }.joined(separator: ", ")
    }
    .joined(separator: "; ")
  }

  private func percent(_ share: Double) -> String {
    let number = Int((share * 100).rounded())
    return language == .turkish ? "%\(number)" : "\(number)%"
  }

  /// From almost white to dark blue.
  private static func shade(_ share: Double) -> String {
    let part = min(max(share, 0), 1)
    let (red, green, blue) = (Int(236 - part * 221), Int(244 - part * 166), Int(248 - part * 144))
    return "#"
      + [red, green, blue].map {
        let digits = String($0, radix: 16); return digits.count == 1 ? "0" + digits : digits
      }.joined()
  }
}
