"""The live channel under load: many clients of server-sent events, many changes, and proof of what each was told.

Every authorised client is to see each change once and in order, also after it has reconnected; nobody a hidden one; and the time from a change's COMMIT until a
client holds it is to stay small. The clients are of the demo company's people, whose rights differ; a third of the customers written is hidden from some of them.
What each client saw is compared with what /v1/changes, under row-level security, shows its person. Run it with an otherwise idle machine:

    scripts/python >/dev/null && .local/python/bin/python bench/live.py --clients 500 --rate 200 --seconds 20
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import server as programs

PEOPLE = ["deniz", "ayse", "mehmet", "gul", "elif", "can", "zeynep", "burak", "fatma"]
# One change in this many is as everybody's, so that hidden ones stand between visible ones.
KINDS = [("company", None), ("department", "sales"), ("department", "sales_corporate"), ("private", "sales"), ("department", "service")]


@dataclass
class Client:
    person: str
    key: str
    port: int
    reconnects: bool
    cursor: str | None = None
    seen: list[str] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    connections: int = 0
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    done: bool = False

    async def run(self, last: asyncio.Future) -> None:
        while not self.done:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 22)
            after = f"Last-Event-ID: {self.cursor}\r\n" if self.cursor else ""
            writer.write(f"GET /v1/events?resource=customers HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {self.key}\r\n{after}\r\n".encode())
            self.connections += 1
            leaves = time.monotonic() + random.uniform(3, 10) if self.reconnects else float("inf")
            try:
                head = await reader.readuntil(b"\r\n\r\n")
                if b" 200 " not in head.split(b"\r\n", 1)[0]:
                    raise SystemExit(f"{self.person} was refused: {head[:200]!r}")
                await self.read(reader, leaves, last)
            except (asyncio.IncompleteReadError, ConnectionError):
                pass
            finally:
                writer.close()

    async def read(self, reader: asyncio.StreamReader, leaves: float, last: asyncio.Future) -> None:
        rest = b""
        while not self.done and time.monotonic() < leaves:
            size = int((await reader.readline()).strip() or b"0", 16)
            rest += (await reader.readexactly(size + 2))[:-2]
            now = time.time()
            *events, rest = rest.split(b"\n\n")
            for event in events:
                self.take(event, now)
            if last.done() and self.seen and self.seen[-1] == last.result():
                self.done = True

    def take(self, event: bytes, now: float) -> None:
        lines = event.split(b"\n")
        data = b""
        for line in lines:
            if line.startswith(b"id: "):
                self.cursor = line[4:].decode()
            elif line.startswith(b"data: "):
                data = line[6:]
        self.ready.set()
        if lines[0].startswith(b"event:"):
            return
        # Parsing 100,000 changes a second as JSON would measure this program: what is needed stands at known places.
        place = data.find(b'"id":"')
        self.seen.append(data[place + 6 : place + 42].decode())
        place = data.find(b'"note": "t')
        if place < 0:
            place = data.find(b'"note":"t')
        if place >= 0:
            start = data.index(b"t", data.index(b'"', place + 7)) + 1
            self.latencies.append(now - float(data[start : data.index(b'"', start)]))


def writer_script(seconds: int, rate: int) -> str:
    """Customers at a steady rate; each notes the time at which it is written."""
    kinds = ", ".join(f"('{visibility}', {'NULL' if code is None else repr(code)})" for visibility, code in KINDS)
    return f"""
        CREATE TEMP TABLE kind AS SELECT row_number() OVER () - 1 AS number, k.visibility, (SELECT d.id FROM crm.department d WHERE d.code = coalesce(k.code, 'sales')) AS department_id
          FROM (VALUES {kinds}) AS k (visibility, code);
        CREATE PROCEDURE pg_temp.write(seconds integer, rate integer) LANGUAGE plpgsql AS $$
        DECLARE began timestamptz := clock_timestamp(); wait double precision;
        BEGIN
          FOR i IN 0..seconds * rate - 1 LOOP
            wait := i::double precision / rate - extract(epoch FROM clock_timestamp() - began);
            IF wait > 0 THEN PERFORM pg_sleep(wait); END IF;
            INSERT INTO crm.customer (kind, name, note, department_id, visibility, owner_id)
            SELECT 'organisation', 'live ' || i, 't' || extract(epoch FROM clock_timestamp()), k.department_id, k.visibility,
              (SELECT u.id FROM crm.app_user u WHERE u.email = 'mehmet@carsi.example') FROM kind k WHERE k.number = i % {len(KINDS)};
            COMMIT;
          END LOOP;
        END $$;
        CALL pg_temp.write({seconds}, {rate});
    """


async def load(cluster: programs.Cluster, gateway: programs.Gateway, keys: dict[str, str], arguments: argparse.Namespace) -> dict:
    start = {person: (await asyncio.to_thread(cursor_now, gateway, key)) for person, key in keys.items()}
    last: asyncio.Future = asyncio.get_running_loop().create_future()
    clients = [
        Client(PEOPLE[i % len(PEOPLE)], keys[PEOPLE[i % len(PEOPLE)]], gateway.port, reconnects=i % 5 == 0, cursor=start[PEOPLE[i % len(PEOPLE)]])
        for i in range(arguments.clients)
    ]
    tasks = [asyncio.create_task(client.run(last)) for client in clients]
    await asyncio.sleep(3)
    cpu = gateway.cpu_seconds()
    process = await asyncio.create_subprocess_exec(
        "psql", "-XqAt", "--set=ON_ERROR_STOP=1", cluster.url("postgres", "live"), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    await process.communicate(writer_script(arguments.seconds, arguments.rate).encode())
    cpu = gateway.cpu_seconds() - cpu
    end = await asyncio.to_thread(
        gateway.json, "POST", "/v1/customers", {"name": "the end", "kind": "organisation", "visibility": "company"})
    last.set_result(end["id"])
    done, pending = await asyncio.wait(tasks, timeout=60)
    for task in done:
        task.result()
    for task in pending:
        task.cancel()
    wrong = []
    expected = {}
    for person, key in keys.items():
        expected[person] = await asyncio.to_thread(feed, gateway, key, start[person], end["id"])
    for client in clients:
        if client.seen != expected[client.person]:
            wrong.append(f"{client.person}: saw {len(client.seen)} of {len(expected[client.person])}, {len(client.seen) - len(set(client.seen))} twice")
    latencies = sorted(latency for client in clients for latency in client.latencies)
    return {
        "clients": len(clients), "changes": arguments.rate * arguments.seconds, "told": sum(len(client.seen) for client in clients),
        "reconnects": sum(client.connections - 1 for client in clients), "wrong": wrong, "unfinished": len(pending),
        "people_see": {person: len(changes) for person, changes in expected.items()},
        "latency_ms": {name: round(latencies[min(len(latencies) - 1, int(len(latencies) * share))] * 1000, 1)
                       for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0))},
        "gateway_cpu_seconds": round(cpu, 2), "gateway_memory_mib": round(gateway.memory_mib(), 1),
    }


def as_person(gateway: programs.Gateway, key: str) -> programs.Gateway:
    return programs.Gateway(gateway.process, gateway.port, key)


def cursor_now(gateway: programs.Gateway, key: str) -> str:
    """The place behind everything that has happened, as one of the people: the first event of a stream says it."""
    import socket

    with socket.create_connection(("127.0.0.1", gateway.port)) as connection:
        connection.sendall(f"GET /v1/events HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {key}\r\n\r\n".encode())
        received = b""
        while b"\n\n" not in received.partition(b"\r\n\r\n")[2]:
            received += connection.recv(65536)
    return received.partition(b"\nid: ")[2].partition(b"\n")[0].decode()


def feed(gateway: programs.Gateway, key: str, cursor: str, last: str) -> list[str]:
    """What row-level security shows one of the people of the customers since a place."""
    person = as_person(gateway, key)
    found: list[str] = []
    for _ in range(10_000):
        page = person.json("GET", f"/v1/changes?resource=customers&limit=1000&after={cursor}")
        found += [change["id"] for change in page["data"]]
        if last in found:
            return found[: found.index(last) + 1]
        cursor = page["next_cursor"] or cursor
        if not page["data"]:
            time.sleep(0.1)
    raise SystemExit("the feed never came to its end")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=500)
    parser.add_argument("--rate", type=int, default=200, help="changes a second")
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--program", type=Path, default=programs.PROGRAM)
    parser.add_argument("--bar", type=float, default=500, help="the largest 99th percentile, in milliseconds")
    arguments = parser.parse_args()
    programs.PROGRAM = arguments.program
    directory = Path(tempfile.mkdtemp(prefix="muhatap-live-"))
    cluster = programs.Cluster(directory / "cluster")
    try:
        cluster.make_database("live", customers=0, orders=0)
        gateway = programs.Gateway.start(cluster, "live", 18190, connections=4, user="deniz@carsi.example")
        try:
            url = cluster.url("crm_app", "live")
            keys = {
                person: programs.muhatap(url, "admin", "api-key", "--user", f"{person}@carsi.example", "--name", "live").splitlines()[-1] for person in PEOPLE
            }
            result = asyncio.run(load(cluster, gateway, keys, arguments))
        finally:
            gateway.stop()
    finally:
        cluster.remove()
    print(json.dumps(result, indent=2, ensure_ascii=False))
    if result["wrong"] or result["unfinished"] or result["latency_ms"]["p99"] > arguments.bar:
        raise SystemExit("the bar is missed")


if __name__ == "__main__":
    main()
