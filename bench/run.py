"""Measures what docs/performance.md shows, and writes it anew.

usage: python bench/run.py [--rounds N] [--seconds N] [--connections N] [--only NAME …] [--keep]

Every ratio is taken within one run: rounds of gateway and pgbench take turns, and the medians are compared.
"""

from __future__ import annotations

import argparse
import socket
import statistics
import sys
import tempfile
import time
import traceback
import urllib.parse
from pathlib import Path

import acceptance
import analytics
import duplicates
import imports
import issue
import tickets
import timeline
from capture import Script, captured
from load import HTTPLoad, SQLLoad
from report import Report
from server import ROOT, Cluster, Gateway

SMALL, LARGE = 10_000, 1_000_000
CUSTOMERS = 2_000
OPPORTUNITIES = 100_000
VARIANTS = 120
LIST = "/v1/orders?" + urllib.parse.urlencode({"status": "eq.completed", "order": "-ordered_at", "limit": 25})


class Bench:
    def __init__(self, options: argparse.Namespace):
        self.options = options
        self.report = Report()
        folder = Path(tempfile.mkdtemp(prefix="muhatap-bench-"))
        folder.chmod(0o755)
        self.cluster = Cluster(folder / "cluster")
        self.gateways: dict[str, Gateway] = {}

    def gateway(self, orders: int) -> tuple[str, Gateway]:
        """The gateway on a database with so many orders, made when first asked for."""
        name = f"bench_{orders}"
        if name not in self.gateways:
            self.cluster.make_database(name, CUSTOMERS, orders)
            self.start(name)
        return name, self.gateways[name]

    def start(self, database: str, user: str = "ayse@carsi.example") -> Gateway:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.gateways[database] = Gateway.start(self.cluster, database, port, self.options.connections, user)
        return self.gateways[database]

    def some_customers(self, database: str) -> list[str]:
        return self.cluster.sql(database, f"SELECT id FROM crm.customer ORDER BY search_key LIMIT {VARIANTS}").split()

    # Ratios against pgbench

    def compare(self, what: str, bar: float, database: str, http: HTTPLoad, script: Script, variants: list[dict[str, str]]) -> None:
        plain = SQLLoad(self.cluster, database, script, variants, pipelined=False)
        pipelined = SQLLoad(self.cluster, database, script, variants, pipelined=True)
        connections, seconds = self.options.connections, self.options.seconds
        http.run(connections, 2), plain.run(connections, 2)
        rounds = []
        for _ in range(self.options.rounds):
            gateway = http.run(connections, seconds)
            rounds.append((gateway.per_second, plain.run(connections, seconds), pipelined.run(connections, seconds), gateway.p99_ms))
        gateway, bare, piped, p99 = (statistics.median(column) for column in zip(*rounds))
        self.report.ratio(what, gateway, bare, piped, bar, p99)

    def read(self) -> None:
        database, gateway = self.gateway(LARGE)
        ids = self.some_customers(database)
        script = Script(captured(self.cluster, database, lambda: gateway.json("GET", f"/v1/customers/{ids[0]}")))
        http = HTTPLoad(gateway, [("GET", f"/v1/customers/{id}", None) for id in ids])
        self.compare("read one customer", 0.65, database, http, script, [{ids[0]: id} for id in ids])
        self.report.statements("read one customer", script)

    def list(self) -> None:
        database, gateway = self.gateway(LARGE)
        script = Script(captured(self.cluster, database, lambda: gateway.json("GET", LIST)))
        self.compare("list 25 orders, filtered and sorted", 0.70, database, HTTPLoad(gateway, [("GET", LIST, None)]), script, [{}])
        self.report.statements("list 25 orders, filtered and sorted", script)

    def create(self) -> None:
        database, gateway = self.gateway(LARGE)
        body = {"kind": "person", "name": "Yeni Müşteri @@"}
        made: list[str] = []
        statements = captured(self.cluster, database, lambda: made.append(gateway.json("POST", "/v1/customers", body)["id"]))
        fresh = {value: "gen_random_uuid()" for _, values in statements for value in values if value == made[-1]}
        script = Script(statements, fresh)
        http = HTTPLoad(gateway, [("POST", "/v1/customers", body)], fresh=True)
        self.compare("create a customer", 0.60, database, http, script, [{}])
        self.report.statements("create a customer", script)

    def change(self) -> None:
        database, gateway = self.gateway(LARGE)
        ids = self.some_customers(database)
        body = {"website": "https://muhatap.example/@@"}
        script = Script(captured(self.cluster, database, lambda: gateway.json("PATCH", f"/v1/customers/{ids[0]}", body)))
        http = HTTPLoad(gateway, [("PATCH", f"/v1/customers/{id}", body) for id in ids], fresh=True)
        self.compare("change a customer", 0.60, database, http, script, [{ids[0]: id} for id in ids])
        self.report.statements("change a customer", script)

    def policies(self) -> None:
        """What row-level security costs PostgreSQL: the same statements by a role that it binds and by one that it does not."""
        database, gateway = self.gateway(LARGE)
        self.cluster.sql("postgres", "CREATE ROLE bench_unbound LOGIN BYPASSRLS IN ROLE crm_app")
        for what, address in (("read one customer", f"/v1/customers/{self.some_customers(database)[0]}"), ("list 25 orders", LIST)):
            script = Script(captured(self.cluster, database, lambda: gateway.json("GET", address)))
            loads = [SQLLoad(self.cluster, database, script, [{}], pipelined=False, role=role) for role in ("crm_app", "bench_unbound")]
            for load in loads:
                load.run(self.options.connections, 1)
            rounds = [[load.run(self.options.connections, self.options.seconds) for load in loads] for _ in range(self.options.rounds)]
            bound, unbound = (statistics.median(column) for column in zip(*rounds))
            self.report.figure(f"pgbench with policies ÷ without (BYPASSRLS): {what}", f"{bound / unbound:.2f} ({bound:,.0f} ÷ {unbound:,.0f} /s)")

    # The gateway by itself

    def cpu(self) -> None:
        database, gateway = self.gateway(LARGE)
        reads = HTTPLoad(gateway, [("GET", f"/v1/customers/{id}", None) for id in self.some_customers(database)])
        read, page = self.cpu_of(gateway, reads), self.cpu_of(gateway, HTTPLoad(gateway, [("GET", LIST, None)]))
        self.report.figure("CPU of the gateway for reading one customer", f"{read:.0f} µs", "≤ 100 µs", read <= 100)
        self.report.figure("CPU of the gateway for listing 25 orders (21 columns, 16 KB)", f"{page:.0f} µs")

    def cpu_of(self, gateway: Gateway, http: HTTPLoad) -> float:
        """CPU time of the gateway in µs per request, of all its threads."""
        http.run(self.options.connections, 2)
        figures = []
        for _ in range(self.options.rounds):
            before = gateway.cpu_seconds()
            result = http.run(self.options.connections, self.options.seconds)
            figures.append((gateway.cpu_seconds() - before) / result.requests * 1e6)
        return statistics.median(figures)

    def depth(self) -> None:
        """Page 1 against page 10,000, and ten thousand rows against a million, all interleaved, by one connection."""
        _, small = self.gateway(SMALL)
        _, large = self.gateway(LARGE)
        loads = {
            "10⁴ rows, page 1": HTTPLoad(small, [("GET", LIST, None)]),
            "10⁶ rows, page 1": HTTPLoad(large, [("GET", LIST, None)]),
            "10⁶ rows, page 10,000": HTTPLoad(large, [("GET", self.page(large, 10_000), None)]),
        }
        figures: dict[str, list[float]] = {name: [] for name in loads}
        for load in loads.values():
            load.run(1, 1)
        for _ in range(self.options.rounds):
            for name, load in loads.items():
                figures[name].append(1000 / load.run(1, max(2, self.options.seconds // 2)).per_second)
        medians = {name: statistics.median(values) for name, values in figures.items()}
        first, million, deep = medians.values()
        self.report.figure(
            "list at page 10,000 ÷ page 1 (10⁶ rows)", f"{deep / million:.2f} ({deep:.2f} ms ÷ {million:.2f} ms)", "within 1.3", max(deep / million, million / deep) <= 1.3)
        self.report.figure(
            "list of 10⁶ ÷ 10⁴ rows (page 1)", f"{million / first:.2f} ({million:.2f} ms ÷ {first:.2f} ms)", "within 1.3", max(million / first, first / million) <= 1.3)

    def page(self, gateway: Gateway, number: int) -> str:
        """The address of a page, by following every cursor from the first."""
        path = LIST
        for _ in range(number - 1):
            cursor = gateway.json("GET", path)["next_cursor"]
            path = LIST + "&" + urllib.parse.urlencode({"cursor": cursor})
        return path

    def idle(self) -> None:
        _, gateway = self.gateway(SMALL)
        before = gateway.memory_mib()
        request = "".join([
            "GET /v1/customers?limit=1 HTTP/1.1\r\nHost: bench\r\n", *(f"{k}: {v}\r\n" for k, v in gateway.headers().items()), "\r\n"]).encode()
        connections = []
        for _ in range(1000):
            connection = socket.create_connection(("127.0.0.1", gateway.port))
            connection.sendall(request)
            if not connection.recv(65536).startswith(b"HTTP/1.1 200"):
                raise SystemExit("an idle connection's request was refused")
            connections.append(connection)
        time.sleep(1)
        memory = gateway.memory_mib()
        for connection in connections:
            connection.close()
        self.report.figure("memory with 1,000 open idle connections", f"{memory:.0f} MiB (before: {before:.0f} MiB)", "< 100 MiB", memory < 100)

    def forecast(self) -> None:
        """Forecasts of a month in which every one of 100,000 opportunities is due or was decided."""
        name = "bench_opportunities"
        self.cluster.make_database(name, CUSTOMERS, 0)
        self.cluster.sql(name, (ROOT / "bench/opportunities.sql").read_text(), opportunities=OPPORTUNITIES)
        gateway = self.start(name)
        for what, query in (("forecast of a month", "/v1/forecast"), ("forecast by owner", "/v1/forecast?by=owner")):
            counted = sum(row["opportunities"] for row in gateway.json("GET", query)["data"])
            load = HTTPLoad(gateway, [("GET", query, None)])
            load.run(1, 1)
            median = statistics.median(1000 / load.run(1, self.options.seconds).per_second for _ in range(self.options.rounds))
            self.report.figure(f"{what}, {OPPORTUNITIES:,} opportunities ({counted:,} due or won in it)", f"{median:.0f} ms", "< 300 ms", median < 300)

    def accept(self) -> None:
        acceptance.measure(self)

    def imports(self) -> None:
        imports.measure(self)

    def duplicates(self) -> None:
        duplicates.measure(self)

    def issue(self) -> None:
        issue.measure(self)

    def analytics(self) -> None:
        analytics.measure(self)

    def tickets(self) -> None:
        tickets.measure(self)

    def timeline(self) -> None:
        timeline.measure(self)

    def close(self) -> None:
        for gateway in self.gateways.values():
            gateway.stop()
        if not self.options.keep:
            self.cluster.remove()


PARTS = (
    "read", "list", "create", "change", "accept", "policies", "cpu", "depth", "idle", "forecast", "imports", "duplicates", "issue", "analytics", "tickets", "timeline")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--import-rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="measure some parts, and print instead of writing the file")
    parser.add_argument("--analysis", choices=("year", "lifetime", "million"), help="only this part of the analytical module")
    parser.add_argument("--keep", action="store_true", help="leave the cluster running")
    options = parser.parse_args()
    bench = Bench(options)
    try:
        for part in options.only:
            print(f"measuring: {part}", file=sys.stderr, flush=True)
            try:
                getattr(bench, part)()
            except (Exception, SystemExit) as error:
                traceback.print_exception(error)
                bench.report.failed(part, error)
    finally:
        bench.close()
    text = bench.report.text(options)
    if tuple(options.only) == PARTS:
        (ROOT / "docs/performance.md").write_text(text, encoding="utf-8")
    else:
        print(text)
    if not bench.report.is_whole:
        raise SystemExit("not all parts could be measured")


if __name__ == "__main__":
    main()
