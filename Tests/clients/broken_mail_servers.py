"""Mail servers that fail in the ways real ones do, each on a port of its own, until the process PID ends.

    broken_mail_servers.py READY PID

READY is a file that gets the ports by name, as JSON. The names of SMTP servers begin with smtp_ and say where they fail; those of IMAP servers begin with imap_;
each of their mailboxes holds the messages 1, 2 and 3. Everybody may sign in.
"""
import json, os, re, socketserver, sys, threading, time

READY, PARENT = sys.argv[1], int(sys.argv[2])
MESSAGES = {uid: f"Message-ID: <b{uid}@ornek.example>\r\nFrom: a@ornek.example\r\nSubject: {uid}\r\n\r\nMerhaba {uid}\r\n".encode() for uid in (1, 2, 3)}


class Line(socketserver.StreamRequestHandler):
    def say(self, text):
        self.wfile.write(text.encode() + b"\r\n")
        self.wfile.flush()

    def hang(self):
        time.sleep(120)
        raise ConnectionError


class SMTP(Line):
    def step(self, name, good, **bad):
        """Answers a step of the conversation: as the server's way says, or well."""
        if self.server.way == f"hang_{name}":
            self.hang()
        self.say(bad.get(self.server.way, good))

    def handle(self):
        try:
            self.step("greeting", "220 posta ESMTP", refuse_greeting="554 5.7.1 nobody from there")
            while line := self.rfile.readline():
                word = line.split()[0].upper() if line.split() else b""
                if word in (b"EHLO", b"HELO"):
                    self.step("hello", "250 posta", refuse_hello="550 5.5.0 go away")
                elif word == b"MAIL":
                    self.step("mail", "250 2.1.0 ok", refuse_mail="530 5.7.0 sign in first")
                elif word == b"RCPT":
                    self.step("rcpt", "250 2.1.5 ok", drop_rcpt="421 4.3.2 going down")
                    if self.server.way == "drop_rcpt":
                        return
                elif word == b"DATA":
                    self.step("data", "354 go on")
                    while self.rfile.readline() not in (b".\r\n", b""):
                        pass
                    if self.server.way == "slow_end":
                        time.sleep(4)
                    self.step("end", "250 2.0.0 taken", refuse_end="552 5.3.4 too large")
                elif word == b"QUIT":
                    self.say("221 2.0.0 bye")
                    return
                else:
                    self.say("250 2.0.0 ok")
        except OSError:
            pass


class IMAP(Line):
    def message(self, number, section):
        raw = MESSAGES[number]
        if section == "HEADER":
            raw = raw.split(b"\r\n\r\n")[0] + b"\r\n\r\n"
        way = self.server.way
        if number == 2 and (way == "mute" or way == "refuse_body" and section == ""):
            return False
        self.say(f"* {number} FETCH (UID {number} BODY[{section}] {{{len(raw)}}}")
        if number == 2 and way in ("drop", "hang"):
            self.wfile.write(raw[:20])
            self.wfile.flush()
            if way == "hang":
                self.hang()
            raise ConnectionError
        self.wfile.write(raw + b")\r\n")
        return True

    def handle(self):
        try:
            self.say("* OK hazir")
            while line := self.rfile.readline().decode().strip():
                tag, _, rest = line.partition(" ")
                command = rest.upper()
                if command.startswith("CAPABILITY"):
                    self.say("* CAPABILITY IMAP4rev1")
                elif command.startswith("STATUS"):
                    if self.server.way == "no_folder":
                        self.say(f"{tag} NO [NONEXISTENT] no such mailbox")
                        continue
                    self.say('* STATUS "INBOX" (UIDVALIDITY 7 UIDNEXT 4)')
                elif command.startswith("SELECT"):
                    self.say("* 3 EXISTS")
                    self.say("* OK [UIDVALIDITY 7] numbered")
                elif "RFC822.SIZE" in command:
                    first, last = (int(n) for n in re.search(r"FETCH (\d+)(?::(\d+))? ", command + " ").groups(default="0"))
                    for number, raw in MESSAGES.items():
                        if first <= number <= max(first, last):
                            self.say(f'* {number} FETCH (UID {number} RFC822.SIZE {len(raw)} INTERNALDATE "22-Nov-2026 10:00:00 +0300")')
                elif "BODY[" in command:
                    found = re.search(r"FETCH (\d+) BODY\[(\w*)\]", command)
                    if not self.message(int(found[1]), found[2]):
                        self.say(f"{tag} NO [SERVERBUG] internal error")
                        continue
                elif command.startswith("LOGOUT"):
                    self.say("* BYE")
                    self.say(f"{tag} OK done")
                    return
                self.say(f"{tag} OK done")
        except OSError:
            pass


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


ports = {}
SMTP_WAYS = ["refuse_greeting", "refuse_hello", "refuse_mail", "refuse_end", "drop_rcpt", "slow_end", "hang_greeting", "hang_hello", "hang_mail", "hang_rcpt", "hang_data",
             "hang_end"]
for kind, handler, ways in [("smtp", SMTP, SMTP_WAYS), ("imap", IMAP, ["drop", "hang", "refuse_body", "mute", "no_folder"])]:
    for way in ways:
        server = Server(("127.0.0.1", 0), handler)
        server.way = way
        threading.Thread(target=server.serve_forever, daemon=True).start()
        ports[f"{kind}_{way}"] = server.server_address[1]
with open(READY + ".part", "w") as file:
    json.dump(ports, file)
os.rename(READY + ".part", READY)
while os.path.isdir(f"/proc/{PARENT}") and os.path.exists(READY):
    time.sleep(0.2)
