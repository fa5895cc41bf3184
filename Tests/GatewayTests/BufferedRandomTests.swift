import Testing

@testable import Gateway

@Suite("Random numbers for request ids")
struct BufferedRandomTests {
  @Test("no number comes twice, however often the buffer is filled, nor in two generators")
  func distinct() {
    var (one, other) = (BufferedRandom(), BufferedRandom())
    let numbers = (0..<500).flatMap { _ in [one.next(), other.next()] }
    #expect(Set(numbers).count == 1_000)
  }
}
