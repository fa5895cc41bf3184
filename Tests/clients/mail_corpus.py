"""Writes a corpus of e-mails into a folder, always the same: those of CPython's own tests (libpython3.11-testsuite), broken variants of them, and
sound Turkish mails in every encoding, whose text and subject manifest.json gives, so that a reader can be held against it.

    mail_corpus.py FOLDER COUNT
"""
import base64, glob, hashlib, json, os, quopri, random, re, sys
from email.header import Header

FOLDER, COUNT = sys.argv[1], int(sys.argv[2])
SEEDS = sorted(glob.glob("/usr/lib/python3.*/test/test_email/data/*.txt") + glob.glob("/usr/lib/python3.*/test/test_email/data/*.eml"))
if len(SEEDS) < 40:
    sys.exit("mail_corpus: install libpython3.11-testsuite")
dice = random.Random(20261122)
os.makedirs(FOLDER, exist_ok=True)
manifest, number = [], 0


def keep(raw, **known):
    global number
    name = f"{number:04d}.eml"
    with open(os.path.join(FOLDER, name), "wb") as file:
        file.write(raw)
    manifest.append({"file": name, "size": len(raw), "sha256": hashlib.sha256(raw).hexdigest(), **known})
    number += 1


# Sound Turkish mails ---------------------------------------------------------------------------------------------------------------

SENTENCES = [
    "Siparişim İzmir'e ulaşmadı, lütfen ilgilenir misiniz?", "Ürünün ağzı kırık çıktı; ödediğim ücreti geri istiyorum.",
    "Şikâyetimi ığdır şubenize de ilettim.", "ĞÜŞİÖÇ ğüşıöç IıİiJjÂâÎîÛû", "Faturayı Çağrı Öztürk adına düzenleyin.", "= eşittir; From satırı değil",
    ".", "From: sahte bir satır", "İyi günler dilerim.\tSaygılarımla", "100%=yüz _alt çizgi_ ?=soru",
]
SUBJECTS = ["Sipariş gecikti: 1234", "İade talebi – ĞÜŞİÖÇ", "ığdır şubesi hakkında uzun bir konu satırı ki bölünmesi gerekecek kadar uzun olsun diye yazıldı", "Fatura"]


def encoded_text(text, charset, transfer):
    raw = text.replace("\n", "\r\n").encode(charset)
    if transfer == "base64":
        return base64.encodebytes(raw).replace(b"\n", b"\r\n")
    if transfer == "quoted-printable":
        return quopri.encodestring(raw.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")
    return raw


def subject_line(text, charset, way):
    if way == "raw":
        return b"Subject: " + text.encode(charset)
    if way == "B":
        return b"Subject: " + Header(text, "utf-8" if charset == "utf-8" else charset, header_name="Subject").encode().replace("\n", "\r\n").encode()
    words = []
    for start in range(0, len(text), 12):
        body = "".join(f"={b:02X}" for b in text[start:start + 12].encode(charset))
        words.append(f"=?{charset}?Q?{body}?=")
    return b"Subject: " + b"\r\n ".join(w.encode() for w in words)


def entity(kind, text, charset, transfer):
    body = encoded_text(text, charset, transfer)
    return (f"Content-Type: text/{kind}; charset={charset}\r\nContent-Transfer-Encoding: {transfer}\r\n\r\n").encode() + body


def html_of(text):
    safe = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "<html><head><style>p { color: red }</style></head><body><p>" + safe.replace("\n", "<br>\n") + "</p><script>alert(1)</script></body></html>"


def sound(count):
    cases = [
        (charset, transfer, shape, way)
        for charset in ["iso-8859-9", "windows-1254", "utf-8"]
        for transfer in ["8bit", "quoted-printable", "base64"]
        for shape in ["plain", "html", "alternative", "mixed", "nested"]
        for way in ["B", "Q", "raw"]
    ]
    for index in range(count):
        charset, transfer, shape, way = cases[index % len(cases)]
        if way == "raw" and charset == "iso-8859-9":
            charset = "windows-1254"
        lines = dice.sample(SENTENCES, dice.randint(2, 6))
        if shape == "html":
            lines = [line.replace("\t", " ") for line in lines]
        text, subject = "\n".join(lines), dice.choice(SUBJECTS)
        if charset != "utf-8":
            subject = subject.replace("–", "-") if charset == "iso-8859-9" else subject
        head = [
            b"Return-Path: <musteri%d@ornek.example>" % index, b"Message-ID: <saglam-%d@ornek.example>" % index, b"Date: Sun, 22 Nov 2026 10:00:00 +0300",
            b"From: " + Header("Müşteri Şükrü %d" % index, "utf-8").encode().encode() + b" <musteri%d@ornek.example>" % index,
            b"To: Destek <destek@carsi.example>", subject_line(subject, charset, way), b"MIME-Version: 1.0",
        ]
        files = []
        if shape == "plain":
            body = entity("plain", text, charset, transfer)
        elif shape == "html":
            body = entity("html", html_of(text), charset, transfer)
        else:
            parts = [entity("plain", text, charset, transfer), entity("html", html_of(text), charset, transfer)]
            mark = f"sinir-{index}"
            joined = b"".join(b"--%s\r\n" % mark.encode() + part + b"\r\n" for part in parts) + b"--%s--\r\n" % mark.encode()
            body = f"Content-Type: multipart/alternative; boundary=\"{mark}\"\r\n\r\n".encode() + joined
            if shape in ("mixed", "nested"):
                data = dice.randbytes(dice.choice([0, 10, 1_000, 30_000]))
                name = "özet şeması.bin"
                files.append({"name": name, "sha256": hashlib.sha256(data).hexdigest()})
                file = (f"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment;\r\n"
                        f" filename*=utf-8''{''.join(f'%{b:02X}' for b in name.encode())}\r\n\r\n").encode() + base64.encodebytes(data).replace(b"\n", b"\r\n")
                body = (f"Content-Type: multipart/mixed; boundary=dis-{index}\r\n\r\n").encode() + b"".join(
                    b"--dis-%d\r\n" % index + part + b"\r\n" for part in [body, file]) + b"--dis-%d--\r\n" % index
                if shape == "nested":
                    for level in range(10):
                        body = (f"Content-Type: multipart/mixed; boundary=kat-{index}-{level}\r\n\r\n").encode() + b"--kat-%d-%d\r\n" % (index, level) + body \
                            + b"\r\n--kat-%d-%d--\r\n" % (index, level)
        keep(b"\r\n".join(head) + b"\r\n" + body, kind="sound", text=text, subject=subject, attachments=files)


# Broken ones -----------------------------------------------------------------------------------------------------------------------

def lines(raw):
    return raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def flip(raw):
    changed = bytearray(raw)
    for _ in range(max(1, len(raw) // 200)):
        changed[dice.randrange(len(changed))] = dice.randrange(256)
    return bytes(changed)


def header_junk(raw):
    junk = [b"Subject: \xde\xfd\xf0 \xc5\x9e \x00 junk", b"Subject: =?utf-8?B?w4fDvA=?= =?x-unknown?Q?=FF?=", b"From: \"acik tirnak <kim@ornek.example", b"From: <>",
            b"From: undisclosed", b"To: " + b"a@b.example, " * 3_000, b"Date: Thu, 99 Foo 20261 99:99:99 +9999", b"Message-ID: <<>@>", b"Content-Type: ;;;",
            b"Content-Type: multipart/mixed", b"Content-Transfer-Encoding: quoted-unreadable", b"References: <a@b> <c@d " + b"<x@y> " * 5_000, b": no name", b"no colon at all"]
    return dice.choice(junk) + b"\r\n" + raw


MUTATIONS = [
    flip,
    lambda raw: raw[:dice.randrange(len(raw))],
    lambda raw: raw.replace(b"\r\n\r\n", b"\r\n", 1),
    lambda raw: raw.replace(b"boundary=", dice.choice([b"boundry=", b"boundary=\"\"; x=", b"boundary=\xff\xfe"])),
    lambda raw: raw.replace(b"charset=", b"charset=" + dice.choice([b"x-klingon", b"utf-16", b"utf-7", b"\"\"", b"iso-2022-jp", b"gb2312", b"ebcdic-cp-tr"]) + b"; was="),
    lambda raw: raw.replace(b"\r\n", b"\n"),
    lambda raw: raw.replace(b"\r\n", b"\r"),
    lambda raw: raw.replace(b"base64", b"quoted-printable").replace(b"7bit", b"base64"),
    lambda raw: raw + b"\x00" * 100 + b"\xfe\xff" * 50,
    header_junk,
    lambda raw: header_junk(header_junk(raw)),
    lambda raw: b"\r\n".join(dice.sample(raw.split(b"\r\n"), raw.count(b"\r\n") + 1)),
    lambda raw: b"Subject: " + b"x" * 200_000 + b"\r\n" + raw,
    lambda raw: b"From kim@ornek.example Sun Nov 22 10:00:00 2026\r\n" + raw,
    lambda raw: b"Content-Type: message/rfc822\r\nFrom: a@b.example\r\n\r\n" + raw,
    lambda raw: raw + b"\r\n" + raw,
    lambda raw: b"\xef\xbb\xbf" + raw,
]


def deep(levels):
    head, tail = b"From: derin@ornek.example\r\nMessage-ID: <derin-%d@ornek.example>\r\n" % levels, b""
    for level in range(levels):
        head += b"Content-Type: multipart/mixed; boundary=d%d\r\n\r\n--d%d\r\n" % (level, level)
        tail = b"\r\n--d%d--" % level + tail
    return head + b"Content-Type: text/plain\r\n\r\nen dipte" + tail


def inside(levels):
    raw = b"From: ic@ornek.example\r\nSubject: en ic\r\n\r\nen icte\r\n"
    for _ in range(levels):
        raw = b"From: ic@ornek.example\r\nContent-Type: message/rfc822\r\n\r\n" + raw
    return raw


def huge():
    data = base64.encodebytes(dice.randbytes(6 << 20)).replace(b"\n", b"\r\n")
    yield b"From: buyuk@ornek.example\r\nMessage-ID: <buyuk-1@ornek.example>\r\nSubject: 6 MB ek\r\nContent-Type: application/octet-stream; name=buyuk.bin\r\n" \
        b"Content-Transfer-Encoding: base64\r\n\r\n" + data
    yield b"From: buyuk@ornek.example\r\nMessage-ID: <buyuk-2@ornek.example>\r\nSubject: uzun metin\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" \
        + "Çok uzun bir satır. ".encode() * 200_000
    yield b"From: buyuk@ornek.example\r\nMessage-ID: <buyuk-3@ornek.example>\r\nContent-Type: text/html\r\n\r\n" + b"<div><p>" * 100_000 + b"dip" + b"<a href=" * 10_000
    yield b"From: buyuk@ornek.example\r\nMessage-ID: <buyuk-4@ornek.example>\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" \
        + b"--b\r\nContent-Type: text/plain\r\n\r\nx\r\n" * 5_000 + b"--b--\r\n"


REPORTS = [
    (b"failed", b"5.1.1", "bounce"), (b"failed", b"4.4.7", "bounce"), (b"delayed", b"4.4.1", "auto_reply"), (b"delivered", b"2.0.0", "auto_reply"),
]


def reports():
    for index, (action, status, kind) in enumerate(REPORTS):
        yield (b"Return-Path: <>\r\nFrom: MAILER-DAEMON@relay.example\r\nTo: destek@carsi.example\r\nMessage-ID: <rapor-%d@relay.example>\r\n"
               b"Subject: Undelivered\r\nAuto-Submitted: auto-replied\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=r\r\n\r\n"
               b"--r\r\nContent-Type: text/plain\r\n\r\nIletiniz ulasmadi.\r\n--r\r\nContent-Type: message/delivery-status\r\n\r\n"
               b"Reporting-MTA: dns; relay.example\r\n\r\nFinal-Recipient: rfc822; yok@ornek.example\r\nAction: %s\r\nStatus: %s\r\n"
               b"Diagnostic-Code: smtp; 550 5.1.1 <yok@ornek.example>: no such\r\n user\r\n\r\n--r\r\nContent-Type: text/rfc822-headers\r\n\r\n"
               b"Message-ID: <asil-%d@carsi.example>\r\nSubject: asil\r\n\r\n--r--\r\n" % (index, action, status, index)), kind
    for index, field in enumerate([b"Auto-Submitted: auto-replied", b"X-Autoreply: yes", b"Precedence: bulk", b"Precedence: auto_reply"]):
        yield b"From: tatil@ornek.example\r\nMessage-ID: <tatil-%d@ornek.example>\r\nSubject: Ofis disindayim\r\n%s\r\n\r\nTatildeyim.\r\n" % (index, field), "auto_reply"
    for index, field in enumerate([b"Auto-Submitted: no", b"Precedence: list\r\nList-Id: <destek.carsi.example>"]):
        yield b"From: insan@ornek.example\r\nMessage-ID: <insan-%d@ornek.example>\r\nSubject: Soru\r\n%s\r\n\r\nMerhaba.\r\n" % (index, field), "message"


sound(COUNT * 4 // 10)
for raw, kind in reports():
    keep(raw, kind="classified", expected=kind)
for raw in huge():
    keep(raw, kind="huge")
for raw in [deep(5), deep(70), deep(3_000), inside(5), inside(200), b"", b"\x00", b"\r\n", b"\r\n\r\n", b"hello", b":", dice.randbytes(5_000), dice.randbytes(100) * 100]:
    keep(raw, kind="odd")
seeds = [lines(open(path, "rb").read()) for path in SEEDS]
for raw in seeds:
    keep(raw, kind="seed")
while number < COUNT:
    raw = dice.choice(seeds)
    # Some keep the id of what they were made from: different messages under one id.
    if dice.random() < 0.7:
        raw = re.sub(rb"(?im)^message-id:[^\r]*", b"Message-ID: <bozuk-%d@ornek.example>" % number, raw, count=1)
    for _ in range(dice.choice([1, 1, 1, 2, 3])):
        raw = dice.choice(MUTATIONS)(raw)
    keep(raw or b"\r\n", kind="mutated")
with open(os.path.join(FOLDER, "manifest.json"), "w") as file:
    json.dump(manifest, file, ensure_ascii=False)
print(number)
