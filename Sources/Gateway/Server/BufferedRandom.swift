#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// The system's random numbers, 32 for each system call: every request needs two for its id.
struct BufferedRandom: RandomNumberGenerator {
  private var numbers: [UInt64] = []

  mutating func next() -> UInt64 {
    if let number = numbers.popLast() { return number }
    numbers = [UInt64](repeating: 0, count: 32)
    // 256 bytes are what one call gives at most.
    let isFilled = numbers.withUnsafeMutableBytes { bytes in bytes.baseAddress.map { getentropy($0, bytes.count) == 0 } ?? false }
    if !isFilled {
      var system = SystemRandomNumberGenerator()
      for index in numbers.indices { numbers[index] = system.next() }
    }
    return numbers.removeLast()
  }
}
