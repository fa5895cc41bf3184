"""The timeline of a customer with 10,000 interactions among many: the first page and a deep one, against the same statements by pgbench."""

from __future__ import annotations

import os
import urllib.parse
from typing import TYPE_CHECKING

from capture import Script, captured
from load import HTTPLoad
from server import ROOT

if TYPE_CHECKING:
    from run import Bench

DATABASE = "bench_timeline"
INTERACTIONS = int(os.environ.get("BENCH_INTERACTIONS", 10_000_000))
CUSTOMERS = max(1_000, INTERACTIONS // 50)


def measure(bench: "Bench") -> None:
    bench.cluster.make_database(DATABASE, customers=0, orders=0)
    bench.cluster.sql(DATABASE, (ROOT / "bench/interactions.sql").read_text(), interactions=INTERACTIONS, customers=CUSTOMERS)
    gateway = bench.start(DATABASE, user="deniz@carsi.example")
    customer = bench.cluster.sql(DATABASE, "SELECT md5('timeline customer 1')::uuid")
    first = f"/v1/customers/{customer}/timeline"
    page = gateway.json("GET", first)
    for _ in range(20):
        page = gateway.json("GET", first + "?" + urllib.parse.urlencode({"cursor": page["next_cursor"]}))
    deep = first + "?" + urllib.parse.urlencode({"cursor": page["next_cursor"]})
    for what, path in (("first page", first), ("21st page", deep)):
        script = Script(captured(bench.cluster, DATABASE, lambda: gateway.json("GET", path)))
        # "First page ≤ 2 × the bare SQL": half of pgbench's requests a second.
        name = f"timeline of 10,000 among {INTERACTIONS:,} interactions, {what}"
        bench.compare(name, 0.5, DATABASE, HTTPLoad(gateway, [("GET", path, None)]), script, [{}])
        bench.report.statements(name, script)
