/// An IP address, and whether it may be called from here: only addresses of the public internet are, because whoever names an address must not reach with our
/// hands what only we can reach: this machine, its network, the cloud's metadata.
package struct NetworkAddress: Sendable, Hashable {
  /// Four or sixteen bytes.
  package let bytes: [UInt8]

  package init?(bytes: [UInt8]) {
    guard bytes.count == 4 || bytes.count == 16 else { return nil }
    self.bytes = bytes
  }

  package var isLoopback: Bool {
    if let inner = embedded { return inner.isLoopback }
    return bytes.count == 4 ? bytes[0] == 127 : bytes == [UInt8](repeating: 0, count: 15) + [1]
  }

  package var isPublic: Bool {
    if let inner = embedded { return inner.isPublic }
    return bytes.count == 4 ? !Self.closed4.contains { matches($0.0, $0.1) } : matches([0x20], 3) && !Self.closed6.contains { matches($0.0, $0.1) }
  }

  /// The IPv4 address that an IPv6 address stands for: mapped, compatible, translated (NAT64) or tunnelled (6to4).
  private var embedded: NetworkAddress? {
    guard bytes.count == 16 else { return nil }
    let zeros = [UInt8](repeating: 0, count: 10)
    if matches(zeros + [0xFF, 0xFF], 96) || matches([0x00, 0x64, 0xFF, 0x9B] + [UInt8](repeating: 0, count: 8), 96) {
      return NetworkAddress(bytes: Array(bytes[12...]))
    }
    if matches(zeros + [0, 0], 96), bytes[12] != 0 { return NetworkAddress(bytes: Array(bytes[12...])) }
    if matches([0x20, 0x02], 16) { return NetworkAddress(bytes: Array(bytes[2..<6])) }
    return nil
  }

  private func matches(_ prefix: [UInt8], _ bits: Int) -> Bool {
    for bit in 0..<bits where (bytes[bit / 8] ^ prefix[bit / 8]) & (0x80 >> UInt8(bit % 8)) != 0 { return false }
    return true
  }

  /// RFC 6890 and its registry: this network, private, shared, loopback, link-local (with cloud metadata), documentation, benchmarking, multicast, reserved.
  private static let closed4: [([UInt8], Int)] = [
    ([0], 8), ([10], 8), ([100, 64], 10), ([127], 8), ([169, 254], 16), ([172, 16], 12), ([192, 0, 0], 24), ([192, 0, 2], 24), ([192, 31, 196], 24),
    ([192, 52, 193], 24), ([192, 88, 99], 24), ([192, 168], 16), ([192, 175, 48], 24), ([198, 18], 15), ([198, 51, 100], 24), ([203, 0, 113], 24),
    ([224], 4), ([240], 4),
  ]
  /// Within 2000::/3: Teredo and other protocol assignments, documentation.
  private static let closed6: [([UInt8], Int)] = [([0x20, 0x01, 0x00], 23), ([0x20, 0x01, 0x0D, 0xB8], 32), ([0x3F, 0xFF, 0x00], 20)]
}
