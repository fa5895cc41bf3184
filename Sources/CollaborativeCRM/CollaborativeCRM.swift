package import CRMCore

/// Every contact with a customer, on every channel, and what the customer allowed.
package enum CollaborativeCRM {
  package static let concepts: [Concept] = [
    .channels, .phone, .interactions, .conversations, .timeline, .notices, .attachments, .identity, .comments, .sharing,
    .consent, .preferences, .registry,
    .privacy, .retention,
    .webhooks, .webChat, .webForms, .webTracking,
  ]
}
