import CRMCore
import PostgresClient

extension ReadOperation {
  /// How the accounts do that are read or sent from.
  static let channelStates = ReadOperation(
    "list_channel_states", "/v1/channel_states", tag: "channel_accounts", access: .read(.admin),
    "How every account does: when it was last read, and what is wrong",
    description:
      "is_silent tells an active account that should be read every minute and has not been for ten. waiting and failing are messages that are queued, and that "
      + "failed or bounced within a day, as far as the caller may see them. Accounts with a problem come first.",
    input: NoInput.self,
    row: [
      "channel_account_id": AnswerField.id, "code": AnswerField.text, "name": AnswerField.text, "channel": AnswerField.text, "provider": AnswerField.text,
      "is_active": AnswerField.flag, "is_silent": AnswerField.flag, "checked_at": AnswerField.optional(AnswerField.instant),
      "problem": AnswerField.optional(AnswerField.text), "problem_at": AnswerField.optional(AnswerField.instant), "waiting": AnswerField.count,
      "failing": AnswerField.count,
    ], reading: [.admin, .customers]
  ) { _, _ in
    """
    SELECT a.id AS channel_account_id, a.code, a.name, a.channel, a.provider, a.is_active,
           a.is_active AND a.provider IN ('smtp_imap', 'http_sms', 'http_social') AND coalesce(s.checked_at, a.created_at) < now() - interval '10 minutes' AS is_silent,
           s.checked_at, s.problem, s.problem_at,
           (SELECT count(*) FROM crm.outbound_message m WHERE m.channel_account_id = a.id AND m.state = 'queued') AS waiting,
           (SELECT count(*) FROM crm.outbound_message m WHERE m.channel_account_id = a.id AND m.state IN ('failed', 'bounced') AND m.updated_at > now() - interval '1 day')
             AS failing
      FROM crm.channel_account a LEFT JOIN crm.channel_state s ON s.channel_account_id = a.id
     ORDER BY s.problem IS NULL, a.is_active DESC, a.code
    """
  }
}
