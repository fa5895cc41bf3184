import CZlib

/// Compression of a body that is written piece by piece (RFC 1952). Every piece comes out whole, so that a client sees what was sent so far.
struct GzipStream: ~Copyable {
  /// zlib is out of memory.
  struct OutOfMemory: Error {}

  /// zlib keeps this address: the stream must not move.
  private let stream: UnsafeMutablePointer<z_stream>

  init() throws {
    stream = .allocate(capacity: 1)
    stream.initialize(to: z_stream())
    let gzipFormat: Int32 = 15 + 16
    guard deflateInit2_(stream, 1, Z_DEFLATED, gzipFormat, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
      stream.deallocate()
      throw OutOfMemory()
    }
  }

  deinit {
    deflateEnd(stream)
    stream.deallocate()
  }

  /// The next piece compressed; with `isLast` the end of the body.
  mutating func compress(_ bytes: [UInt8], isLast: Bool) -> [UInt8] {
    var input = bytes
    var output: [UInt8] = []
    input.withUnsafeMutableBufferPointer { input in
      stream.pointee.next_in = input.baseAddress
      stream.pointee.avail_in = UInt32(input.count)
      repeat {
        output += [UInt8](unsafeUninitializedCapacity: 16 << 10) { buffer, count in
          stream.pointee.next_out = buffer.baseAddress
          stream.pointee.avail_out = UInt32(buffer.count)
          deflate(stream, isLast ? Z_FINISH : Z_SYNC_FLUSH)
          count = buffer.count - Int(stream.pointee.avail_out)
        }
      } while stream.pointee.avail_out == 0
    }
    return output
  }
}
