"""Speaks the frames of HTTP/2 (RFC 9113) by hand, to do what no client does.

    http2_frames.py broken PORT CERTIFICATE          sends DATA on stream 0, which no stream has
    http2_frames.py late PORT CERTIFICATE FOLDER     connects, makes FOLDER/connected, waits for FOLDER/closing, and only then shakes hands

Prints each GOAWAY with its error code, and "closed" when the server has hung up.
"""

import pathlib
import socket
import ssl
import sys
import time

SETTINGS, PING, GOAWAY = 4, 6, 7


def frame(kind, flags, stream, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def main():
    what, port, certificate = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    context = ssl.create_default_context(cafile=certificate)
    context.set_alpn_protocols(["h2"])
    plain = socket.create_connection(("127.0.0.1", port), timeout=60)
    if what == "late":
        folder = pathlib.Path(sys.argv[4])
        (folder / "connected").touch()
        while not (folder / "closing").exists():
            time.sleep(0.02)
    wire = context.wrap_socket(plain, server_hostname="localhost")
    wire.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0))
    if what == "broken":
        wire.sendall(frame(0, 0, 0, b"x"))
    reader = wire.makefile("rb")
    while header := reader.read(9):
        payload = reader.read(int.from_bytes(header[:3], "big"))
        kind, flags = header[3], header[4]
        if kind == GOAWAY:
            print("goaway", int.from_bytes(payload[4:8], "big"), flush=True)
        elif kind == PING and not flags & 1:
            wire.sendall(frame(PING, 1, 0, payload))
        elif kind == SETTINGS and not flags & 1:
            wire.sendall(frame(SETTINGS, 1, 0))
    print("closed")


main()
