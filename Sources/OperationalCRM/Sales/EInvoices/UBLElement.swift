import Foundation
import FoundationXML

/// A piece of a UBL document: children in the order the schema fixes, empty ones left out.
struct UBLElement {
  let node: XMLElement

  /// - Parameter name: with its prefix, such as `cac:Party`.
  init(_ name: String, _ children: [UBLElement?] = []) {
    node = XMLElement(name: name)
    for case let child? in children { node.addChild(child.node) }
  }

  /// An element with text; nil when there is none to say.
  static func text(_ name: String, _ value: String?, _ attributes: [(String, String)] = []) -> UBLElement? {
    guard let value, !value.isEmpty else { return nil }
    let element = UBLElement(name)
    element.node.stringValue = value
    for (attribute, value) in attributes {
      let node = XMLNode(kind: .attribute)
      node.name = attribute
      node.stringValue = value
      element.node.addAttribute(node)
    }
    return element
  }

  /// An amount of money with two decimals.
  static func amount(_ name: String, _ value: Decimal, _ currency: String) -> UBLElement? {
    text(name, value.fixed(2), [("currencyID", currency)])
  }
}
