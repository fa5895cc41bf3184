"""Runs an IMAP server (Dovecot, unprivileged) and an SMTP sink (aiosmtpd) in a folder of their own until the process PID ends.

    mail_servers.py FOLDER PID

When both answer, FOLDER/ready.json gives their ports. Every user's password is "gizli"; FOLDER/mail/USER/new takes mails for USER.
The sink keeps what it takes in FOLDER/sink, one file each, named in their order, beginning with the envelope. It refuses recipients that begin with
"reddet" for good (550), puts off those that begin with "sonra" at the first attempt (451), and passes mail to *@carsi.example into that user's mailbox.
A second listener takes mail only by STARTTLS and from those who sign in. FOLDER/sink/N.json tells by which connection N.eml came, whether by TLS, and as whom.
"""
import asyncio, json, os, pwd, shutil, signal, socket, ssl, subprocess, sys, threading, time
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

# Whoever starts this from a thread hands down that thread's blocked signals, and Dovecot needs them to see its children end.
signal.pthread_sigmask(signal.SIG_SETMASK, [])
FOLDER, PARENT = os.path.realpath(sys.argv[1]), int(sys.argv[2])
ROOT = os.geteuid() == 0
USER = "nobody" if ROOT else pwd.getpwuid(os.geteuid()).pw_name


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


for name in ["", "run", "mail", "sink"]:
    os.makedirs(os.path.join(FOLDER, name), exist_ok=True)
subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
                "-keyout", f"{FOLDER}/key.pem", "-out", f"{FOLDER}/certificate.pem"], check=True, capture_output=True)
# Late, so that nobody else takes them in between.
IMAP, IMAPS, SMTP, SMTP_TLS = free_port(), free_port(), free_port(), free_port()
with open(f"{FOLDER}/dovecot.conf", "w") as file:
    file.write(f"""
protocols = imap
base_dir = {FOLDER}/run
log_path = {FOLDER}/dovecot.log
listen = 127.0.0.1
default_internal_user = {USER}
default_login_user = {USER}
default_internal_group = {"nogroup" if ROOT else ""}
ssl = yes
ssl_cert = <{FOLDER}/certificate.pem
ssl_key = <{FOLDER}/key.pem
disable_plaintext_auth = no
mail_location = maildir:{FOLDER}/mail/%u
passdb {{
  driver = static
  args = password=gizli
}}
userdb {{
  driver = static
  args = uid={USER} home={FOLDER}/mail/%u
}}
service anvil {{
  chroot =
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {IMAP}
  }}
  inet_listener imaps {{
    port = {IMAPS}
  }}
}}
""".replace("default_internal_group = \n", ""))
if ROOT:
    for path, _, files in os.walk(FOLDER):
        for name in [path] + [os.path.join(path, f) for f in files]:
            shutil.chown(name, USER)


class Sink:
    def __init__(self):
        self.count = 0
        self.put_off = set()
        self.lock = threading.Lock()

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("reddet"):
            return "550 5.1.1 no such user"
        if address.startswith("sonra") and address not in self.put_off:
            self.put_off.add(address)
            return "451 4.3.0 come back later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        with self.lock:
            self.count += 1
            with open(f"{FOLDER}/sink/{self.count:06d}.json", "w") as file:
                json.dump({"connection": session.peer[1], "tls": session.ssl is not None, "user": session.auth_data}, file)
            with open(f"{FOLDER}/sink/.part", "wb") as file:
                file.write(f"Envelope: {envelope.mail_from} {' '.join(envelope.rcpt_tos)}\r\n".encode() + envelope.original_content)
            os.rename(f"{FOLDER}/sink/.part", f"{FOLDER}/sink/{self.count:06d}.eml")
        for address in envelope.rcpt_tos:
            if address.endswith("@carsi.example"):
                box = f"{FOLDER}/mail/{address.split('@')[0]}/new"
                os.makedirs(box, exist_ok=True)
                name = f"{time.time_ns()}.sink"
                with open(f"{FOLDER}/{name}", "wb") as file:
                    file.write(b"Return-Path: <%s>\r\n" % envelope.mail_from.encode() + envelope.original_content)
                if ROOT:
                    for path in (os.path.dirname(box), box, f"{FOLDER}/{name}"):
                        shutil.chown(path, USER)
                # Dovecot moves what lies in the box as soon as somebody reads there.
                os.rename(f"{FOLDER}/{name}", f"{box}/{name}")
        return "250 2.0.0 OK"


def answers(port):
    """Whether Dovecot answers there, and not somebody who took the port meanwhile."""
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as connection:
            connection.settimeout(5)
            return b"Dovecot" in connection.recv(1000)
    except OSError:
        return False


def authenticate(server, session, envelope, mechanism, data):
    if data.password != b"gizli":
        return AuthResult(success=False, handled=False)
    return AuthResult(success=True, auth_data=data.login.decode())


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(f"{FOLDER}/certificate.pem", f"{FOLDER}/key.pem")
sink = Sink()
controller = Controller(sink, hostname="127.0.0.1", port=SMTP, ready_timeout=60)
guarded = Controller(sink, hostname="127.0.0.1", port=SMTP_TLS, ready_timeout=60, tls_context=context, require_starttls=True, auth_required=True, authenticator=authenticate)
controller.start()
guarded.start()
command = ["dovecot", "-F", "-c", f"{FOLDER}/dovecot.conf"]
if ROOT:
    command = ["setpriv", f"--reuid={USER}", "--regid=nogroup", "--clear-groups"] + command
server = subprocess.Popen(command, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
try:
    deadline = time.monotonic() + 100
    while not answers(IMAP):
        # Whoever asked for the servers tries once more, with other ports.
        if server.poll() is not None or time.monotonic() > deadline:
            sys.exit(1)
        time.sleep(0.05)
    with open(f"{FOLDER}/ready.part", "w") as file:
        json.dump({"imap": IMAP, "imaps": IMAPS, "smtp": SMTP, "smtpTLS": SMTP_TLS}, file)
    os.rename(f"{FOLDER}/ready.part", f"{FOLDER}/ready.json")
    while os.path.isdir(f"/proc/{PARENT}") and os.path.exists(f"{FOLDER}/ready.json") and server.poll() is None:
        time.sleep(0.2)
finally:
    server.terminate()
    server.wait(10)
    controller.stop()
    guarded.stop()
    shutil.rmtree(FOLDER, ignore_errors=True)
