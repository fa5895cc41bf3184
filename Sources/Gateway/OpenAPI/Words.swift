import CRMCore

/// The words around the documentation, in the reader's language. What endpoints say of themselves is in English.
struct Words {
  let language: String
  let title, skip, introduction, contents, schemas, open, parameters, name, place, type, meaning, required, body, answers, problems: String

  init(_ language: Language) {
    func pick(_ english: String, _ turkish: String) -> String { Phrase(english, tr: turkish).text(in: language) }
    self.language = language.rawValue
    title = pick("API documentation", "API belgeleri")
    skip = pick("Skip to the content", "İçeriğe geç")
    introduction = pick(
      "Every address of this API. Send the header Authorization: Bearer followed by an API key or a session's token. The same as a document for programs:",
      "Bu API'nin tüm adresleri. Authorization: Bearer başlığıyla bir API anahtarı ya da oturum jetonu gönderin. Programlar için aynı belge:")
    contents = pick("Contents", "İçindekiler")
    schemas = pick("Schemas", "Şemalar")
    open = pick("open to everyone", "herkese açık")
    parameters = pick("Parameters", "Parametreler")
    name = pick("Name", "Ad")
    place = pick("In", "Yer")
    type = pick("Type", "Tür")
    meaning = pick("Meaning", "Anlam")
    required = pick("required", "zorunlu")
    body = pick("Body", "Gövde")
    answers = pick("Answers", "Yanıtlar")
    problems = pick("Problems", "Sorunlar")
  }

  /// The head of a table.
  func columns(_ names: [String]) -> String {
    "<thead><tr lang=\"\(language)\">\(names.map { "<th scope=\"col\">\($0)</th>" }.joined())</tr></thead>"
  }
}
