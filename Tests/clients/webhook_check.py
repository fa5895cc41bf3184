"""Verifies messages with the reference library of Standard Webhooks: reads JSON lines of {"secret", "headers", "body"}, prints a line for each: ok, or why not."""

import json
import sys

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

for line in sys.stdin:
    message = json.loads(line)
    try:
        Webhook(message["secret"]).verify(message["body"], message["headers"])
        print("ok")
    except WebhookVerificationError as error:
        print(error)
