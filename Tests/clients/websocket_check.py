"""Follows /v1/events on a WebSocket with the PyPI package websockets: websocket_check.py URL KEY COUNT. Prints so many changes, each a line of JSON."""

import json
import sys

from websockets.sync.client import connect

url, key, count = sys.argv[1:]
with connect(url, additional_headers={"Authorization": f"Bearer {key}"}, open_timeout=120) as socket:
    if not socket.ping().wait(120):
        sys.exit("the ping was not answered")
    left = int(count)
    while left > 0:
        message = json.loads(socket.recv(timeout=180))
        if message["type"] == "change":
            print(json.dumps({"id": message["change"]["id"], "cursor": message["cursor"]}))
            left -= 1
