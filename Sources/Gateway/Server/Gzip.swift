import CRMCore
import CZlib

/// Compression of whole answers (RFC 1952). Level 1: on JSON it gives most of the saving at a third of the default level's cost.
enum Gzip {
  /// The bytes compressed, or nil when zlib is out of memory or nothing would be saved.
  static func compress(_ bytes: [UInt8]) -> [UInt8]? {
    var stream = z_stream()
    let gzipFormat: Int32 = 15 + 16
    guard deflateInit2_(&stream, 1, Z_DEFLATED, gzipFormat, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
      return nil
    }
    defer { deflateEnd(&stream) }
    return bytes.withUnsafeBufferPointer { input -> [UInt8]? in
      // zlib's C interface takes input by a mutable pointer and does not write to it.
      stream.next_in = UnsafeMutablePointer(mutating: input.baseAddress)
      stream.avail_in = UInt32(input.count)
      var finished = false
      let output = [UInt8](unsafeUninitializedCapacity: input.count) { buffer, count in
        stream.next_out = buffer.baseAddress
        stream.avail_out = UInt32(buffer.count)
        finished = deflate(&stream, Z_FINISH) == Z_STREAM_END
        count = buffer.count - Int(stream.avail_out)
      }
      return finished ? output : nil
    }
  }

  /// Whether an answer is text that compresses well and is not encoded yet.
  static func suits(_ response: Response) -> Bool {
    guard !response.headers.contains(where: { $0.name == "content-encoding" }),
      let type = response.headers.first(where: { $0.name == "content-type" })?.value
    else { return false }
    return type.hasPrefix("application/json") || type.hasPrefix("application/problem+json") || type.hasPrefix("text/")
      || type.hasPrefix("application/x-ndjson")
  }
}
