internal import Dispatch

/// A document on A4 pages: what stands on it, from top to bottom. Long tables and texts go on over the page.
package struct PDFDocument: Sendable {
  package enum Alignment: Sendable { case start, end }

  package struct Column: Sendable {
    package let title: String
    /// Its share of the width of the page; all shares of a table make 1.
    package let share: Double
    package let alignment: Alignment

    package init(_ title: String, share: Double, _ alignment: Alignment = .start) {
      self.title = title
      self.share = share
      self.alignment = alignment
    }
  }

  package enum Element: Sendable {
    case title(String)
    case heading(String)
    case paragraph(String)
    /// Names and values in two columns.
    case facts([(name: String, value: String)])
    case table([Column], rows: [[String]])
    /// Sums at the right margin; the last one stands out.
    case totals([(name: String, value: String)])
  }

  package let title: String
  package let author: String
  /// Stands at the foot of every page, before the page's number.
  package let footer: String
  package let elements: [Element]

  package init(title: String, author: String, footer: String, elements: [Element]) {
    self.title = title
    self.author = author
    self.footer = footer
    self.elements = elements
  }

  /// Drawing takes milliseconds of CPU, and the first time reads fonts: it has a thread of its own.
  private static let queue = DispatchQueue(label: "muhatap.pdf", qos: .userInitiated)

  /// The document as a PDF file with its fonts embedded.
  package func rendered() async throws(Problem) -> [UInt8] {
    let bytes = await withCheckedContinuation { continuation in
      Self.queue.async { continuation.resume(returning: PDFCanvas(self).draw()) }
    }
    guard let bytes else { throw .unexpected }
    return bytes
  }
}
