package import CRMCore

extension Concept {
  /// What customers are asked, and what they answer.
  static let surveys = Concept(
    resources: [.surveys, .surveyQuestions, .surveyInvitations, .surveyResponses], operations: [.activateSurvey, .closeSurvey, .inviteToSurvey],
    reads: [.surveyResults, .surveyChoices, .surveyParticipation],
    endpoints: { database, model in PublicSurvey(database: database, catalogue: model.catalogue).endpoints },
    jobs: [.surveySending], schedules: [.surveySending])
}

extension Resource {
  /// What customers are asked, upon what, and how often at most. Activated and closed by operations.
  package static let surveys = Resource(
    "surveys", singular: "survey", table: "crm.survey", area: .service,
    create: [
      "code", "name", "kind", "event", "legal_class", "channel", "channel_account_id", "brand_id", "base_address", "sampling_percent", "delay_hours",
      "rest_days",
      "valid_days", "title_en", "title_tr", "intro_en", "intro_tr", "thanks_en", "thanks_tr", "follow_up_at_most", "follow_up_days",
    ],
    change: [
      "name", "event", "legal_class", "channel", "channel_account_id", "brand_id", "base_address", "sampling_percent", "delay_hours", "rest_days", "valid_days",
      "title_en", "title_tr", "intro_en", "intro_tr", "thanks_en", "thanks_tr", "follow_up_at_most", "follow_up_days",
    ],
    expand: [.many("questions", of: "survey_questions", by: "survey_id")], search: ["name", "code"], order: "name")

  /// A question of a survey; it changes only while the survey is a draft.
  package static let surveyQuestions = Resource(
    "survey_questions", singular: "survey_question", table: "crm.survey_question", area: .service,
    create: ["survey_id", "place", "code", "kind", "text_en", "text_tr", "low_en", "low_tr", "high_en", "high_tr", "options", "required"],
    change: ["place", "code", "kind", "text_en", "text_tr", "low_en", "low_tr", "high_en", "high_tr", "options", "required"], deletable: true,
    expand: ["survey"], order: "place")

  /// A person to be asked, or not to be asked and why; made by what happens and by `invite_to_survey`.
  package static let surveyInvitations = Resource(
    "survey_invitations", singular: "survey_invitation", table: "crm.survey_invitation", area: .service,
    expand: ["survey", "customer", "contact", "ticket", "order", .many("responses", of: "survey_responses", by: "invitation_id")], order: "-due_at")

  /// What a person answered; never changed.
  package static let surveyResponses = Resource(
    "survey_responses", singular: "survey_response", table: "crm.survey_response", area: .service,
    expand: ["survey", "customer", "contact", "ticket", "order", "invitation", "activity"], order: "-answered_at", dated: "answered_at")
}
