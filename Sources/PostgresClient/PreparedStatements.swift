/// The statements one connection has prepared, by their text. The least recently used is given up when there are too many.
struct PreparedStatements {
  struct Entry {
    let name: String
    var lastUse: UInt64
  }

  /// How many are kept; none are prepared if 0.
  let capacity: Int
  private var entries: [String: Entry] = [:]
  private var uses: UInt64 = 0
  private var names = 0

  init(capacity: Int) { self.capacity = capacity }

  /// The name under which `text` is prepared, and whether it is yet to be sent to the server under that name.
  mutating func name(for text: String) -> (name: String, isNew: Bool) {
    uses += 1
    if let index = entries.index(forKey: text) {
      entries.values[index].lastUse = uses
      return (entries.values[index].name, false)
    }
    names += 1
    let name = "s\(names)"
    entries[text] = Entry(name: name, lastUse: uses)
    return (name, true)
  }

  /// Forgets a statement that the server does not have, or no longer can use.
  /// - Returns: the name it had.
  @discardableResult
  mutating func forget(_ text: String) -> String? { entries.removeValue(forKey: text)?.name }

  mutating func forgetAll() { entries.removeAll(keepingCapacity: true) }

  /// Takes out the least recently used statement if there are too many.
  /// - Returns: its name, to be deallocated on the server.
  mutating func evict() -> String? {
    guard entries.count > capacity, let oldest = entries.min(by: { $0.value.lastUse < $1.value.lastUse }) else { return nil }
    return forget(oldest.key)
  }
}
