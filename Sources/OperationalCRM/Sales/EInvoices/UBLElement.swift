import CLibXML2
import CRMCore
import Foundation

/// A piece of a UBL document: children in the order the schema fixes, empty ones left out.
///
/// Written by libxml2's text writer and not through FoundationXML, whose trees share state among threads: documents made at once have crashed the process.
struct UBLElement {
  private let name: String
  private let attributes: [(name: String, value: String)]
  private let content: Content

  private enum Content {
    case children([UBLElement])
    case text(String)
  }

  /// - Parameter name: with its prefix, such as `cac:Party`.
  init(_ name: String, _ children: [UBLElement?] = [], attributes: [(String, String)] = []) {
    self.name = name
    self.attributes = attributes
    content = .children(children.compactMap(\.self))
  }

  private init(_ name: String, text: String, attributes: [(String, String)]) {
    self.name = name
    self.attributes = attributes
    content = .text(text)
  }

  /// An element with text; nil when there is none to say.
  static func text(_ name: String, _ value: String?, _ attributes: [(String, String)] = []) -> UBLElement? {
    guard let value, !value.isEmpty else { return nil }
    return UBLElement(name, text: value, attributes: attributes)
  }

  /// An amount of money with two decimals.
  static func amount(_ name: String, _ value: Decimal, _ currency: String) -> UBLElement? {
    text(name, value.fixed(2), [("currencyID", currency)])
  }

  /// The element as a whole XML document in UTF-8.
  /// - Throws: `NoMemory` when libxml2 gets none.
  func document() throws -> Data {
    Self.libraryReady
    guard let buffer = xmlBufferCreate() else { throw NoMemory() }
    defer { xmlBufferFree(buffer) }
    guard let writer = xmlNewTextWriterMemory(buffer, 0) else { throw NoMemory() }
    let isWritten = xmlTextWriterStartDocument(writer, "1.0", "UTF-8", nil) >= 0 && write(to: writer) && xmlTextWriterEndDocument(writer) >= 0
    // What the writer still holds goes to the buffer now.
    xmlFreeTextWriter(writer)
    guard isWritten, let content = xmlBufferContent(buffer) else { throw NoMemory() }
    return Data(bytes: content, count: Int(xmlBufferLength(buffer)))
  }

  /// libxml2 wants its own tables made once, before threads use it.
  private static let libraryReady: Void = xmlInitParser()

  struct NoMemory: Error {}

  private func write(to writer: xmlTextWriterPtr) -> Bool {
    guard xmlTextWriterStartElement(writer, name) >= 0 else { return false }
    for attribute in attributes {
      guard xmlTextWriterWriteAttribute(writer, attribute.name, MarkupText.legal(attribute.value)) >= 0 else { return false }
    }
    switch content {
    case .children(let children):
      for child in children { guard child.write(to: writer) else { return false } }
    case .text(let text):
      guard xmlTextWriterWriteString(writer, MarkupText.legal(text)) >= 0 else { return false }
    }
    return xmlTextWriterEndElement(writer) >= 0
  }
}
