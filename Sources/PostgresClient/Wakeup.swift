#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// A pipe through which other threads wake the connection loop out of `poll`.
struct Wakeup: Sendable {
  let readEnd: Int32
  private let writeEnd: Int32

  /// - Returns: nil if the process may open no more files.
  init?() {
    var ends: [Int32] = [0, 0]
    guard pipe(&ends) == 0 else { return nil }
    readEnd = ends[0]
    writeEnd = ends[1]
    for end in ends {
      _ = fcntl(end, F_SETFL, O_NONBLOCK)
      _ = fcntl(end, F_SETFD, FD_CLOEXEC)
    }
  }

  func wake() {
    var byte: UInt8 = 0
    // A full pipe wakes the loop as well as one more byte would.
    _ = write(writeEnd, &byte, 1)
  }

  func clear() {
    withUnsafeTemporaryAllocation(byteCount: 64, alignment: 1) { buffer in
      while read(readEnd, buffer.baseAddress, buffer.count) == buffer.count {}
    }
  }

  func close() {
    closeFile(readEnd)
    closeFile(writeEnd)
  }
}

private func closeFile(_ file: Int32) {
  _ = close(file)
}
