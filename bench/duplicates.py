"""The duplicate check through the gateway, against a million customers named as people and companies in Türkiye are."""

from __future__ import annotations

import http.client
import json
import socket
import statistics
import time

from server import ROOT, Gateway

CUSTOMERS = 1_000_000
SAMPLE = """
    CREATE TABLE public.asked AS SELECT name FROM crm.customer TABLESAMPLE BERNOULLI (0.05) REPEATABLE (7) LIMIT 300;
    SELECT name FROM public.asked"""
# The same checks without a gateway, in one session, for the CPU they take: on a busy machine the time says more of the others.
CHECKS = """
    SET muhatap.read_customers = '*';
    DO $$ DECLARE known text; BEGIN
      FOR known IN SELECT name FROM public.asked LOOP
        PERFORM FROM crm.customer_duplicates(known, NULL, ARRAY['m1@ornek.example'], ARRAY['0530 0000001']);
      END LOOP;
    END $$"""


def measure(bench) -> None:
    bench.cluster.make_database("bench_duplicates", customers=0, orders=0)
    bench.cluster.sql("bench_duplicates", (ROOT / "bench/duplicates.sql").read_text(), customers=CUSTOMERS)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    gateway = bench.gateways["bench_duplicates"] = Gateway.start(bench.cluster, "bench_duplicates", port, 2)
    known = bench.cluster.sql("bench_duplicates", SAMPLE).splitlines()
    asked = [{"name": typed(name, number), "emails": [f"m{number}@ornek.example"], "phones": [f"0530 {number:07d}"]} for number, name in enumerate(known)]
    ask(gateway, asked[:20])
    took = ask(gateway, asked)
    before = bench.cluster.cpu_seconds()
    bench.cluster.sql("bench_duplicates", CHECKS)
    cpu = (bench.cluster.cpu_seconds() - before) / len(took) * 1000
    median, worst = statistics.median(took), statistics.quantiles(took, n=20)[-1]
    bench.report.figure(
        f"duplicate check against {CUSTOMERS:,} customers, median of {len(took)}", f"{median:.1f} ms (CPU of PostgreSQL: {cpu:.1f} ms on average)", "< 20 ms",
        median < 20)
    print(f"duplicate check: 95th percentile {worst:.1f} ms", flush=True)


def typed(name: str, number: int) -> str:
    """The name as somebody else types it: as it is, in capitals, or with a letter missing."""
    if number % 3 == 0:
        return name
    return name.replace("i", "İ").upper() if number % 3 == 1 else name[: len(name) // 2] + name[len(name) // 2 + 1:]


def ask(gateway: Gateway, bodies: list[dict]) -> list[float]:
    """Milliseconds of each request, one after the other on one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=60)
    took: list[float] = []
    for body in bodies:
        start = time.perf_counter()
        connection.request("POST", "/v1/duplicates/check", json.dumps(body | {"resources": ["customers"]}), gateway.headers())
        answer = connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise SystemExit(f"the check answered {answer.status}: {content[:500]!r}")
        took.append((time.perf_counter() - start) * 1000)
    return took
