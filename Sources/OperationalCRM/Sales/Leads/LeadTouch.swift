import CRMCore

/// How somebody came to us this time: the campaign parameters of the page they came through.
struct LeadTouch: OperationInput {
  let source: String?
  let medium: String?
  let campaign: String?
  let term: String?
  let content: String?
  let page: String?

  init(_ fields: inout InputReader) {
    source = fields.optionalText("utm_source", "utm_source of the page they came through, such as newsletter.", maximum: 300)
    medium = fields.optionalText("utm_medium", "utm_medium, such as email.", maximum: 300)
    campaign = fields.optionalText("utm_campaign", "utm_campaign.", maximum: 300)
    term = fields.optionalText("utm_term", "utm_term.", maximum: 300)
    content = fields.optionalText("utm_content", "utm_content.", maximum: 300)
    page = fields.optionalText("page", "The page's address.")
  }
}
