"""Issuing invoices of five lines, all in one series: the gateway against pgbench with the same statements in one transaction."""

from __future__ import annotations

import socket
import statistics
from typing import TYPE_CHECKING

from capture import Script, captured
from load import HTTPLoad, SQLLoad
from server import ROOT, Gateway

if TYPE_CHECKING:
    from run import Bench

DATABASE = "bench_issue"
FASTEST = 2_500  # more a second than anybody issues; each draft can be issued once


def measure(bench: "Bench") -> None:
    options, cluster = bench.options, bench.cluster
    size = options.seconds * FASTEST
    drafts = (2 * options.rounds + 2) * size
    cluster.make_database(DATABASE, 0, 0)
    cluster.sql(DATABASE, (ROOT / "bench/invoices.sql").read_text(), drafts=drafts)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    gateway = bench.gateways[DATABASE] = Gateway.start(cluster, DATABASE, port, options.connections, user="fatma@carsi.example")
    ids = cluster.sql(DATABASE, "SELECT id FROM bench.draft ORDER BY n").split()

    issued: list[dict] = []
    some = iter(ids)
    statements = captured(cluster, DATABASE, lambda: issued.append(gateway.json("POST", f"/v1/invoices/{next(some)}/issue")))
    script = Script(statements, {issued[-1]["id"]: ":draft", issued[-1]["ettn"]: "gen_random_uuid()"})
    position = 1_000  # behind what was captured

    def http() -> tuple[float, float]:
        nonlocal position
        load = HTTPLoad(gateway, [("POST", f"/v1/invoices/{id}/issue", None) for id in ids[position:position + size]], once=True)
        position += size
        result = load.run(options.connections, options.seconds)
        return result.per_second, result.p99_ms

    def pgbench() -> float:
        nonlocal position
        cluster.sql(DATABASE, f"SELECT setval('bench.next', {position})")
        position += size
        load = SQLLoad(cluster, DATABASE, script, [{}], pipelined=False)
        file = load.folder / "0.sql"
        file.write_text("SELECT id AS draft FROM bench.draft WHERE n = (SELECT nextval('bench.next')) \\gset\n" + file.read_text(encoding="utf-8"), encoding="utf-8")
        return load.run(options.connections, options.seconds)

    rounds = [(*http(), pgbench()) for _ in range(options.rounds)]
    per_second, p99, bare = (statistics.median(column) for column in zip(*rounds))
    wrong = cluster.sql(DATABASE, "SELECT (SELECT count(*) FROM crm.invoice_number_violations()) + (SELECT count(*) FROM crm.turnover_invariants())")
    bench.report.figure("issue an invoice of five lines ÷ pgbench", f"{per_second / bare:.2f} ({per_second:,.0f} ÷ {bare:,.0f} a second)", "≥ 0.60", per_second / bare >= 0.6)
    bench.report.figure("invoices issued a second, all in one series", f"{per_second:,.0f} (p99 {p99:.1f} ms)", "≥ 300", per_second >= 300)
    bench.report.figure("gaps or doubles in the numbers, differences in the turnover after it", wrong, "0", wrong == "0")
    bench.report.statements("issue an invoice", script)
