"""The duplicate check through the gateway, against a million customers named as people and companies in Türkiye are."""

from __future__ import annotations

import http.client
import json
import socket
import statistics
import time

from server import ROOT, Gateway

CUSTOMERS = 1_000_000


def measure(bench) -> None:
    bench.cluster.make_database("bench_duplicates", customers=0, orders=0)
    bench.cluster.sql("bench_duplicates", (ROOT / "bench/duplicates.sql").read_text(), customers=CUSTOMERS)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    gateway = bench.gateways["bench_duplicates"] = Gateway.start(bench.cluster, "bench_duplicates", port, 2)
    known = bench.cluster.sql("bench_duplicates", "SELECT name FROM crm.customer TABLESAMPLE BERNOULLI (0.05) REPEATABLE (7) LIMIT 300").splitlines()
    asked = [{"name": typed(name, number), "emails": [f"m{number}@ornek.example"], "phones": [f"0530 {number:07d}"]} for number, name in enumerate(known)]
    took = ask(gateway, asked)
    median, worst = statistics.median(took), statistics.quantiles(took, n=20)[-1]
    bench.report.figure(f"duplicate check against {CUSTOMERS:,} customers, median of {len(took)}", f"{median:.1f} ms", "< 20 ms", median < 20)
    print(f"duplicate check: 95th percentile {worst:.1f} ms", flush=True)


def typed(name: str, number: int) -> str:
    """The name as somebody else types it: as it is, in capitals, or with a letter missing."""
    if number % 3 == 0:
        return name
    return name.replace("i", "İ").upper() if number % 3 == 1 else name[: len(name) // 2] + name[len(name) // 2 + 1:]


def ask(gateway: Gateway, bodies: list[dict]) -> list[float]:
    """Milliseconds of each request, one after the other on one connection, after a first round that warms what is cached."""
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=60)
    took: list[float] = []
    for warm in (True, False):
        for body in bodies[:20] if warm else bodies:
            start = time.perf_counter()
            connection.request("POST", "/v1/duplicates/check", json.dumps(body | {"resources": ["customers"]}), gateway.headers())
            answer = connection.getresponse()
            content = answer.read()
            if answer.status != 200:
                raise SystemExit(f"the check answered {answer.status}: {content[:500]!r}")
            if not warm:
                took.append((time.perf_counter() - start) * 1000)
    return took
