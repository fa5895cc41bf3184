package import PostgresClient

extension Problem {
  /// Writes the problem as an object of RFC 9457. `instance` and `requestID` name the request, where the problem is the whole answer.
  package func write(to writer: inout JSONWriter, language: Language, instance: String? = nil, requestID: String? = nil) {
    writer.beginObject()
    writer.key("type")
    writer.string("urn:muhatap:problem:\(code)")
    writer.key("title")
    writer.string(title.text(in: language))
    writer.key("status")
    writer.integer(status)
    writer.key("code")
    writer.string(code)
    if let detail {
      writer.key("detail")
      writer.string(detail.text(in: language))
    }
    if let instance {
      writer.key("instance")
      writer.string(instance)
    }
    if let requestID {
      writer.key("request_id")
      writer.string(requestID)
    }
    if !errors.isEmpty {
      writer.key("errors")
      writer.beginArray()
      for error in errors {
        writer.beginObject()
        // A pointer leads into the body; anything else names a query parameter.
        writer.key(error.pointer.isEmpty || error.pointer.hasPrefix("/") ? "pointer" : "parameter")
        writer.string(error.pointer)
        writer.key("code")
        writer.string(error.code)
        writer.key("detail")
        writer.string(error.message.text(in: language))
        writer.endObject()
      }
      writer.endArray()
    }
    for member in extensions {
      writer.key(member.name)
      writer.raw(member.json.utf8)
    }
    writer.endObject()
  }
}
