"""A small provider of text messages as docs/channels.md describes them, that behaves as real ones do.

    message_provider.py READY PID

READY is a file that gets the port. The key is "anahtar"; events are signed with the key "gizli-imza" and posted to the address that POST /watch gives.
What happens to a message depends on the end of its number:
  01 delivered, reported twice     02 refused for good (422)      03 taken in, but answered 503 at first
  04 reported as failed            05 reported before the answer  06 delivered, never reported
  07 failed, then a late "delivered" of an older try              08 busy (429) at first
"""
import base64, hashlib, hmac, json, os, sys, threading, time, urllib.request
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

READY, PARENT = sys.argv[1], int(sys.argv[2])
lock = threading.Lock()
messages, tries, inbox, watcher, keys = {}, {}, [], [None], []


def now():
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def post(event, body, secret=b"gizli-imza"):
    raw, stamp = json.dumps(body).encode(), str(int(time.time()))
    code = base64.b64encode(hmac.new(secret, f"{event}.{stamp}.".encode() + raw, hashlib.sha256).digest()).decode()
    request = urllib.request.Request(watcher[0], raw, {"content-type": "application/json", "webhook-id": event, "webhook-timestamp": stamp,
                                                       "webhook-signature": f"v1,{code}"}, method="POST")
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.status


def report(message, outcome, event, reason=None):
    message["state"] = outcome
    post(event, {"type": f"message.{outcome}", "data": {"id": message["id"], "reference": message["reference"], "at": now(), "reason": reason}})


class Provider(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body):
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def body(self):
        return json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or b"{}")

    def do_GET(self):
        if self.path == "/taken":
            return self.answer(200, {"messages": list(messages.values()), "tries": tries, "keys": keys})
        if self.headers.get("authorization") != "Bearer anahtar":
            return self.answer(401, {})
        if self.path.startswith("/inbox"):
            after = int((self.path.split("after=")[1].split("&")[0]) or 0)
            found = [m for m in inbox if int(m["marker"]) > after][:2]
            return self.answer(200, {"messages": found, "more": bool(found) and int(found[-1]["marker"]) < len(inbox)})
        name = self.path.rsplit("/", 1)[-1]
        for message in messages.values():
            if message["id"] == name:
                return self.answer(200, {**message, "at": now()})
        self.answer(404, {"error": {"message": "no such message"}})

    def do_POST(self):
        body = self.body()
        if self.path == "/watch":
            watcher[0] = body["url"]
            return self.answer(200, {})
        if self.path == "/say":
            body["marker"] = str(len(inbox) + 1)
            inbox.append(body)
            return self.answer(200, {})
        if self.path == "/post":
            for _ in range(2):
                post(body["event"], body["body"])
            return self.answer(200, {})
        if self.headers.get("authorization") != "Bearer anahtar":
            return self.answer(401, {})
        if self.path != "/messages":
            return self.answer(404, {})
        reference, end = body["reference"], body["to"][-2:]
        with lock:
            tries[reference] = tries.get(reference, 0) + 1
            first = tries[reference] == 1
            keys.append(self.headers.get("idempotency-key"))
            if end == "02":
                return self.answer(422, {"error": {"message": "the number is not in service"}})
            if end == "08" and first:
                return self.answer(429, {})
            known = messages.setdefault(reference, {"id": f"P-{len(messages) + 1}", "reference": reference, "to": body["to"], "text": body["text"], "state": "sent"})
        if end == "03" and first:
            return self.answer(503, {})
        if end == "05":
            report(known, "delivered", f"e-{known['id']}")
        self.answer(202, {"id": known["id"]})
        self.wfile.flush()
        time.sleep(0.3)
        if end == "01":
            report(known, "delivered", f"e-{known['id']}")
            report(known, "delivered", f"e-{known['id']}")
        if end == "04":
            report(known, "failed", f"e-{known['id']}", "the telephone is off")
        if end == "06":
            known["state"] = "delivered"
        if end == "07":
            report(known, "failed", f"e-{known['id']}", "absent")
            report(known, "delivered", f"late-{known['id']}")


server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
threading.Thread(target=server.serve_forever, daemon=True).start()
with open(READY + ".part", "w") as file:
    file.write(str(server.server_address[1]))
os.rename(READY + ".part", READY)
while os.path.isdir(f"/proc/{PARENT}") and os.path.exists(READY):
    time.sleep(0.2)
