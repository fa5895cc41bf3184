/// JSON as it is written: what a `json` or `jsonb` column holds, kept as text and not taken apart.
package struct JSONText: Sendable, Hashable {
  package let text: String

  package init(_ text: String) { self.text = text }
}
