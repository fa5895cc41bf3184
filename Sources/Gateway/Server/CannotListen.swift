import Foundation
import NIOCore

/// The address that the server is to listen on is taken, is not this machine's, or may not be listened on.
struct CannotListen: Error, CustomStringConvertible {
  let description: String

  init(host: String, port: Int, _ error: IOError) {
    let reason = String(cString: strerror(error.errnoCode))
    description = "Cannot listen on \(host):\(port): \(reason). MUHATAP_HTTP_HOST and MUHATAP_HTTP_PORT set the address."
  }
}
