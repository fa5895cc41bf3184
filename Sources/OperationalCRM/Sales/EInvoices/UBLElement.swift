import CRMCore
import Foundation

/// A piece of a UBL document: children in the order the schema fixes, empty ones left out.
///
/// Written here and not by FoundationXML: the libxml2 behind it shares state among threads, and documents made at once have crashed the process.
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

  /// Appends the element as XML.
  func write(to document: inout String) {
    document += "<\(name)"
    for attribute in attributes { document += " \(attribute.name)=\"\(MarkupText.escaped(attribute.value))\"" }
    switch content {
    case .children(let children) where children.isEmpty: document += "/>"
    case .children(let children):
      document += ">"
      for child in children { child.write(to: &document) }
      document += "</\(name)>"
    case .text(let text): document += ">\(MarkupText.escaped(text))</\(name)>"
    }
  }
}
