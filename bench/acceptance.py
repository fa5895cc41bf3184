"""Accepting quotes of five lines: each request accepts one that nobody has accepted yet, which opens an order and reserves stock."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from capture import Script, captured
from load import HTTPLoad, HTTPResult, SQLLoad, lua
from server import ROOT, Cluster, Gateway

if TYPE_CHECKING:
    from run import Bench

DATABASE, QUOTES = "bench_quotes", 60_000
BODY = {"name": "Müşteri"}
# As bench/quotes.sql numbers them; orders get numbers of their own, because a script cannot make up one id and use it in several statements.
EXPRESSION = "lpad(to_hex({}), 32, '0')::uuid"
QUOTE = EXPRESSION.format("cast(:n as bigint)")
CUSTOMER = EXPRESSION.format("cast(:n as bigint) % 2000 + 268435456")
ORDER = EXPRESSION.format("cast(:n as bigint) + 1099511627776")


class Quotes:
    """The quotes that are still there to be accepted."""

    def __init__(self, cluster: Cluster):
        self.cluster = cluster

    def first(self) -> int:
        """The number from which on none was accepted."""
        number = int(self.cluster.sql(DATABASE, "SELECT coalesce(max(('x' || right(id::text, 12))::bit(48)::bigint), 0) + 1 FROM crm.quote WHERE status = 'accepted'"))
        if number > QUOTES * 0.95:
            raise SystemExit("there are too few quotes left to accept")
        return number


def path(number: int) -> str:
    return f"/v1/quotes/00000000-0000-0000-0000-{number:012x}/accept"


class AcceptHTTP(HTTPLoad):
    def __init__(self, gateway: Gateway, quotes: Quotes):
        super().__init__(gateway, [("POST", "@@", BODY)])
        self.quotes = quotes
        self.text = (self.folder / "load.lua").read_text(encoding="utf-8")

    def run(self, connections: int, seconds: int) -> HTTPResult:
        threads = min(2, connections)
        chosen = f"string.format({lua('/v1/quotes/00000000-0000-0000-0000-%012x/accept')}, {self.quotes.first()} + count * {threads} + id)"
        (self.folder / "load.lua").write_text(self.text.replace("chosen[2]", chosen), encoding="utf-8")
        return super().run(connections, seconds)


class AcceptSQL(SQLLoad):
    def __init__(self, cluster: Cluster, script: Script, pipelined: bool, quotes: Quotes):
        super().__init__(cluster, DATABASE, script, [{}], pipelined)
        self.quotes = quotes
        file = self.folder / "0.sql"
        file.write_text("\\set i :i + 1\n\\set n :first + :i * :clients + :client_id\n" + file.read_text(encoding="utf-8"), encoding="utf-8")
        self.own = self.arguments

    def run(self, connections: int, seconds: int) -> float:
        self.arguments = [*self.own, "--define=i=0", f"--define=first={self.quotes.first()}", f"--define=clients={connections}"]
        return super().run(connections, seconds)


def measure(bench: Bench) -> None:
    cluster, options = bench.cluster, bench.options
    cluster.make_database(DATABASE, 0, 0)
    cluster.sql(DATABASE, (ROOT / "bench/quotes.sql").read_text(), quotes=QUOTES)
    gateway = bench.start(DATABASE)
    quotes = Quotes(cluster)
    made: list[dict] = []
    statements = captured(cluster, DATABASE, lambda: made.append(gateway.json("POST", path(len(made) + 1), BODY)))
    last = made[-1]
    script = Script(statements, {last["id"]: QUOTE, last["customer_id"]: CUSTOMER, last["orders"][0]["id"]: ORDER})
    http = AcceptHTTP(gateway, quotes)
    plain, piped = (AcceptSQL(cluster, script, pipelined, quotes) for pipelined in (False, True))
    http.run(options.connections, 2), plain.run(options.connections, 2)
    rounds = []
    for _ in range(options.rounds):
        result = http.run(options.connections, options.seconds)
        rounds.append((result.per_second, *(load.run(options.connections, options.seconds) for load in (plain, piped)), result.p99_ms))
    gateway_rate, bare, pipelined, p99 = (statistics.median(column) for column in zip(*rounds))
    bench.report.ratio("accept a quote of 5 lines", gateway_rate, bare, pipelined, 0.60, p99)
    bench.report.statements("accept a quote of 5 lines", script)
