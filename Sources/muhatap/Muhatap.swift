import ArgumentParser
import Configuration
import Gateway

@main
struct Muhatap: AsyncParsableCommand {
  func run() async throws {}
}
