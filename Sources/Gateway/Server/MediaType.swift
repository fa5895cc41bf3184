/// Whether a `Content-Type` names JSON: `application/json`, or a type built on it such as `application/merge-patch+json`.
func isJSON(mediaType: String) -> Bool {
  let essence = mediaType.prefix { $0 != ";" && $0 != " " }.lowercased()
  return essence == "application/json" || (essence.hasPrefix("application/") && essence.hasSuffix("+json"))
}
