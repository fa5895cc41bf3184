/// Writes JSON (RFC 8259) as UTF-8 bytes, and result columns straight from PostgreSQL's text by their type.
///
/// Commas are set by the writer. That keys and values alternate in an object is for the caller to keep.
package struct JSONWriter: Sendable {
  /// What was written so far.
  package private(set) var bytes: [UInt8] = []
  private var needsComma = false

  package init(capacity: Int = 0) { bytes.reserveCapacity(capacity) }

  package mutating func beginObject() { open(UInt8(ascii: "{")) }
  package mutating func endObject() { close(UInt8(ascii: "}")) }
  package mutating func beginArray() { open(UInt8(ascii: "[")) }
  package mutating func endArray() { close(UInt8(ascii: "]")) }

  /// A member's name; its value follows.
  package mutating func key(_ name: String) {
    string(name)
    bytes.append(UInt8(ascii: ":"))
    needsComma = false
  }

  /// A member's name that is JSON text with its colon already, prepared once for many rows.
  package mutating func key(prepared key: UnsafeRawBufferPointer) {
    write(atMost: key.count) { $0.put(key) }
    needsComma = false
  }

  package mutating func null() { literal("null") }
  package mutating func bool(_ value: Bool) { literal(value ? "true" : "false") }

  package mutating func integer(_ value: Int) {
    separate()
    if value >= 0, value < 10 {
      bytes.append(UInt8(ascii: "0") + UInt8(value))
    } else {
      bytes.append(contentsOf: String(value).utf8)
    }
  }

  /// A number; NaN and the infinities, which JSON lacks, become the strings `"NaN"`, `"Infinity"`, `"-Infinity"`.
  package mutating func double(_ value: Double) {
    if value.isFinite {
      separate()
      bytes.append(contentsOf: value.description.utf8)
    } else {
      string(value.isNaN ? "NaN" : value < 0 ? "-Infinity" : "Infinity")
    }
  }

  package mutating func string(_ value: String) {
    var value = value
    value.withUTF8 { quoted(UnsafeRawBufferPointer($0)) }
  }

  /// Text in UTF-8, as a string.
  package mutating func string(_ utf8: UnsafeRawBufferPointer) { quoted(utf8) }

  /// A value that is JSON already.
  package mutating func raw(_ json: some Collection<UInt8>) {
    separate()
    bytes.append(contentsOf: json)
  }

  /// Bytes outside of the JSON itself, such as the line end between the values of NDJSON; the next value needs no comma before it.
  package mutating func separator(_ byte: UInt8) {
    bytes.append(byte)
    needsComma = false
  }

  /// Takes what was written so far out of the writer, so that it can be sent while more is written.
  package mutating func take() -> [UInt8] {
    defer { bytes = [] }
    return bytes
  }
}

extension JSONWriter {
  private mutating func open(_ bracket: UInt8) {
    separate()
    bytes.append(bracket)
    needsComma = false
  }

  private mutating func close(_ bracket: UInt8) {
    bytes.append(bracket)
    needsComma = true
  }

  mutating func separate() {
    if needsComma { bytes.append(UInt8(ascii: ",")) }
    needsComma = true
  }

  /// The next value belongs to the key just written.
  mutating func expectValue() { needsComma = false }

  mutating func literal(_ text: StaticString) {
    separate()
    text.withUTF8Buffer { bytes.append(contentsOf: $0) }
  }

  /// Begins a value or a key and has `body` write at most `size` bytes of it: one look at the array's storage instead of one for each piece.
  @inline(__always)
  mutating func write(atMost size: Int, _ body: (inout UnsafeMutableRawPointer) -> Void) {
    bytes.append(addingCapacity: size + 1) { [needsComma] room in
      room.withUnsafeMutableBufferPointer { buffer, count in
        guard let start = buffer.baseAddress else { return }
        var end = UnsafeMutableRawPointer(start)
        if needsComma { end.put(UInt8(ascii: ",")) }
        body(&end)
        count = end - UnsafeMutableRawPointer(start)
      }
    }
    needsComma = true
  }

  /// Text that is known to need no escaping, as a string.
  mutating func plain(_ text: UnsafeRawBufferPointer) {
    write(atMost: text.count + 2) { end in
      end.put(UInt8(ascii: "\""))
      end.put(text)
      end.put(UInt8(ascii: "\""))
    }
  }

  /// A value that is JSON already.
  mutating func bare(_ json: UnsafeRawBufferPointer) {
    write(atMost: json.count) { $0.put(json) }
  }

  /// Appends to what stands before, within a value.
  mutating func append(_ byte: UInt8) { bytes.append(byte) }
  mutating func append(_ more: some Collection<UInt8>) { bytes.append(contentsOf: more) }

  mutating func quoted(_ text: UnsafeRawBufferPointer) {
    if !Self.needsEscapes(text) { return plain(text) }
    separate()
    bytes.append(UInt8(ascii: "\""))
    escape(text)
    bytes.append(UInt8(ascii: "\""))
  }

  private static func needsEscapes(_ text: UnsafeRawBufferPointer) -> Bool {
    // Without a branch for each byte, so that the compiler looks at many at once.
    var found: UInt8 = 0
    for byte in text { found |= (byte < 0x20 ? 1 : 0) | (byte == UInt8(ascii: "\"") ? 1 : 0) | (byte == UInt8(ascii: "\\") ? 1 : 0) }
    return found != 0
  }

  /// Appends text run by run: all bytes up to the next that must be escaped at once.
  mutating func escape(_ text: UnsafeRawBufferPointer) {
    var start = 0
    var position = 0
    while position < text.count {
      let byte = text[position]
      if byte >= 0x20 && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\") {
        position += 1
        continue
      }
      bytes.append(contentsOf: text[start..<position])
      bytes.append(UInt8(ascii: "\\"))
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"): bytes.append(byte)
      case UInt8(ascii: "\n"): bytes.append(UInt8(ascii: "n"))
      case UInt8(ascii: "\r"): bytes.append(UInt8(ascii: "r"))
      case UInt8(ascii: "\t"): bytes.append(UInt8(ascii: "t"))
      default:
        bytes.append(contentsOf: "u00".utf8)
        bytes.append(UInt8(ascii: "0") + (byte >> 4))
        let low = byte & 15
        bytes.append(low < 10 ? UInt8(ascii: "0") + low : UInt8(ascii: "a") + low - 10)
      }
      position += 1
      start = position
    }
    bytes.append(contentsOf: text[start...])
  }
}

extension UnsafeMutableRawPointer {
  /// Writes a byte and moves behind it.
  @inline(__always)
  mutating func put(_ byte: UInt8) {
    storeBytes(of: byte, as: UInt8.self)
    self += 1
  }

  /// Writes bytes and moves behind them.
  @inline(__always)
  mutating func put(_ bytes: UnsafeRawBufferPointer) {
    if let start = bytes.baseAddress { copyMemory(from: start, byteCount: bytes.count) }
    self += bytes.count
  }
}
