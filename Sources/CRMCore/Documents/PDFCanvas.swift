internal import CPangoCairo

/// Draws a `PDFDocument` with Pango, which shapes and wraps text in any script, on cairo, which writes the PDF. Used on one thread.
final class PDFCanvas {
  /// What cairo has written so far.
  private final class Output {
    var bytes: [UInt8] = []
  }

  private enum Font: Int, CaseIterable {
    case title, heading, body, strong, small

    var description: String {
      switch self {
      case .title: "DejaVu Sans Bold 17"
      case .heading: "DejaVu Sans Bold 11"
      case .body: "DejaVu Sans 9"
      case .strong: "DejaVu Sans Bold 9"
      case .small: "DejaVu Sans 7.5"
      }
    }
  }

  /// Points; A4.
  private static let width = 595.276
  private static let height = 841.89
  private static let margin = 51.0
  private static let gap = 6.0

  private let document: PDFDocument
  private let output = Output()
  private let surface: OpaquePointer?
  private let cairo: OpaquePointer?
  private let fonts: [OpaquePointer?]
  private var y = margin
  private var page = 1

  private var contentWidth: Double { Self.width - 2 * Self.margin }
  private var bottom: Double { Self.height - Self.margin - 14 }

  init(_ document: PDFDocument) {
    self.document = document
    let closure = Unmanaged.passUnretained(output).toOpaque()
    surface = cairo_pdf_surface_create_for_stream(
      { closure, data, count in
        guard let closure, let data else { return CAIRO_STATUS_WRITE_ERROR }
        Unmanaged<Output>.fromOpaque(closure).takeUnretainedValue().bytes += UnsafeBufferPointer(start: data, count: Int(count))
        return CAIRO_STATUS_SUCCESS
      }, closure, Self.width, Self.height)
    cairo = cairo_create(surface)
    fonts = Font.allCases.map { pango_font_description_from_string($0.description) }
  }

  deinit {
    for font in fonts { pango_font_description_free(font) }
    cairo_destroy(cairo)
    cairo_surface_destroy(surface)
  }

  /// The whole file; nil when cairo could not write it.
  func draw() -> [UInt8]? {
    cairo_pdf_surface_set_metadata(surface, CAIRO_PDF_METADATA_TITLE, document.title)
    cairo_pdf_surface_set_metadata(surface, CAIRO_PDF_METADATA_AUTHOR, document.author)
    cairo_pdf_surface_set_metadata(surface, CAIRO_PDF_METADATA_CREATOR, "Muhatap")
    tagged("Document") {
      for element in document.elements { draw(element) }
    }
    drawFooter()
    cairo_show_page(cairo)
    cairo_surface_finish(surface)
    return cairo_status(cairo) == CAIRO_STATUS_SUCCESS && cairo_surface_status(surface) == CAIRO_STATUS_SUCCESS ? output.bytes : nil
  }

  private func draw(_ element: PDFDocument.Element) {
    switch element {
    case .title(let text): block("H1", text, .title, after: 10)
    case .heading(let text):
      y += 8
      block("H2", text, .heading, after: 4)
    case .paragraph(let text): block("P", text, .body, after: Self.gap)
    case .facts(let facts):
      let columns = [PDFDocument.Column("", share: 0.26), PDFDocument.Column("", share: 0.74)]
      tagged("Table") {
        for fact in facts { row([fact.name, fact.value], columns, fonts: [.strong, .body], header: "TH", padding: 1.5) }
      }
      y += Self.gap
    case .table(let columns, let rows): table(columns, rows)
    case .totals(let totals):
      let columns = [PDFDocument.Column("", share: 0.72, .end), PDFDocument.Column("", share: 0.28, .end)]
      tagged("Table") {
        for (number, total) in totals.enumerated() {
          let font: Font = number == totals.count - 1 ? .strong : .body
          row([total.name, total.value], columns, fonts: [font, font], header: "TH", padding: 2)
        }
      }
      y += Self.gap
    }
  }

  private func table(_ columns: [PDFDocument.Column], _ rows: [[String]]) {
    tagged("Table") {
      tableHead(columns)
      for cells in rows {
        if y + height(of: cells, columns, font: .body) + 8 > bottom {
          newPage()
          tableHead(columns)
        }
        row(cells, columns, fonts: columns.map { _ in .body }, padding: 3)
        rule(0.4, gray: 0.75)
      }
    }
    y += Self.gap
  }

  private func tableHead(_ columns: [PDFDocument.Column]) {
    row(columns.map(\.title), columns, fonts: columns.map { _ in .strong }, header: "TH", headers: columns.count, padding: 3)
    rule(0.9, gray: 0.2)
  }

  /// One row; it never breaks over a page.
  /// - Parameter headers: how many of its cells, from the first, are headers.
  private func row(
    _ cells: [String], _ columns: [PDFDocument.Column], fonts: [Font], header: String = "TD", headers: Int = 1, padding: Double
  ) {
    var layouts: [(layout: OpaquePointer, x: Double)] = []
    var x = Self.margin
    var tallest = 0.0
    for (cell, (column, font)) in zip(cells, zip(columns, fonts)) {
      let width = contentWidth * column.share
      if let layout = layout(cell, font, width: width - 2 * 3, column.alignment) {
        layouts.append((layout, x + 3))
        tallest = max(tallest, Self.height(of: layout))
      }
      x += width
    }
    if y + tallest + 2 * padding > bottom { newPage() }
    y += padding
    tagged("TR") {
      for (number, item) in layouts.enumerated() {
        tagged(number < headers ? header : "TD") {
          cairo_move_to(cairo, item.x, y)
          pango_cairo_show_layout(cairo, item.layout)
        }
        g_object_unref(UnsafeMutableRawPointer(item.layout))
      }
    }
    y += tallest + padding
  }

  private func height(of cells: [String], _ columns: [PDFDocument.Column], font: Font) -> Double {
    var tallest = 0.0
    for (cell, column) in zip(cells, columns) {
      guard let layout = layout(cell, font, width: contentWidth * column.share - 6, column.alignment) else { continue }
      tallest = max(tallest, Self.height(of: layout))
      g_object_unref(UnsafeMutableRawPointer(layout))
    }
    return tallest
  }

  /// Text over the whole width, line by line, so that it goes on over the page.
  private func block(_ tag: String, _ text: String, _ font: Font, after: Double) {
    guard let layout = layout(text, font, width: contentWidth, .start) else { return }
    tagged(tag) {
      for number in 0..<pango_layout_get_line_count(layout) {
        guard let line = pango_layout_get_line_readonly(layout, number) else { continue }
        var extents = PangoRectangle()
        pango_layout_line_get_extents(line, nil, &extents)
        let lineHeight = Double(extents.height) / Double(PANGO_SCALE)
        if y + lineHeight > bottom { newPage() }
        cairo_move_to(cairo, Self.margin, y - Double(extents.y) / Double(PANGO_SCALE))
        pango_cairo_show_layout_line(cairo, line)
        y += lineHeight
      }
    }
    g_object_unref(UnsafeMutableRawPointer(layout))
    y += after
  }

  private func layout(_ text: String, _ font: Font, width: Double, _ alignment: PDFDocument.Alignment) -> OpaquePointer? {
    guard let layout = pango_cairo_create_layout(cairo) else { return nil }
    pango_cairo_context_set_resolution(pango_layout_get_context(layout), 72)
    pango_layout_context_changed(layout)
    pango_layout_set_font_description(layout, fonts[font.rawValue])
    pango_layout_set_width(layout, Int32(width * Double(PANGO_SCALE)))
    pango_layout_set_wrap(layout, PANGO_WRAP_WORD_CHAR)
    pango_layout_set_alignment(layout, alignment == .end ? PANGO_ALIGN_RIGHT : PANGO_ALIGN_LEFT)
    // Control characters have no glyph; line ends stay.
    let clean = String(String.UnicodeScalarView(text.unicodeScalars.filter { $0 == "\n" || $0.properties.generalCategory != .control }))
    pango_layout_set_text(layout, clean, -1)
    return layout
  }

  private static func height(of layout: OpaquePointer) -> Double {
    var extents = PangoRectangle()
    pango_layout_get_extents(layout, nil, &extents)
    return Double(extents.height) / Double(PANGO_SCALE)
  }

  private func rule(_ thickness: Double, gray: Double) {
    cairo_save(cairo)
    cairo_set_source_rgb(cairo, gray, gray, gray)
    cairo_set_line_width(cairo, thickness)
    cairo_move_to(cairo, Self.margin, y)
    cairo_line_to(cairo, Self.width - Self.margin, y)
    cairo_stroke(cairo)
    cairo_restore(cairo)
  }

  private func newPage() {
    drawFooter()
    cairo_show_page(cairo)
    page += 1
    y = Self.margin
  }

  private func drawFooter() {
    guard let layout = layout("\(document.footer) · \(page)", .small, width: contentWidth, .end) else { return }
    cairo_move_to(cairo, Self.margin, Self.height - Self.margin)
    pango_cairo_show_layout(cairo, layout)
    g_object_unref(UnsafeMutableRawPointer(layout))
  }

  /// Marks what is drawn in `body` for screen readers.
  private func tagged(_ name: String, _ body: () -> Void) {
    cairo_tag_begin(cairo, name, "")
    body()
    cairo_tag_end(cairo, name)
  }
}
