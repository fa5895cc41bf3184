internal import CZlib

/// Takes gzip apart as it comes in. What comes out is handed over in pieces of a fixed size, so that a small file that grows
/// without end cannot fill the memory. Several members in a row (RFC 1952 §2.2) are one file.
final class Gunzip {
  /// The data is not gzip, or is damaged.
  struct Damaged: Error {}

  private static let outputSize = 256 << 10
  /// zlib keeps this address: the stream must not move.
  private let stream: UnsafeMutablePointer<z_stream>
  private var input: [UInt8] = []
  private var position = 0
  private var hasEnded = false

  init() throws {
    stream = .allocate(capacity: 1)
    stream.initialize(to: z_stream())
    // 15 bits of window, plus 16 for gzip's own header.
    guard inflateInit2_(stream, 15 + 16, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else { throw Damaged() }
  }

  deinit {
    inflateEnd(stream)
    stream.deallocate()
  }

  /// Gives the next compressed piece; all output of the one before must have been taken.
  func feed(_ piece: [UInt8]) {
    input = piece
    position = 0
  }

  /// The next piece of output; nil when more input is needed.
  func next() throws -> [UInt8]? {
    guard position < input.count else { return nil }
    if hasEnded {
      guard inflateReset(stream) == Z_OK else { throw Damaged() }
      hasEnded = false
    }
    var status = Z_OK
    let output = input.withUnsafeMutableBufferPointer { input in
      [UInt8](unsafeUninitializedCapacity: Self.outputSize) { buffer, count in
        stream.pointee.next_in = input.baseAddress?.advanced(by: position)
        stream.pointee.avail_in = UInt32(input.count - position)
        stream.pointee.next_out = buffer.baseAddress
        stream.pointee.avail_out = UInt32(buffer.count)
        status = inflate(stream, Z_NO_FLUSH)
        count = buffer.count - Int(stream.pointee.avail_out)
        position = input.count - Int(stream.pointee.avail_in)
      }
    }
    guard status == Z_OK || status == Z_STREAM_END || (status == Z_BUF_ERROR && output.isEmpty) else { throw Damaged() }
    hasEnded = status == Z_STREAM_END
    return output
  }

  /// Whether the data ended where a member ended.
  var isComplete: Bool { hasEnded }
}
